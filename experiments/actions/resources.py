"""Takes a resource away from the processes of a zone that run: memory, or the writing of files.

Rule: see `experiments.actions`. `kind` is "memory_cap" or "disk_full", and the experiment's name too.
"""

from __future__ import annotations

from typing import Any

from experiments import faults
from experiments.actions.zones import revive, seen_pids
from experiments.fleet import client, group, timeline
from experiments.probes.resources import limit_is_lifted


def cap_zone(zone: str, kind: str) -> dict[str, Any]:
    """Lower the limit of each process of the zone: memory to what it uses now, files to no size at all."""
    seen_pids(zone)
    requested_ns = faults.request(kind, zone, undo=restore_limits, zone=zone, kind=kind)
    return client().cap(zone, kind) | {"zone": zone, "requested_ns": requested_ns}


def uncap_zone(zone: str, kind: str) -> dict[str, Any]:
    """Lift the limit; a zone that did not survive it is started anew; nothing happens to one without."""
    fleet = client()
    found = group(fleet.status(), zone)
    if kind not in found["faults"] and found["pids"]:
        return {"zone": zone, "uncapped": False}
    timeline().add("fault_removal_requested", zone, fault=kind)
    fleet.uncap(zone, kind)
    return {"zone": zone, "uncapped": True, "revived": revive(zone)}


def restore_limits(zone: str, kind: str, limit_s: float = 20.0) -> dict[str, Any]:
    """The undo: limits lifted, the zone started anew where that did not help, and waited for until it serves."""
    restored = uncap_zone(zone, kind)
    if restored["uncapped"] or faults.is_open(kind, zone):
        limit_is_lifted(zone, kind, limit_s)
    return restored
