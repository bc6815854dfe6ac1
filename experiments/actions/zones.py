"""Breaks the processes of a zone, and heals them.

Rule: see `experiments.actions`.
"""

from __future__ import annotations

from typing import Any

from chaoslib.exceptions import ActivityFailed

from experiments import faults
from experiments.fleet import client, group, timeline
from experiments.probes.zones import processes_listening, zone_serves

CRASH = "zone_crash"


def crash_zone(zone: str) -> dict[str, Any]:
    """Kill every process of a zone with SIGKILL; the supervisor keeps it down until it is started."""
    fleet = client()
    before = group(fleet.status(), zone)
    if not processes_listening(before["ports"]):
        raise ActivityFailed(f"no process of {zone} is seen in the process table: its death could not be proven there")
    requested_ns = faults.request(CRASH, zone, undo=restore_zone, zone=zone)
    fleet.kill(zone)
    return {"zone": zone, "pids_before": before["pids"], "requested_ns": requested_ns}


def start_zone(zone: str) -> dict[str, Any]:
    """Start a zone that is down; nothing happens to one that is up."""
    fleet = client()
    if group(fleet.status(), zone)["state"] != "down":
        return {"zone": zone, "started": False}
    fleet.start(zone)
    timeline().add("fault_removal_requested", zone, fault=CRASH)
    return {"zone": zone, "started": True}


def restore_zone(zone: str, limit_s: float = 20.0) -> dict[str, Any]:
    """The rollback of `crash_zone`: a zone that is still down is started, and waited for until it serves."""
    restored = start_zone(zone)
    if restored["started"]:
        zone_serves(zone, CRASH, limit_s)
    return restored
