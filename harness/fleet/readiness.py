"""Says what a fleet still lacks to be ready.

Rule: each finding is a direct reading: the process table by the supervisor, every process by its own health check past
the edge, the edge's opinion of every process, then one request through the edge.
"""

from __future__ import annotations

import socket
from collections import deque
from pathlib import Path
from typing import Any

import httpx

from harness.fleet.edge import EdgeAdmin
from harness.fleet.ports import LOOPBACK
from harness.fleet.reach import HEALTH_LIMIT_S, Reach
from harness.fleet.spec import CANDIDATE

LOG_LINES = 20

Reply = dict[str, Any]


class ProcessDiedError(Exception):
    """A process of the fleet ended by itself; waiting longer is no use."""


def lacking(status: Reply) -> str | None:
    """What the fleet of this status lacks to be ready, in words with the log's tail; None if it is ready."""
    groups = _groups(status)
    refuse_dead([process for group in groups.values() for process in group["processes"]] + [status["edge"]])
    reach = Reach.of(status)
    for name, group in groups.items():
        if group["state"] != "up" or not all(reach.serves(f"{LOOPBACK}:{port}") for port in group["ports"]):
            return f"{name} is {group['state']} and does not answer SERVING\n" + log_tail(group["processes"][0]["log"])
    return _edge_lacks(status)


def refuse_dead(processes: list[Reply]) -> None:
    """Raise ProcessDiedError, with the tail of its log, if one of them died unasked."""
    for process in processes:
        if process["died_unasked"]:
            tail = log_tail(process["log"])
            raise ProcessDiedError(f"{process['name']} ended with exit code {process['exit_code']}\n{tail}")


def accepts(socket_path: str) -> bool:
    """Whether somebody listens on a unix socket; httpx would leave its own socket open where nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(HEALTH_LIMIT_S)
        return probe.connect_ex(socket_path) == 0


def log_tail(path: str | Path) -> str:
    """The last lines of a log, each indented, under its path."""
    with Path(path).open(errors="replace") as log:
        lines = deque(log, LOG_LINES)
    return f"the end of {path}:\n" + "".join(f"    {line.rstrip()}\n" for line in lines)


def _groups(status: Reply) -> dict[str, Reply]:
    candidate = {CANDIDATE: status[CANDIDATE]} if CANDIDATE in status else {}
    return {**status["zones"], **candidate}


def _edge_lacks(status: Reply) -> str | None:
    if not accepts(status["admin"]):
        return "Envoy does not open its admin socket\n" + log_tail(status["edge"]["log"])
    try:
        with EdgeAdmin(status["admin"]) as edge:
            hosts = edge.hosts()
    except httpx.HTTPError as error:
        return f"Envoy does not answer ({error})\n" + log_tail(status["edge"]["log"])
    expected = sum(len(group["ports"]) for group in _groups(status).values())
    unhealthy = [f"{host.zone} at {host.address} ({host.flags})" for host in hosts if not host.healthy]
    if unhealthy or len(hosts) != expected:
        return f"Envoy knows {len(hosts)} of {expected} hosts; unhealthy: {', '.join(unhealthy) or 'none'}"
    if not Reach.of(status).serves(status["address"]):
        return "no request gets through the edge\n" + log_tail(status["edge"]["log"])
    return None
