"""Reads the processes of zones: in the process table, and by direct calls past the edge.

Rule: see `experiments.probes`.
"""

from __future__ import annotations

from typing import Any

import psutil
from chaoslib.exceptions import ActivityFailed

from experiments import faults
from experiments.fleet import client, group
from experiments.probes.waiting import wait
from harness.fleet.reach import Reach


def zone_is_dead(zone: str, fault: str, limit_s: float = 2.0) -> dict[str, Any]:
    """No process of the zone is in the process table; records `fault_in_place` when that is first seen."""
    ports = group(client().status(), zone)["ports"]
    wait(lambda: not processes_listening(ports), limit_s, f"processes of {zone} still run")
    seen_ns = faults.in_place(fault, zone, "process table", ports=ports)
    return {"zone": zone, "ports": ports, "seen_ns": seen_ns}


def zone_stays_dead(zone: str) -> bool:
    """The process table still shows no process of the zone; raises when one came back by itself."""
    back = processes_listening(group(client().status(), zone)["ports"])
    if back:
        raise ActivityFailed(f"{zone} came back by itself: processes {back}")
    return True


def zone_is_frozen(zone: str, fault: str, limit_s: float = 2.0) -> dict[str, Any]:
    """The process table shows every process of the zone stopped; records `fault_in_place` when that is first seen."""
    ports = group(client().status(), zone)["ports"]
    wait(lambda: _all_stopped(ports), limit_s, f"processes of {zone} still run")
    seen_ns = faults.in_place(fault, zone, "process table: stopped", ports=ports)
    return {"zone": zone, "ports": ports, "seen_ns": seen_ns}


def zone_stays_frozen(zone: str) -> bool:
    """The process table still shows every process of the zone stopped."""
    return _all_stopped(group(client().status(), zone)["ports"])


def zone_runs(zone: str, fault: str, limit_s: float = 20.0) -> dict[str, Any]:
    """No process of the zone is stopped, and each says SERVING to a direct call; records `fault_removed`."""
    status = client().status()
    ports = group(status, zone)["ports"]
    wait(lambda: bool(_statuses(ports)) and not _all_stopped(ports), limit_s, f"processes of {zone} are still stopped")
    wait(lambda: _all_serve(status, ports), limit_s, f"{zone} does not serve")
    seen_ns = faults.gone(fault, zone, "process table and direct health call", ports=ports)
    return {"zone": zone, "ports": ports, "seen_ns": seen_ns}


def zone_left_cleanly(zone: str, limit_s: float = 2.0) -> bool:
    """Whether every process of the zone ended by itself with exit code 0, as the kernel told its parent.

    A process leaves its command line before it leaves its exit code, so that this is waited for.
    """
    wait(lambda: None not in _exit_codes(zone), limit_s, f"the exit codes of {zone} are not known")
    return set(_exit_codes(zone)) == {0}


def zone_serves(zone: str, fault: str, limit_s: float = 20.0) -> dict[str, Any]:
    """Every process of the zone says SERVING to a direct call past the edge; records `fault_removed`."""
    status = client().status()
    ports = group(status, zone)["ports"]
    wait(lambda: _all_serve(status, ports), limit_s, f"{zone} does not serve")
    seen_ns = faults.gone(fault, zone, "direct health call", ports=ports)
    return {"zone": zone, "ports": ports, "seen_ns": seen_ns}


def all_zones_serve() -> bool:
    """Every process of every zone says SERVING to a direct call."""
    status = client().status()
    return _all_serve(status, [port for zone in status["zones"].values() for port in zone["ports"]])


def candidate_serves() -> bool:
    """Every process of the candidate says SERVING to a direct call."""
    status = client().status()
    return _all_serve(status, group(status, "candidate")["ports"])


def processes_listening(ports: list[int]) -> list[int]:
    """Process ids whose command line tells them to listen on one of these loopback ports; zombies are dead."""
    wanted = {f"127.0.0.1:{port}" for port in ports}
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        is_alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if is_alive and wanted.intersection(process.info["cmdline"] or ()):
            found.append(process.pid)
    return found


def serves_within(zone: str, limit_s: float) -> bool:
    """Whether every process of the zone says SERVING to a direct call before the limit."""
    status = client().status()
    ports = group(status, zone)["ports"]
    try:
        wait(lambda: _all_serve(status, ports), limit_s, f"{zone} does not serve")
    except ActivityFailed:
        return False
    return True


def _exit_codes(zone: str) -> list[int | None]:
    return [item["exit_code"] for item in group(client().status(), zone)["processes"]]


def _statuses(ports: list[int]) -> list[str]:
    return [psutil.Process(pid).status() for pid in processes_listening(ports)]


def _all_stopped(ports: list[int]) -> bool:
    statuses = _statuses(ports)
    return bool(statuses) and set(statuses) == {psutil.STATUS_STOPPED}


def _all_serve(status: dict[str, Any], ports: list[int]) -> bool:
    reach = Reach.of(status)
    return all(reach.serves(f"127.0.0.1:{port}") for port in ports)
