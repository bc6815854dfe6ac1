"""Reads that nothing is broken, at the two moments at which other experiments read that something is, and is not.

Rule: see `experiments.probes`.
"""

from __future__ import annotations

from typing import Any

from chaoslib.exceptions import ActivityFailed

from experiments import faults
from experiments.probes.zones import all_zones_serve

NOTHING = "nothing"
READING = "direct health calls: every zone serves"


def nothing_is_broken() -> dict[str, Any]:
    """Every zone serves; records `fault_in_place`."""
    _require_whole()
    return {"seen_ns": faults.in_place(NOTHING, NOTHING, READING)}


def nothing_is_over() -> dict[str, Any]:
    """Every zone serves; records `fault_removed`."""
    _require_whole()
    return {"seen_ns": faults.gone(NOTHING, NOTHING, READING)}


def _require_whole() -> None:
    if not all_zones_serve():
        raise ActivityFailed("a zone does not serve, although nothing was done")
