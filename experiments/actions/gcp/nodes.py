"""Drains every node of a zone of a GKE cluster by its zone label, and lets pods come back.

Rule: see `experiments.actions.gcp`. A zone is drained whole or not at all: one node without the allow-list's label
refuses it. Cordon, drain and uncordon are chaostoolkit-kubernetes' own.
"""

from __future__ import annotations

from typing import Any

from chaosk8s.node.actions import cordon_node, drain_nodes, uncordon_node
from chaoslib.exceptions import ActivityFailed

from experiments.cloud import calls, journal
from experiments.cloud.allow_list import allow_list
from experiments.cloud.kubernetes_calls import guarded
from experiments.probes.gcp.nodes import FAULT, ZONE_LABEL, Node, nodes_of, pods_on, prove_taking_pods, zone_path


def drain_zone(project: str, zone: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Cordon every node of the zone, then evict the pods on them; `limit_s` is for the pods of each node."""
    names, reason = _checked(project, zone, nodes_of(zone))
    undo = {"project": project, "zone": zone, "nodes": names, "limit_s": limit_s}
    requested_ns = journal.request(FAULT, zone, zone_path(project, zone), restore_zone, **undo)
    selector = f"{ZONE_LABEL}={zone},{allow_list().label}"
    with guarded(nodes=names, reason=reason):
        cordon_node(label_selector=selector)
    pods = pods_on(names)
    with guarded(nodes=names, pods=pods, reason=reason):
        drain_nodes(label_selector=selector, delete_pods_with_local_storage=True, timeout=int(limit_s))
    return {"nodes": names, "pods": pods, "requested_ns": requested_ns}


def uncordon_zone(project: str, zone: str, limit_s: float = 120.0) -> dict[str, Any]:
    """Let pods be scheduled again on each node that `drain_zone` was meant for; the limit is each call's own."""
    del limit_s
    return {"uncordoned": _uncordon(project, zone, journal.kept(FAULT, zone, zone_path(project, zone))["nodes"])}


def restore_zone(project: str, zone: str, nodes: list[str], limit_s: float = 120.0) -> dict[str, Any]:
    """The undo of `drain_zone`: uncordon what of `nodes` is there and takes no pods, and see that all do."""
    return {"uncordoned": _uncordon(project, zone, nodes)} | prove_taking_pods(project, zone, nodes, limit_s)


def _uncordon(project: str, zone: str, names: list[str]) -> list[str]:
    present = [node for node in nodes_of(zone) if node.name in names and (calls.dry_run() or not node.takes_pods)]
    if not present:
        return []
    checked, reason = _checked(project, zone, present)
    journal.removing(FAULT, zone)
    for name in checked:
        with guarded(nodes=[name], reason=reason):
            uncordon_node(name=name)
    return checked


def _checked(project: str, zone: str, nodes: list[Node]) -> tuple[list[str], str]:
    """The nodes' names, once each was found on the allow-list, by its own labels, in this project and zone."""
    if not nodes:
        raise ActivityFailed(f"no node carries {ZONE_LABEL}={zone}")
    allowed = allow_list()
    begin = zone_path(project, zone).removesuffix("nodes")
    if strange := [node.name for node in nodes if not node.path.startswith(begin)]:
        raise ActivityFailed(f"{strange} are no machines in {begin}: KUBECONFIG names another cluster")
    reasons = [allowed.by_label(node.path, node.labels, zone).reason for node in nodes]
    return sorted(node.name for node in nodes), reasons[0]
