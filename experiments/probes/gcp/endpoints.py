"""Reads which endpoints a zone's network endpoint group holds: those that the load balancer can send to.

Rule: see `experiments.probes.gcp`. A group that holds none gets no new request; what the load balancer's own proxies
do with open connections is not seen here.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from chaosgcp.neg.probes import get_network_endpoint_group
from chaoslib.exceptions import ActivityFailed
from google.cloud import compute_v1

from experiments.cloud import calls, journal
from experiments.cloud.allow_list import address
from experiments.cloud.reading import COMPUTE, compute_client, finished, told

FAULT = "zone_out_of_load_balancer"

Endpoint = dict[str, Any]
"""An endpoint as the REST interface writes it: {"instance": …, "ipAddress": …, "port": …}."""


class Group(NamedTuple):
    """A zonal network endpoint group."""

    project: str
    zone: str
    neg: str

    @property
    def path(self) -> str:
        """Its address behind the interface's version."""
        return address("projects", self.project, "zones", self.zone, "networkEndpointGroups", self.neg)


def endpoints(group: Group) -> list[Endpoint]:
    """Every endpoint of the group, in a fixed order."""
    calls.reading("POST", f"{COMPUTE}/{group.path}/listNetworkEndpoints", {})
    request = compute_v1.ListNetworkEndpointsNetworkEndpointGroupsRequest(
        project=group.project, zone=group.zone, network_endpoint_group=group.neg
    )
    client = compute_client(compute_v1.NetworkEndpointGroupsClient)
    with told(group.path):
        held = [
            entry.network_endpoint for entry in client.list_network_endpoints(request=request, timeout=calls.CALL_S)
        ]
    plain = [_plain(endpoint) for endpoint in held]
    return sorted(plain, key=lambda endpoint: json.dumps(endpoint, sort_keys=True))


def zone_holds_endpoints(project: str, zone: str, neg: str) -> bool:
    """Whether the load balancer has endpoints in this zone: as many as the group says that it has, and at least one."""
    group = Group(project, zone, neg)
    calls.reading("GET", f"{COMPUTE}/{group.path}")
    with told(group.path):
        described = get_network_endpoint_group(neg, zone, project_id=project, configuration={})
    return 0 < int(described["size"]) == len(endpoints(group))


def zone_is_detached(project: str, zone: str, neg: str, limit_s: float = 30.0) -> dict[str, Any]:
    """Wait until the group holds no endpoint; records `fault_in_place` when that is first seen."""
    group = Group(project, zone, neg)
    journal.until(lambda: not endpoints(group), limit_s, f"{group.path} still holds endpoints")
    return {"neg": group.path, "seen_ns": journal.in_place(FAULT, zone, "the group's list of endpoints", neg=neg)}


def zone_stays_detached(project: str, zone: str, neg: str) -> bool:
    """The group still holds no endpoint; raises when a controller attached some again by itself."""
    group = Group(project, zone, neg)
    held = endpoints(group)
    if held and not calls.dry_run():
        raise ActivityFailed(f"{group.path} holds {len(held)} endpoints again: something attached them")
    return True


def zone_is_attached(project: str, zone: str, neg: str, limit_s: float = 30.0) -> dict[str, Any]:
    """Wait until the group holds every endpoint that the fault took; records `fault_removed`."""
    group = Group(project, zone, neg)
    return prove_attached(group, journal.kept(FAULT, zone, group.path)["endpoints"], limit_s)


def prove_attached(group: Group, saved: list[Endpoint], limit_s: float) -> dict[str, Any]:
    """The same, told which. An operation on the group that is still under way could take them again: none may be."""

    def is_back() -> bool:
        held = endpoints(group)
        return all(endpoint in held for endpoint in saved) and finished(group.path)

    journal.until(is_back, limit_s, f"{group.path} lacks some of its {len(saved)} endpoints, or is still changing")
    seen_ns = journal.gone(FAULT, group.zone, group.path, "the group's list of endpoints", neg=group.neg)
    return {"neg": group.path, "endpoints": len(saved), "seen_ns": seen_ns}


def _plain(endpoint: compute_v1.NetworkEndpoint) -> Endpoint:
    text = compute_v1.NetworkEndpoint.to_json(endpoint, always_print_fields_with_no_presence=False)
    plain: Endpoint = json.loads(text)
    return plain
