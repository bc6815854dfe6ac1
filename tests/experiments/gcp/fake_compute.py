"""Compute Engine as far as the experiments go: endpoint groups, instances, URL maps, and their operations."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tests.experiments.gcp.fake import Answer, refusal

if TYPE_CHECKING:
    from tests.experiments.gcp.fake import Call, FakeCloud, Operation

BASE = r"compute\.googleapis\.com/compute/v1/projects/([^/]+)"
LINK = "https://www.googleapis.com/compute/v1/"


class Compute:
    """State by resource path; tests put resources into `groups`, `machines` and `maps`."""

    def __init__(self, cloud: FakeCloud) -> None:
        self.cloud = cloud
        self.groups: dict[str, list[dict[str, Any]]] = {}
        self.machines: dict[str, dict[str, Any]] = {}
        self.maps: dict[str, dict[str, Any]] = {}
        zone = BASE + r"/zones/([^/]+)"
        scope = BASE + r"/(global|regions/[^/]+)"
        cloud.route("GET", zone + r"/networkEndpointGroups/([^/]+)", self.group)
        cloud.route("POST", zone + r"/networkEndpointGroups/([^/]+)/listNetworkEndpoints", self.endpoints)
        cloud.route("POST", zone + r"/networkEndpointGroups/([^/]+)/(detach|attach)NetworkEndpoints", self.change)
        cloud.route("GET", zone + r"/instances", self.instances)
        cloud.route("GET", zone + r"/instances/([^/]+)", self.instance)
        cloud.route("POST", zone + r"/instances/([^/]+)/(suspend|resume)", self.power)
        cloud.route("GET", scope + r"/urlMaps/([^/]+)", self.url_map)
        cloud.route("PUT", scope + r"/urlMaps/([^/]+)", self.update)
        cloud.route("GET", BASE + r"/(zones/[^/]+|regions/[^/]+|global)/operations", self.list_operations)
        cloud.route("GET", BASE + r"/(zones/[^/]+|regions/[^/]+|global)/operations/([^/]+)", self.operation)

    def group(self, _call: Call, project: str, zone: str, name: str) -> dict[str, Any]:
        held = _found(self.groups, f"projects/{project}/zones/{zone}/networkEndpointGroups/{name}")
        return {"name": name, "size": len(held), "networkEndpointType": "GCE_VM_IP_PORT"}

    def endpoints(self, _call: Call, project: str, zone: str, name: str) -> dict[str, Any]:
        held = _found(self.groups, f"projects/{project}/zones/{zone}/networkEndpointGroups/{name}")
        return {"items": [{"networkEndpoint": endpoint} for endpoint in held]}

    def change(self, call: Call, project: str, zone: str, name: str, verb: str) -> dict[str, Any]:
        path = f"projects/{project}/zones/{zone}/networkEndpointGroups/{name}"
        held, changed = _found(self.groups, path), call.body["networkEndpoints"]

        def effect() -> None:
            kept = [endpoint for endpoint in held if endpoint not in changed]
            held[:] = kept if verb == "detach" else kept + changed

        return self._started(f"{verb}NetworkEndpoints", path, effect)

    def instances(self, _call: Call, project: str, zone: str) -> dict[str, Any]:
        begin = f"projects/{project}/zones/{zone}/instances/"
        return {"items": [machine for path, machine in self.machines.items() if path.startswith(begin)]}

    def instance(self, _call: Call, project: str, zone: str, name: str) -> dict[str, Any]:
        return _found(self.machines, f"projects/{project}/zones/{zone}/instances/{name}")

    def power(self, _call: Call, project: str, zone: str, name: str, verb: str) -> dict[str, Any]:
        path = f"projects/{project}/zones/{zone}/instances/{name}"
        machine = _found(self.machines, path)
        wanted = {"suspend": "RUNNING", "resume": "SUSPENDED"}[verb]
        if machine["status"] != wanted:
            raise refusal(400, "INVALID", f"the instance is {machine['status']}, not {wanted}")
        after = {"suspend": "SUSPENDED", "resume": "RUNNING"}[verb]
        return self._started(verb, path, lambda: machine.update(status=after))

    def url_map(self, _call: Call, project: str, scope: str, name: str) -> dict[str, Any]:
        return _found(self.maps, f"projects/{project}/{scope}/urlMaps/{name}")

    def update(self, call: Call, project: str, scope: str, name: str) -> dict[str, Any]:
        path = f"projects/{project}/{scope}/urlMaps/{name}"
        held = _found(self.maps, path)
        if call.body.get("fingerprint") != held["fingerprint"]:
            raise refusal(412, "CONDITION_NOT_MET", "Invalid fingerprint.")

        def effect() -> None:
            held.clear()
            held.update(copy.deepcopy(call.body))
            held["fingerprint"] += "1"

        return self._started("updateUrlMap", path, effect)

    def list_operations(self, call: Call, _project: str, scope: str) -> dict[str, Any]:
        if call.query.get("filter") != "status != DONE":  # as the interface's reference writes a filter
            raise refusal(400, "INVALID", f"Invalid value for field 'filter': {call.query}")
        known = [one for one in self.cloud.operations.values() if f"/{scope}/" in f"/{one.target}" and not one.done]
        return {"items": [_shown(one) for one in known]}

    def operation(self, _call: Call, _project: str, _scope: str, name: str) -> dict[str, Any]:
        if name not in self.cloud.operations:
            raise refusal(404, "NOT_FOUND", name)
        operation = self.cloud.operations[name]
        operation.poll()
        return _shown(operation)

    def _started(self, verb: str, path: str, effect: Any) -> dict[str, Any]:
        return _shown(self.cloud.start(verb, path, effect))


def _shown(operation: Operation) -> dict[str, Any]:
    parts = operation.target.split("/")
    shown: dict[str, Any] = {
        "name": operation.name,
        "status": "DONE" if operation.done else "RUNNING",
        "targetLink": LINK + operation.target.replace(parts[1], "123456789012"),
        "id": "1",
    }
    if parts[2] in {"zones", "regions"}:
        shown[parts[2][:-1]] = LINK + "/".join(parts[:4])
    if operation.done and operation.ends == "error":
        shown["error"] = {"errors": [{"code": "RESOURCE_IN_USE", "message": "the resource is in use"}]}
        shown["httpErrorStatusCode"] = 400
    return shown


def _found(resources: dict[str, Any], path: str) -> Any:
    if path not in resources:
        raise Answer(404, {"error": {"code": 404, "message": f"{path} was not found"}})
    return resources[path]
