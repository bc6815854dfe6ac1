"""Takes a zone out of a load balancer by emptying its network endpoint group, and puts the same endpoints back.

Rule: see `experiments.actions.gcp`. Endpoint groups have no labels: they are checked by the beginning of their name.
"""

from __future__ import annotations

from typing import Any

from chaoslib.exceptions import ActivityFailed

from experiments.cloud import calls, journal, operations
from experiments.cloud.allow_list import allow_list
from experiments.probes.gcp import endpoints as reading
from experiments.probes.gcp.endpoints import FAULT, Endpoint, Group

ENDPOINTS_IN_A_CALL = 500
"""The most that the interface takes at once (the reference of networkEndpointGroups.detachNetworkEndpoints)."""


def detach_zone(project: str, zone: str, neg: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Detach every endpoint of the zone's group, once they are written down."""
    group = Group(project, zone, neg)
    allow_list().by_name(group.path, zone)
    saved = reading.endpoints(group)
    if not saved:
        raise ActivityFailed(f"{group.path} holds no endpoint: taking none away would show nothing")
    undo = {"project": project, "zone": zone, "neg": neg, "endpoints": saved, "limit_s": limit_s}
    requested_ns = journal.request(FAULT, zone, group.path, restore_zone, **undo)
    _change("detachNetworkEndpoints", group, saved, limit_s)
    return {"neg": group.path, "endpoints": saved, "requested_ns": requested_ns}


def attach_zone(project: str, zone: str, neg: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Attach again what `detach_zone` took and the group does not hold."""
    group = Group(project, zone, neg)
    return {"attached": _attach(group, journal.kept(FAULT, zone, group.path)["endpoints"], limit_s)}


def restore_zone(
    project: str, zone: str, neg: str, endpoints: list[Endpoint], limit_s: float = 120.0
) -> dict[str, Any]:
    """The undo of `detach_zone`: attach what is missing of `endpoints`, and see that the group holds them all."""
    group = Group(project, zone, neg)
    attached = _attach(group, endpoints, limit_s)
    return {"attached": attached} | reading.prove_attached(group, endpoints, limit_s)


def _attach(group: Group, saved: list[Endpoint], limit_s: float) -> int:
    held = [] if calls.dry_run() else reading.endpoints(group)
    missing = [endpoint for endpoint in saved if endpoint not in held]
    if missing:
        journal.removing(FAULT, group.zone)
        _change("attachNetworkEndpoints", group, missing, limit_s)
    return len(missing)


def _change(method: str, group: Group, changed: list[Endpoint], limit_s: float) -> None:
    groups = calls.service("compute", "v1").networkEndpointGroups()
    for first in range(0, len(changed), ENDPOINTS_IN_A_CALL):
        allowed = allow_list().by_name(group.path, group.zone)
        request = getattr(groups, method)(
            project=group.project,
            zone=group.zone,
            networkEndpointGroup=group.neg,
            body={"networkEndpoints": changed[first : first + ENDPOINTS_IN_A_CALL]},
        )
        operations.finish_compute([calls.write(request, allowed)], group.project, limit_s)
