"""Breaks the processes of a zone, and heals them: crash, freeze, drain.

Rule: see `experiments.actions`. `fault` is the experiment for which it is done.
"""

from __future__ import annotations

from typing import Any

from chaoslib.exceptions import ActivityFailed

from experiments import faults
from experiments.fleet import client, group, timeline
from experiments.probes.zones import processes_listening, serves_within, zone_runs, zone_serves

CRASH = "zone_crash"
FREEZE = "zone_freeze"
DRAIN = "graceful_drain"


def crash_zone(zone: str, fault: str = CRASH) -> dict[str, Any]:
    """Kill every process of a zone with SIGKILL; the supervisor keeps it down until it is started."""
    pids = seen_pids(zone)
    requested_ns = faults.request(fault, zone, undo=restore_zone, zone=zone, fault=fault)
    client().kill(zone)
    return {"zone": zone, "pids_before": pids, "requested_ns": requested_ns}


def drain_zone(zone: str) -> dict[str, Any]:
    """Ask every process of a zone to leave, by SIGTERM; nobody restarts it until it is started."""
    pids = seen_pids(zone)
    requested_ns = faults.request(DRAIN, zone, undo=restore_zone, zone=zone, fault=DRAIN)
    client().drain(zone)
    return {"zone": zone, "pids_before": pids, "requested_ns": requested_ns}


def start_zone(zone: str, fault: str = CRASH) -> dict[str, Any]:
    """Start a zone that is down or leaving; nothing happens to one that is up."""
    fleet = client()
    state = group(fleet.status(), zone)["state"]
    if state not in {"down", "draining"}:
        return {"zone": zone, "started": False}
    if state == "draining":
        fleet.kill(zone)
    fleet.start(zone)
    timeline().add("fault_removal_requested", zone, fault=fault)
    return {"zone": zone, "started": True}


def restore_zone(zone: str, fault: str = CRASH, limit_s: float = 20.0) -> dict[str, Any]:
    """The undo of a crash and of a drain: a zone that is down is started, and waited for until it serves."""
    restored = start_zone(zone, fault)
    if restored["started"] or faults.is_open(fault, zone):
        zone_serves(zone, fault, limit_s)
    return restored


def freeze_zone(zone: str) -> dict[str, Any]:
    """Stop every process of a zone with SIGSTOP: its ports stay open, and nobody answers."""
    pids = seen_pids(zone)
    requested_ns = faults.request(FREEZE, zone, undo=restore_thawed_zone, zone=zone)
    client().freeze(zone)
    return {"zone": zone, "pids": pids, "requested_ns": requested_ns}


def thaw_zone(zone: str) -> dict[str, Any]:
    """Let a frozen zone go on; nothing happens to one that is not frozen."""
    fleet = client()
    if group(fleet.status(), zone)["state"] != "frozen":
        return {"zone": zone, "thawed": False}
    timeline().add("fault_removal_requested", zone, fault=FREEZE)
    fleet.thaw(zone)
    return {"zone": zone, "thawed": True}


def restore_thawed_zone(zone: str, limit_s: float = 20.0) -> dict[str, Any]:
    """The undo of a freeze: thawed, started anew where that did not help, and waited for until it serves."""
    restored = thaw_zone(zone)
    if restored["thawed"] or faults.is_open(FREEZE, zone):
        revive(zone)
        zone_runs(zone, FREEZE, limit_s)
    return restored


def revive(zone: str, limit_s: float = 5.0) -> bool:
    """Start a zone anew that does not serve within the limit; returns whether that was needed."""
    fleet = client()
    if group(fleet.status(), zone)["pids"] and serves_within(zone, limit_s):
        return False
    fleet.kill(zone)
    fleet.start(zone)
    return True


def seen_pids(zone: str) -> list[int]:
    """The zone's processes in the process table. Raises ActivityFailed without any: no fault could be proven there."""
    pids = processes_listening(group(client().status(), zone)["ports"])
    if not pids:
        raise ActivityFailed(f"no process of {zone} is seen in the process table: its fault could not be proven there")
    return pids
