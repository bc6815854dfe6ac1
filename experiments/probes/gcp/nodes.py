"""Reads the nodes of a zone of a GKE cluster: whether they take pods, and which pods are on them.

Rule: see `experiments.probes.gcp`. The cluster is the one that KUBECONFIG names; that its nodes are machines of the
allowed project and zone is read from each node's own `providerID`, not from its name.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chaosk8s import create_k8s_api_client
from chaosk8s.node.probes import get_nodes
from chaoslib.exceptions import ActivityFailed
from kubernetes.client import CoreV1Api

from experiments.cloud import calls, journal
from experiments.cloud.allow_list import address
from experiments.cloud.kubernetes_calls import guarded

FAULT = "gke_zone_drain"
ZONE_LABEL = "topology.kubernetes.io/zone"
"""A well-known label (kubernetes.io/docs/reference/labels-annotations-taints), set by the cloud's controller."""
MIRROR = "kubernetes.io/config.mirror"
"""Annotation of a pod that the node itself runs from a file: it is not evicted, here or by kubectl."""


class Node(NamedTuple):
    """A node as it says of itself; `path` is its machine's, from its `providerID` ("gce://PROJECT/ZONE/NAME")."""

    name: str
    labels: dict[str, str]
    path: str
    ready: bool
    takes_pods: bool


def zone_path(project: str, zone: str) -> str:
    """What names the nodes of a zone in the journal."""
    return address("projects", project, "zones", zone, "nodes")


def nodes_of(zone: str) -> list[Node]:
    """Every node whose zone label is `zone`. Raises ActivityFailed."""
    with guarded():
        found = get_nodes(label_selector=f"{ZONE_LABEL}={zone}")
    return [_node(one) for one in found["items"]]


def pods_on(nodes: list[str]) -> list[str]:
    """Every pod on these nodes that a drain should move, as "namespace/name": no DaemonSet's, none of the node's."""
    found: list[Any] = []
    with guarded():
        api = CoreV1Api(create_k8s_api_client())
        for node in nodes:
            listed = api.list_pod_for_all_namespaces(field_selector=f"spec.nodeName={node}").items
            found += [pod.metadata for pod in listed if _moves(pod.metadata)]
    return [f"{metadata.namespace}/{metadata.name}" for metadata in found]


def every_node_takes_pods(project: str, zone: str) -> bool:
    """Whether the zone has nodes in this project, and each is ready and takes pods."""
    begin = zone_path(project, zone).removesuffix("nodes")
    nodes = nodes_of(zone)
    return bool(nodes) and all(node.ready and node.takes_pods and node.path.startswith(begin) for node in nodes)


def zone_is_drained(project: str, zone: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Wait until no node of the zone takes pods and no pod that moves is on one; records `fault_in_place`."""
    nodes = _meant(project, zone)
    journal.until(lambda: _is_drained(zone, nodes), limit_s, f"{zone} is not drained")
    return {"nodes": nodes, "seen_ns": journal.in_place(FAULT, zone, "the nodes and the pods on them", nodes=nodes)}


def zone_stays_drained(project: str, zone: str) -> bool:
    """It still is; raises when a node takes pods again by itself, or a new one came."""
    if not _is_drained(zone, _meant(project, zone)) and not calls.dry_run():
        raise ActivityFailed(f"{zone} did not stay drained")
    return True


def zone_takes_pods(project: str, zone: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Wait until each node that the fault was meant for takes pods; records `fault_removed`."""
    return prove_taking_pods(project, zone, _meant(project, zone), limit_s)


def prove_taking_pods(project: str, zone: str, names: list[str], limit_s: float) -> dict[str, Any]:
    """The same, told which. A node that is gone (an autoscaler took the empty one) is named."""

    def all_take_pods() -> bool:
        return all(node.takes_pods for node in nodes_of(zone) if node.name in names)

    journal.until(all_take_pods, limit_s, f"not all of {names} take pods")
    present = {node.name for node in nodes_of(zone)}
    absent = [name for name in names if name not in present]
    seen_ns = journal.gone(FAULT, zone, zone_path(project, zone), "the nodes", nodes=names, absent=absent)
    return {"nodes": names, "absent": absent, "seen_ns": seen_ns}


def _is_drained(zone: str, names: list[str]) -> bool:
    nodes = nodes_of(zone)
    return (
        {node.name for node in nodes} == set(names)
        and not any(node.takes_pods for node in nodes)
        and not pods_on(names)
    )


def _meant(project: str, zone: str) -> list[str]:
    return list(journal.kept(FAULT, zone, zone_path(project, zone))["nodes"])


def _moves(metadata: Any) -> bool:
    owners = {owner.kind for owner in metadata.owner_references or ()}
    return "DaemonSet" not in owners and MIRROR not in (metadata.annotations or {})


def _node(one: dict[str, Any]) -> Node:
    metadata, spec = one["metadata"], one.get("spec", {})
    _, _, place = spec.get("providerID", "").partition("gce://")
    project, zone, machine = place.split("/") if place.count("/") == 2 else ("", "", "")  # noqa: PLR2004
    conditions = {condition["type"]: condition["status"] for condition in one.get("status", {}).get("conditions", [])}
    return Node(
        name=metadata["name"],
        labels=metadata.get("labels", {}),
        path=f"projects/{project}/zones/{zone}/instances/{machine}",
        ready=conditions.get("Ready") == "True",
        takes_pods=not spec.get("unschedulable", False),
    )
