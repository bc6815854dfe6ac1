"""Writes where the zones are: the endpoints of a cluster, by zone.

Rule: pure. The primary's lie in a file that is replaced whole while Envoy runs, so that one zone can be reached by
another address for a while; connections to all others stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.fleet.ports import LOOPBACK

Json = dict[str, Any]
Ports = Mapping[str, Sequence[int]]
"""Ports of the processes of each zone of a cluster."""
_ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"


def assignment(cluster: str, ports: Ports) -> Json:
    """The endpoints of `cluster`, each zone a locality of its own."""
    localities = [
        {
            "locality": {"zone": zone},
            "lb_endpoints": [{"endpoint": {"address": socket_address(port)}} for port in of_zone],
        }
        for zone, of_zone in ports.items()
    ]
    return {"cluster_name": cluster, "endpoints": localities}


def endpoints(cluster: str, ports: Ports) -> Json:
    """The file of a cluster's endpoints."""
    return {"resources": [{"@type": _ENDPOINTS} | assignment(cluster, ports)]}


def socket_address(port: int) -> Json:
    """A port on loopback, as Envoy writes it."""
    return {"socket_address": {"address": LOOPBACK, "port_value": port}}
