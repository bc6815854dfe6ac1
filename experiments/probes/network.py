"""Reads whether packets reach a zone: by connecting to it directly, past the edge.

Rule: see `experiments.probes`. Silence proves a black hole only of a process that lives and is not stopped.
"""

from __future__ import annotations

import socket
from typing import Any

import psutil
from chaoslib.exceptions import ActivityFailed

from experiments import faults
from experiments.fleet import client, group
from experiments.probes.waiting import wait
from experiments.probes.zones import processes_listening, serves_within

SILENCE_S = 0.5
"""On loopback the kernel opens a connection in microseconds, however busy the process is."""


def zone_is_silent(zone: str, fault: str, limit_s: float = 3.0) -> dict[str, Any]:
    """New connections to each process of the zone get no answer while it lives; records `fault_in_place`."""
    ports = group(client().status(), zone)["ports"]
    wait(lambda: _is_silent(zone, ports), limit_s, f"{zone} still answers connections")
    seen_ns = faults.in_place(fault, zone, "direct connection: no answer; process table: running", ports=ports)
    return {"zone": zone, "ports": ports, "seen_ns": seen_ns}


def zone_stays_silent(zone: str) -> bool:
    """New connections still get no answer, and the processes still live."""
    return _is_silent(zone, group(client().status(), zone)["ports"])


def zone_hears(zone: str, fault: str, limit_s: float = 20.0) -> dict[str, Any]:
    """Every process of the zone says SERVING to a direct call; records `fault_removed`."""
    ports = group(client().status(), zone)["ports"]
    if not serves_within(zone, limit_s):
        raise ActivityFailed(f"{zone} does not serve after {limit_s} s")
    seen_ns = faults.gone(fault, zone, "direct health call", ports=ports)
    return {"zone": zone, "ports": ports, "seen_ns": seen_ns}


def _is_silent(zone: str, ports: list[int]) -> bool:
    """Raises ActivityFailed when a process is gone or stopped: then silence would show something else."""
    pids = processes_listening(ports)
    if len(pids) < len(ports) or any(psutil.Process(pid).status() == psutil.STATUS_STOPPED for pid in pids):
        raise ActivityFailed(f"{zone} is dead or stopped, which is no black hole")
    return not any(_connects(port) for port in ports)


def _connects(port: int) -> bool:
    """Whether the kernel at `port` answers at all, by opening or by refusing."""
    try:
        with socket.create_connection(("127.0.0.1", port), SILENCE_S):
            return True
    except TimeoutError:
        return False
    except OSError:
        return True
