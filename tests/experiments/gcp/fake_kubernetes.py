"""A Kubernetes API server as far as the experiment goes: nodes, the pods on them, cordon and eviction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.experiments.gcp.fake import refusal

if TYPE_CHECKING:
    from tests.experiments.gcp.fake import Call, FakeCloud

ZONE_LABEL = "topology.kubernetes.io/zone"


class Kubernetes:
    """State in `nodes` by name and `pods` by "namespace/name"; `evictable` pods go at once, the others never."""

    def __init__(self, cloud: FakeCloud) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, dict[str, Any]] = {}
        self.stuck: set[str] = set()
        self.refuses_evictions = False
        cloud.route("GET", "kubernetes/api/v1/nodes", self.list_nodes)
        cloud.route("PATCH", "kubernetes/api/v1/nodes/([^/]+)", self.patch)
        cloud.route("GET", "kubernetes/api/v1/pods", self.list_pods)
        cloud.route("GET", "kubernetes/api/v1/namespaces/([^/]+)/pods/([^/]+)", self.pod)
        cloud.route("POST", "kubernetes/api/v1/namespaces/([^/]+)/pods/([^/]+)/eviction", self.evict)

    def add_node(self, name: str, project: str, zone: str, **labels: str) -> None:
        self.nodes[name] = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {ZONE_LABEL: zone} | labels},
            "spec": {"providerID": f"gce://{project}/{zone}/{name}"},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }

    def add_pod(self, name: str, node: str, owner: str = "ReplicaSet") -> None:
        owners = [{"apiVersion": "apps/v1", "kind": owner, "name": "owner", "uid": "1", "controller": True}]
        self.pods[f"default/{name}"] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "uid": name, "ownerReferences": owners},
            "spec": {"nodeName": node, "containers": [{"name": "c"}], "volumes": [{"name": "v"}]},
            "status": {"phase": "Running"},
        }

    def list_nodes(self, call: Call) -> dict[str, Any]:
        labels = dict(part.split("=") for part in call.query.get("labelSelector", "").split(",") if part)
        name = call.query.get("fieldSelector", "").partition("metadata.name=")[2]
        found = [
            node
            for node in self.nodes.values()
            if labels.items() <= node["metadata"]["labels"].items() and name in {"", node["metadata"]["name"]}
        ]
        return {"apiVersion": "v1", "kind": "NodeList", "items": found}

    def patch(self, call: Call, name: str) -> dict[str, Any]:
        self.nodes[name]["spec"].update(call.body["spec"])
        return self.nodes[name]

    def list_pods(self, call: Call) -> dict[str, Any]:
        node = call.query["fieldSelector"].partition("spec.nodeName=")[2]
        found = [pod for pod in self.pods.values() if pod["spec"]["nodeName"] == node]
        return {"apiVersion": "v1", "kind": "PodList", "items": found}

    def pod(self, _call: Call, namespace: str, name: str) -> dict[str, Any]:
        if f"{namespace}/{name}" not in self.pods:
            raise refusal(404, "NotFound", name)
        return self.pods[f"{namespace}/{name}"]

    def evict(self, _call: Call, namespace: str, name: str) -> dict[str, Any]:
        if self.refuses_evictions:
            raise refusal(429, "TooManyRequests", "the disruption budget needs 1 healthy pod")
        if name not in self.stuck:
            del self.pods[f"{namespace}/{name}"]
        return {"apiVersion": "v1", "kind": "Status", "status": "Success"}
