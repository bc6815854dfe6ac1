"""Cloud SQL as far as the experiment goes: instances that fail over between two zones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.experiments.gcp.fake import refusal

if TYPE_CHECKING:
    from tests.experiments.gcp.fake import Call, FakeCloud, Operation

BASE = r"sqladmin\.googleapis\.com/v1/projects/([^/]+)"


class Sql:
    """State by "project/instance" in `instances`."""

    def __init__(self, cloud: FakeCloud) -> None:
        self.cloud = cloud
        self.instances: dict[str, dict[str, Any]] = {}
        cloud.route("GET", BASE + r"/instances/([^/]+)", self.get)
        cloud.route("POST", BASE + r"/instances/([^/]+)/failover", self.failover)
        cloud.route("GET", BASE + r"/operations", self.list_operations)
        cloud.route("GET", BASE + r"/operations/([^/]+)", self.operation)

    def get(self, _call: Call, project: str, instance: str) -> dict[str, Any]:
        if f"{project}/{instance}" not in self.instances:
            raise refusal(404, "NOT_FOUND", instance)
        return self.instances[f"{project}/{instance}"]

    def failover(self, call: Call, project: str, instance: str) -> dict[str, Any]:
        held = self.get(call, project, instance)
        if call.body["failoverContext"]["settingsVersion"] != held["settings"]["settingsVersion"]:
            raise refusal(412, "staleData", "the settings version is old")

        def effect() -> None:
            zones = held["gceZone"], held["secondaryGceZone"]
            held["secondaryGceZone"], held["gceZone"] = zones

        return _shown(self.cloud.start("failover", f"{project}/{instance}", effect))

    def list_operations(self, call: Call, project: str) -> dict[str, Any]:
        target = f"{project}/{call.query['instance']}"
        return {"items": [_shown(one) for one in self.cloud.operations.values() if one.target == target]}

    def operation(self, _call: Call, _project: str, name: str) -> dict[str, Any]:
        operation = self.cloud.operations[name]
        operation.poll()
        return _shown(operation)


def _shown(operation: Operation) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": operation.name, "status": "DONE" if operation.done else "RUNNING"}
    if operation.done and operation.ends == "error":
        shown["error"] = {"errors": [{"code": "OPERATION_FAILED", "message": "the standby is not in sync"}]}
    return shown
