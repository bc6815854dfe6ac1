"""Restarts the edge while it carries traffic.

Rule: see `experiments.actions`.
"""

from __future__ import annotations

from typing import Any

from experiments import faults
from experiments.fleet import client
from experiments.probes.edge_process import edge_has_changed

RESTART = "edge_restart"
EDGE = "edge"


def restart_edge() -> dict[str, Any]:
    """Have a new Envoy take the listener over; the old one drains, and ends by itself."""
    fleet = client()
    former = fleet.status()["edge"]["pid"]
    requested_ns = faults.request(RESTART, EDGE, undo=settle_edge, former_pid=former)
    pids = fleet.restart_edge()["pids"]
    return {"pids": pids, "requested_ns": requested_ns}


def settle_edge(former_pid: int | None = None, limit_s: float = 15.0) -> dict[str, Any]:
    """The undo of a restart, which ends by itself: wait until one edge is left, and serves."""
    if faults.is_open(RESTART, EDGE):
        edge_has_changed(RESTART, limit_s)
    return {"former_pid": former_pid}
