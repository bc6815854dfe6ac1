"""Reads the edge's own view of itself: which zones it sends to, and by which routes.

Rule: this is detection; what is broken or healed is proven elsewhere (`experiments.probes.zones`).
"""

from __future__ import annotations

from experiments.fleet import client
from experiments.probes.waiting import wait
from harness.fleet.edge import EdgeAdmin


def healthy_zones_at_edge(cluster: str = "primary") -> int:
    """How many zones the edge sends to: those of which it holds at least one host healthy."""
    with EdgeAdmin(client().status()["admin"]) as edge:
        hosts = edge.hosts()
    return len({host.zone for host in hosts if host.cluster == cluster and host.healthy})


def edge_sends_to_every_zone(limit_s: float = 10.0) -> bool:
    """Wait until the edge holds every zone healthy."""
    wanted = len(client().status()["zones"])
    wait(lambda: healthy_zones_at_edge() == wanted, limit_s, "the edge does not send to every zone")
    return True


def traffic_goes_to(to: str) -> bool:
    """Whether the route that the edge has in force sends all traffic to "primary" or "candidate"."""
    with EdgeAdmin(client().status()["admin"]) as edge:
        return edge.destinations() == {to}
