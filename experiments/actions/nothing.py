"""Does nothing, so that what an experiment without a fault measures can be told from what a fault does.

Rule: see `experiments.actions`.
"""

from __future__ import annotations

from typing import Any

from experiments import faults
from experiments.probes.nothing import nothing_is_over

NOTHING = "nothing"


def do_nothing() -> dict[str, Any]:
    """Request no fault."""
    return {"requested_ns": faults.request(NOTHING, NOTHING, undo=undo_nothing)}


def undo_nothing() -> dict[str, Any]:
    """The undo of nothing: close the entry in the journal, once every zone is seen to serve."""
    was_open = faults.is_open(NOTHING, NOTHING)
    if was_open:
        nothing_is_over()
    return {"was_open": was_open}
