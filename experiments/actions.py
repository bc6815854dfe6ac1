"""What experiments do to the fleet: break a zone, heal it, switch versions.

Rule: an action asks the supervisor and records when; it proves nothing (that is for `experiments.probes`). Every undo
may be called again and again.
"""

from __future__ import annotations

from typing import Any

from chaoslib.exceptions import ActivityFailed

from experiments.fleet import client, group, timeline
from experiments.probes import processes_listening, zone_serves


def crash_zone(zone: str) -> dict[str, Any]:
    """Kill every process of a zone with SIGKILL; the supervisor keeps it down until it is started."""
    fleet = client()
    before = group(fleet.status(), zone)
    if not processes_listening(before["ports"]):
        raise ActivityFailed(f"no process of {zone} is seen in the process table: its death could not be proven there")
    requested_ns = timeline().add("fault_requested", zone, fault="zone_crash", pids=before["pids"])
    fleet.kill(zone)
    return {"zone": zone, "pids_before": before["pids"], "requested_ns": requested_ns}


def start_zone(zone: str) -> dict[str, Any]:
    """Start a zone that is down; nothing happens to one that is up."""
    fleet = client()
    if group(fleet.status(), zone)["state"] != "down":
        return {"zone": zone, "started": False}
    fleet.start(zone)
    timeline().add("fault_removal_requested", zone, fault="zone_crash")
    return {"zone": zone, "started": True}


def restore_zone(zone: str, limit_s: float = 20.0) -> dict[str, Any]:
    """The rollback of `crash_zone`: a zone that is still down is started, and waited for until it serves."""
    restored = start_zone(zone)
    if restored["started"]:
        zone_serves(zone, limit_s)
    return restored


def switch_traffic(to: str) -> dict[str, Any]:
    """Send all traffic to "candidate" or back to "primary"; nothing happens when it already goes there."""
    fleet = client()
    if fleet.status()["route"]["to"] == to:
        return {"to": to, "switched": False}
    log = timeline()
    replaced_ns = fleet.route(to=to, mirror=False)["t_monotonic_ns"] - log.zero_ns
    log.add("promoted" if to == "candidate" else "rolled_back", to, t_ns=replaced_ns)
    return {"to": to, "switched": True, "replaced_ns": replaced_ns}
