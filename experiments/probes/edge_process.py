"""Reads which processes are the edge, in the process table, and whether calls get through it.

Rule: see `experiments.probes`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
from chaoslib.exceptions import ActivityFailed

from experiments import faults
from experiments.fleet import client
from experiments.probes.waiting import wait
from harness.fleet.reach import Reach

EDGE = "edge"
BOOT_S = 1.0
"""The kernel tells when it was booted in whole seconds, and a process's start from there."""


def two_edges_run(fault: str, limit_s: float = 3.0) -> dict[str, Any]:
    """The process table shows a second edge beside the first; records `fault_in_place`."""
    wait(lambda: len(edges()) > 1, limit_s, "no second edge runs")
    pids = edges()
    seen_ns = faults.in_place(fault, EDGE, "process table: two edges", pids=pids)
    return {"pids": pids, "seen_ns": seen_ns}


def edge_has_changed(fault: str, limit_s: float = 15.0) -> dict[str, Any]:
    """One edge is left, begun since the fault was asked for, and a call gets through it; records `fault_removed`."""
    pids, asked_s = _one_edge(limit_s), faults.opened_unix_s(fault, EDGE)
    if asked_s is not None and psutil.Process(pids[0]).create_time() < asked_s - BOOT_S:
        raise ActivityFailed("the edge that is left is the former one: the new one took nothing over")
    seen_ns = faults.gone(fault, EDGE, "process table: one edge, begun since; health call through it", pids=pids)
    return {"pids": pids, "seen_ns": seen_ns}


def one_edge_serves(fault: str, limit_s: float = 15.0) -> dict[str, Any]:
    """One edge is left, whichever, and a call gets through it; records `fault_removed`."""
    pids = _one_edge(limit_s)
    return {"pids": pids, "seen_ns": faults.gone(fault, EDGE, "process table: one edge; health call", pids=pids)}


def _one_edge(limit_s: float) -> list[int]:
    """The one edge that is left in the process table and serves. Raises ActivityFailed when there is none."""
    wait(lambda: len(edges()) == 1, limit_s, "the former edge does not end")
    status = client().status()
    wait(lambda: Reach.of(status).serves(status["address"]), limit_s, "no call gets through the edge")
    return edges()


def edges() -> list[int]:
    """Processes started with this fleet's configuration of the edge."""
    configuration = str(Path(client().status()["edge"]["log"]).with_name("envoy.json"))
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if configuration in (process.info["cmdline"] or ()) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]
