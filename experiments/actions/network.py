"""Cuts a zone off: packets that reach it vanish, also on connections that are open.

Rule: see `experiments.actions`. Nothing is refused and nothing is closed, so that only silence tells.
"""

from __future__ import annotations

from typing import Any

from experiments import faults
from experiments.actions.zones import revive, seen_pids
from experiments.fleet import client, group, timeline
from experiments.probes.network import zone_hears

BLACK_HOLE = "zone_black_hole"


def isolate_zone(zone: str) -> dict[str, Any]:
    """Have the kernel drop every packet that reaches the zone's sockets."""
    pids = seen_pids(zone)
    requested_ns = faults.request(BLACK_HOLE, zone, undo=restore_network, zone=zone)
    isolated = client().isolate(zone)
    return {"zone": zone, "pids": pids, "sockets": isolated["sockets"], "requested_ns": requested_ns}


def rejoin_zone(zone: str) -> dict[str, Any]:
    """Let packets reach the zone again; nothing happens to one that they reach."""
    fleet = client()
    if "isolated" not in group(fleet.status(), zone)["faults"]:
        return {"zone": zone, "rejoined": False}
    timeline().add("fault_removal_requested", zone, fault=BLACK_HOLE)
    fleet.rejoin(zone)
    return {"zone": zone, "rejoined": True}


def restore_network(zone: str, limit_s: float = 20.0) -> dict[str, Any]:
    """The undo of a black hole: rejoined, started anew where that did not help, and waited for until it serves."""
    restored = rejoin_zone(zone)
    if restored["rejoined"] or faults.is_open(BLACK_HOLE, zone):
        revive(zone)
        zone_hears(zone, BLACK_HOLE, limit_s)
    return restored
