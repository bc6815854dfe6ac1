"""Tells the webhooks of a Plan how a run or a drill ended, and people when a webhook could not be told.

Rule: changes no exit code and says no address.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING

from harness.cli.terminal import EXIT_BUG, EXIT_USAGE, FORESEEN, complain
from harness.notices import Notice, no_verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.plan import LoadedPlan


def tell(loaded: LoadedPlan, notice: Notice, folder: Path | None) -> None:
    """Send `notice` to whom it concerns; what became of it is kept in `folder`, if there is one."""
    if not loaded.plan.notify:
        return
    from harness.notify import keep, notify  # noqa: PLC0415 - an HTTP client, only needed here

    deliveries = notify(loaded.plan.notify, notice, loaded.resolve)
    for item in deliveries:
        if item.error:
            complain(f"the result could not be sent to {item.to} in {item.attempts} attempts: {item.error}")
    if folder is not None:
        keep(folder, deliveries)


@contextlib.contextmanager
def telling_failure(loaded: LoadedPlan) -> Iterator[None]:
    """Tell that there is no verdict when what is done here raises; the exception goes on."""
    try:
        yield
    except Exception as error:
        foreseen = isinstance(error, FORESEEN)
        reason = str(error) if foreseen else "a bug of gonogo's; its output says which"
        now = dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds")
        plan, code = loaded.plan, EXIT_USAGE if foreseen else EXIT_BUG
        notice = no_verdict(plan.service.name, plan.launch.stage.value, reason, exit_code=code, as_of=now)
        tell(loaded, notice, None)
        raise
