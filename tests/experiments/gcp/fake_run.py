"""Cloud Run as far as the experiment goes: one service, written over REST, read over gRPC."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
from google.cloud import run_v2

from tests.experiments.gcp.fake import Call, refusal

if TYPE_CHECKING:
    from tests.experiments.gcp.fake import FakeCloud, Operation

BASE = r"run\.googleapis\.com/v2/"
OLD, NEW = "model-00001", "model-00002"
TYPES = {"TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST": 1, "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION": 2}
LATEST = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100, "tag": "now"}


class Run:
    """One service at `path` with two ready revisions; all its traffic goes to the latest."""

    def __init__(self, cloud: FakeCloud, path: str) -> None:
        self.cloud, self.path = cloud, path
        self.labels = {"chaos": "allowed"}
        self.traffic: list[dict[str, Any]] = [LATEST]
        self.etag = 1
        self._server = grpc.server(ThreadPoolExecutor(2))
        methods = {"Services/GetService": self.get_over_grpc, "Revisions/ListRevisions": self.revisions}
        kinds = {
            "Services/GetService": run_v2.GetServiceRequest,
            "Revisions/ListRevisions": run_v2.ListRevisionsRequest,
        }
        for name, method in methods.items():
            service, _, rpc = f"google.cloud.run.v2.{name}".partition("/")
            handler = grpc.unary_unary_rpc_method_handler(
                method,
                request_deserializer=kinds[name].deserialize,
                response_serializer=lambda answer: type(answer).serialize(answer),
            )
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {rpc: handler}),))
        cloud.front.grpc_port = self._server.add_insecure_port("127.0.0.1:0")
        cloud.at_close.append(lambda: self._server.stop(grace=None).wait())
        self._server.start()
        cloud.route("GET", BASE + r"(projects/[^/]+/locations/[^/]+/services/[^/]+)", self.get)
        cloud.route("PATCH", BASE + r"(projects/[^/]+/locations/[^/]+/services/[^/]+)", self.patch)
        cloud.route("GET", BASE + r"(projects/[^/]+/locations/[^/]+/operations/[^/]+)", self.operation)

    def get(self, _call: Call, path: str) -> dict[str, Any]:
        if path != self.path:
            raise refusal(404, "NOT_FOUND", path)
        return {"name": path, "labels": self.labels, "traffic": self.traffic, "etag": str(self.etag)}

    def patch(self, call: Call, path: str) -> dict[str, Any]:
        if call.body["etag"] != str(self.etag):
            raise refusal(409, "ABORTED", "etag")

        def effect() -> None:
            self.traffic = call.body["traffic"]
            self.etag += 1

        return self._shown(self.cloud.start("patch", path, effect))

    def operation(self, _call: Call, name: str) -> dict[str, Any]:
        operation = self.cloud.operations[name.rpartition("/")[2]]
        operation.poll()
        return self._shown(operation)

    def get_over_grpc(self, request: run_v2.GetServiceRequest, context: grpc.ServicerContext) -> run_v2.Service:
        self._record("google.cloud.run.v2.Services/GetService", {"name": request.name})
        if request.name != self.path:
            context.abort(grpc.StatusCode.NOT_FOUND, request.name)
        split = [_target(one) for one in self.traffic]
        statuses = [
            run_v2.TrafficTargetStatus(type_=one.type_, revision=one.revision or NEW, percent=one.percent)
            for one in split
        ]
        return run_v2.Service(
            name=self.path,
            labels=self.labels,
            traffic=split,
            traffic_statuses=statuses,
            reconciling=any(not one.done for one in self.cloud.operations.values()),
            latest_ready_revision=f"{self.path}/revisions/{NEW}",
            terminal_condition=run_v2.Condition(type_="Ready", state=4),
        )

    def revisions(
        self, request: run_v2.ListRevisionsRequest, _context: grpc.ServicerContext
    ) -> run_v2.ListRevisionsResponse:
        self._record("google.cloud.run.v2.Revisions/ListRevisions", {"parent": request.parent})
        ready = run_v2.Condition(type_="Ready", state=4)
        found = [
            run_v2.Revision(name=f"{self.path}/revisions/{name}", create_time={"seconds": made}, conditions=[ready])
            for name, made in ((NEW, 1_700_000_000), (OLD, 1_600_000_000))
        ]
        return run_v2.ListRevisionsResponse(revisions=found)

    def _record(self, method: str, body: dict[str, str]) -> None:
        self.cloud.calls.append(Call("RPC", method, body))

    def _shown(self, operation: Operation) -> dict[str, Any]:
        name = self.path.partition("/services/")[0] + f"/operations/{operation.name}"
        shown: dict[str, Any] = {"name": name, "done": operation.done}
        if operation.done and operation.ends == "error":
            shown["error"] = {"code": 9, "message": "the revision is not ready"}
        return shown


def _target(one: dict[str, Any]) -> run_v2.TrafficTarget:
    return run_v2.TrafficTarget(
        type_=TYPES[one["type"]], revision=one.get("revision", ""), percent=one["percent"], tag=one.get("tag", "")
    )
