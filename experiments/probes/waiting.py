"""Waits for a reading to hold, for as long as it may take.

Rule: a limit in every wait; what did not happen within it is a failure that says what was waited for.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chaoslib.exceptions import ActivityFailed

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_S = 0.02


def wait(condition: Callable[[], bool], limit_s: float, failure: str, *, poll_s: float = POLL_S) -> None:
    """Return once `condition` holds. Raises ActivityFailed with `failure` when it does not within `limit_s`."""
    if not within(limit_s, condition, poll_s=poll_s):
        raise ActivityFailed(f"{failure} after {limit_s} s")


def within(limit_s: float, condition: Callable[[], bool], *, poll_s: float = POLL_S) -> bool:
    """Whether `condition` holds before `limit_s` is over; asked once at least."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_s)
    return True
