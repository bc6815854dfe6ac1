"""Restarts the edge while it carries traffic.

Rule: see `experiments.actions`.
"""

from __future__ import annotations

from typing import Any

from experiments import faults
from experiments.fleet import client
from experiments.probes.edge_process import one_edge_serves

RESTART = "edge_restart"
EDGE = "edge"


def restart_edge() -> dict[str, Any]:
    """Have a new Envoy take the listener over; the old one drains, and ends by itself."""
    requested_ns = faults.request(RESTART, EDGE, undo=settle_edge)
    return {"pids": client().restart_edge()["pids"], "requested_ns": requested_ns}


def settle_edge(limit_s: float = 15.0) -> dict[str, Any]:
    """The undo of a restart, which ends by itself: wait until one edge is left, and serves."""
    was_open = faults.is_open(RESTART, EDGE)
    if was_open:
        one_edge_serves(RESTART, limit_s)
    return {"was_open": was_open}
