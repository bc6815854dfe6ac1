"""Readings that experiments are believed by: the process table, a direct call past the edge, the edge's own view.

Rule: a reading never asks the actor whether it succeeded. The supervisor is asked only for addresses; whether a
process lives is read from the process table, whether it serves from a call to it. Waiting has a limit, then it raises.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psutil
from chaoslib.exceptions import ActivityFailed

from experiments.fleet import client, group, timeline
from harness.fleet.edge import EdgeAdmin
from harness.fleet.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_S = 0.02


def zone_is_dead(zone: str, limit_s: float = 2.0) -> dict[str, Any]:
    """No process of the zone is in the process table; records `fault_in_place` when that is first seen."""
    ports = group(client().status(), zone)["ports"]
    _wait(lambda: not processes_listening(ports), limit_s, f"processes of {zone} still run")
    seen_ns = timeline().add("fault_in_place", zone, reading="process table", ports=ports)
    return {"zone": zone, "ports": ports, "seen_ns": seen_ns}


def zone_stays_dead(zone: str) -> bool:
    """The process table still shows no process of the zone; raises when one came back by itself."""
    back = processes_listening(group(client().status(), zone)["ports"])
    if back:
        raise ActivityFailed(f"{zone} came back by itself: processes {back}")
    return True


def zone_serves(zone: str, limit_s: float = 20.0) -> dict[str, Any]:
    """Every process of the zone says SERVING to a direct call past the edge; records `fault_removed`."""
    status = client().status()
    ports = group(status, zone)["ports"]
    _wait(lambda: _all_serve(status, ports), limit_s, f"{zone} does not serve")
    seen_ns = timeline().add("fault_removed", zone, reading="direct health call", ports=ports)
    return {"zone": zone, "ports": ports, "seen_ns": seen_ns}


def all_zones_serve() -> bool:
    """Every process of every zone says SERVING to a direct call."""
    status = client().status()
    return _all_serve(status, [port for zone in status["zones"].values() for port in zone["ports"]])


def candidate_serves() -> bool:
    """Every process of the candidate says SERVING to a direct call."""
    status = client().status()
    return _all_serve(status, group(status, "candidate")["ports"])


def healthy_zones_at_edge(cluster: str = "primary") -> int:
    """How many zones the edge sends to: those of which it holds at least one host healthy."""
    with EdgeAdmin(client().status()["admin"]) as edge:
        hosts = edge.hosts()
    return len({host.zone for host in hosts if host.cluster == cluster and host.healthy})


def edge_sends_to_every_zone(limit_s: float = 10.0) -> bool:
    """Wait until the edge holds every zone healthy."""
    wanted = len(client().status()["zones"])
    _wait(lambda: healthy_zones_at_edge() == wanted, limit_s, "the edge does not send to every zone")
    return True


def traffic_goes_to(to: str) -> bool:
    """Whether the route that the edge has in force sends all traffic to "primary" or "candidate"."""
    with EdgeAdmin(client().status()["admin"]) as edge:
        return edge.destinations() == {to}


def processes_listening(ports: list[int]) -> list[int]:
    """Process ids whose command line tells them to listen on one of these loopback ports; zombies are dead."""
    wanted = {f"127.0.0.1:{port}" for port in ports}
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        is_alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if is_alive and wanted.intersection(process.info["cmdline"] or ()):
            found.append(process.pid)
    return found


def _all_serve(status: dict[str, Any], ports: list[int]) -> bool:
    reach = Reach.of(status)
    return all(reach.serves(f"127.0.0.1:{port}") for port in ports)


def _wait(condition: Callable[[], bool], limit_s: float, failure: str) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise ActivityFailed(f"{failure} after {limit_s} s")
        time.sleep(POLL_S)
