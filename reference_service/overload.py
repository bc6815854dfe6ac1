"""How much may be in hand at once, and who is refused when an answer could not come in time.

Rule: a full service refuses early, so that what it admits still ends in time. Only what was measured refuses by
deadline, and never while nothing is in hand: an estimate that has become wrong is then measured anew.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from reference_service.errors import DeadlineError, OverloadedError

if TYPE_CHECKING:
    from collections.abc import Callable

WEIGHT: Final = 1 / 256
"""Of the latest completion in the average: it forgets a stall within some 256 requests, and rides over batches."""
RETRY_AFTER_S_MIN: Final = 0.01
"""Trying again sooner only costs both sides: it is less than what a round trip between machines may take."""
NEXT_TO_NOTHING_S: Final = 1e-6
"""Not 0: a deadline that has passed is refused always."""


class DrainRate:
    """Seconds of work for each unit that leaves, averaged; idle time is no work. 0.0 until something has left."""

    __slots__ = ("_last_left", "seconds_each")

    def __init__(self) -> None:
        self.seconds_each = 0.0
        self._last_left = float("-inf")

    def left(self, units: int, came: float, now: float) -> None:
        """Count `units` that came and left together at these instants."""
        each = (now - max(came, self._last_left)) / units
        self._last_left = now
        weight = min(1.0, WEIGHT * units) if self.seconds_each else 1.0
        self.seconds_each += weight * (each - self.seconds_each)

    def seconds_for(self, units: int) -> float:
        """How long `units` take to leave."""
        return units * self.seconds_each


class Admission:
    """Lets at most `in_flight_max` requests in; the counts are for metrics."""

    def __init__(self, in_flight_max: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.in_flight = 0
        self.admitted = 0
        self.refused_full = 0
        self.refused_late = 0
        self.in_flight_max = in_flight_max
        self._clock = clock
        self._rate = DrainRate()

    def enter(self, time_remaining_s: float | None) -> float:
        """Let a request in whose caller waits that long, None for ever; what is returned is given to `leave`, once.

        Raises:
            OverloadedError: as many as may be are in hand.
            DeadlineError: its answer would come too late.
        """
        if self.in_flight >= self.in_flight_max:
            self.refused_full += 1
            raise self.full()
        if time_remaining_s is not None and time_remaining_s < self.expected_s():
            raise self._late(time_remaining_s)
        self.in_flight += 1
        self.admitted += 1
        return self._clock()

    def leave(self, entered: float) -> None:
        """A request that was let in has ended, however it did."""
        self.in_flight -= 1
        self._rate.left(1, entered, self._clock())

    def expected_s(self) -> float:
        """How long a request let in now would take: what is in hand, and itself; next to nothing if nothing is."""
        return self._rate.seconds_for(self.in_flight + 1) if self.in_flight else NEXT_TO_NOTHING_S

    def full(self, waiting: int = 0) -> OverloadedError:
        """The refusal of one more than may be in hand, `waiting` for their turn among them."""
        in_hand = max(self.in_flight, waiting)
        retry_after_s = max(RETRY_AFTER_S_MIN, self._rate.seconds_for(in_hand))
        return OverloadedError(f"{in_hand} requests are in hand, as many as may be", retry_after_s=retry_after_s)

    def _late(self, time_remaining_s: float) -> DeadlineError:
        self.refused_late += 1
        return DeadlineError(
            f"an answer takes about {1000 * self.expected_s():.1f} ms now and the deadline is in"
            f" {1000 * time_remaining_s:.1f} ms: the work was not begun"
        )
