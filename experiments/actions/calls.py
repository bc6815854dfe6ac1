"""Disturbs the inferences of one zone: a share of them is slow, or ends with a gRPC code; health checks pass.

Rule: see `experiments.actions`.
"""

from __future__ import annotations

from typing import Any

from experiments import faults
from experiments.fleet import client, group, timeline
from experiments.probes.calls import calls_pass

LATENCY = "zone_latency"
ERRORS = "zone_errors"


def delay_calls(zone: str, share_percent: int, delay_s: float) -> dict[str, Any]:
    """Hold a share of the zone's inferences back for `delay_s` before it gets them."""
    requested_ns = faults.request(LATENCY, zone, undo=restore_calls, zone=zone, fault=LATENCY)
    return client().disturb(zone, share_percent=share_percent, delay_s=delay_s) | {"requested_ns": requested_ns}


def fail_calls(zone: str, share_percent: int, code: str) -> dict[str, Any]:
    """Answer a share of the zone's inferences with the gRPC code of this name in its stead."""
    requested_ns = faults.request(ERRORS, zone, undo=restore_calls, zone=zone, fault=ERRORS)
    return client().disturb(zone, share_percent=share_percent, code=code) | {"requested_ns": requested_ns}


def leave_calls_alone(zone: str, fault: str) -> dict[str, Any]:
    """Reach the zone directly again; nothing happens to one that is."""
    fleet = client()
    if "disturbed" not in group(fleet.status(), zone)["faults"]:
        return {"zone": zone, "undisturbed": False}
    timeline().add("fault_removal_requested", zone, fault=fault)
    fleet.undisturb(zone)
    return {"zone": zone, "undisturbed": True}


def restore_calls(zone: str, fault: str, limit_s: float = 20.0) -> dict[str, Any]:
    """The undo of both: the zone is reached directly again, and waited for until the sidecar is gone."""
    restored = leave_calls_alone(zone, fault)
    if restored["undisturbed"] or faults.is_open(fault, zone):
        calls_pass(zone, fault, limit_s)
    return restored
