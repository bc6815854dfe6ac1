"""Reads which processes are the edge, in the process table, and whether calls get through it.

Rule: see `experiments.probes`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil

from experiments import faults
from experiments.fleet import client
from experiments.probes.waiting import wait
from harness.fleet.reach import Reach

EDGE = "edge"


def two_edges_run(fault: str, limit_s: float = 3.0) -> dict[str, Any]:
    """The process table shows a second edge beside the first; records `fault_in_place`."""
    wait(lambda: len(edges()) > 1, limit_s, "no second edge runs")
    pids = edges()
    seen_ns = faults.in_place(fault, EDGE, "process table: two edges", pids=pids)
    return {"pids": pids, "seen_ns": seen_ns}


def edge_has_changed(fault: str, limit_s: float = 15.0) -> dict[str, Any]:
    """One edge is left in the process table, the latest, and a call gets through it; records `fault_removed`."""
    wait(lambda: len(edges()) == 1, limit_s, "the former edge does not end")
    status = client().status()
    wait(lambda: Reach.of(status).serves(status["address"]), limit_s, "no call gets through the edge")
    seen_ns = faults.gone(fault, EDGE, "process table: one edge; health call through it", pids=edges())
    return {"pids": edges(), "seen_ns": seen_ns}


def edges() -> list[int]:
    """Processes started with this fleet's configuration of the edge."""
    configuration = str(Path(client().status()["edge"]["log"]).with_name("envoy.json"))
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if configuration in (process.info["cmdline"] or ()) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]
