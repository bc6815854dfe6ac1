"""Each experiment makes exactly these calls, and leaves everything as it was; contract against a fake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.experiments.gcp import cases
from tests.experiments.gcp.running import PROJECT

if TYPE_CHECKING:
    from tests.experiments.gcp.cases import Case
    from tests.experiments.gcp.fake import FakeCloud
    from tests.experiments.gcp.running import Runner

MOMENTS = ["fault_requested", "fault_in_place", "fault_removal_requested", "fault_removed"]
COMPUTE = "compute.googleapis.com/compute/v1"


def _run(case: Case, runner: Runner) -> None:
    ran = runner.chaos(case.name)
    assert set(ran.statuses()) == {"succeeded"}, ran.output
    assert ran.events() == MOMENTS
    assert case.is_healthy()
    assert not runner.open_faults()


def test_every_endpoint_of_the_zone_is_taken_and_the_same_ones_come_back(cloud: FakeCloud, runner: Runner) -> None:
    _run(cases.zone_out_of_load_balancer(cloud, runner), runner)
    urls = [f"{COMPUTE}/{cases.NEG}/{verb}NetworkEndpoints" for verb in ("detach", "attach")]
    assert [call.url for call in cloud.writes()] == urls
    assert all(call.body == {"networkEndpoints": cases.ENDPOINTS} for call in cloud.writes())


def test_labelled_instances_and_no_others_are_suspended_and_resumed(cloud: FakeCloud, runner: Runner) -> None:
    _run(cases.vm_zone_freeze(cloud, runner), runner)
    written = [call.url.removeprefix(f"{COMPUTE}/{cases.MACHINES}/") for call in cloud.writes()]
    assert written == ["vm-1/suspend", "vm-2/suspend", "vm-1/resume", "vm-2/resume"]


def test_every_node_of_the_zone_is_drained_and_takes_pods_again(cloud: FakeCloud, runner: Runner) -> None:
    case = cases.gke_zone_drain(cloud, runner)
    _run(case, runner)
    written = {(call.method, call.url.removeprefix("kubernetes/api/v1/")) for call in cloud.writes()}
    evictions = {f"namespaces/default/pods/model-on-{node}/eviction" for node in cases.NODES}
    assert written == {("PATCH", f"nodes/{node}") for node in cases.NODES} | {("POST", url) for url in evictions}
    assert {"default/model-elsewhere", *(f"default/agent-on-{node}" for node in cases.NODES)} == set(case.state.pods)


def test_all_traffic_goes_to_the_previous_revision_and_back(cloud: FakeCloud, runner: Runner) -> None:
    _run(cases.cloud_run_rollback(cloud, runner), runner)
    to_old = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "model-00001", "percent": 100}
    latest = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100, "tag": "now"}
    assert [call.url for call in cloud.writes()] == [f"run.googleapis.com/v2/{cases.SERVICE}"] * 2
    assert [call.body for call in cloud.writes()] == [
        {"traffic": [to_old, latest | {"percent": 0}], "etag": "1"},
        {"traffic": [latest], "etag": "2"},
    ]
    assert all(call.query["updateMask"] == "traffic" for call in cloud.writes())


def test_the_database_fails_over_and_back(cloud: FakeCloud, runner: Runner) -> None:
    _run(cases.cloud_sql_failover(cloud, runner), runner)
    url = f"sqladmin.googleapis.com/v1/projects/{PROJECT}/instances/features/failover"
    assert [call.url for call in cloud.writes()] == [url] * 2
    expected = {"failoverContext": {"kind": "sql#failoverContext", "settingsVersion": "7"}}
    assert all(call.body == expected for call in cloud.writes())


def test_the_named_route_alone_gets_the_fault_and_loses_it(cloud: FakeCloud, runner: Runner) -> None:
    _run(cases.load_balancer_faults(cloud, runner), runner)
    inject, remove = cloud.writes()
    assert {(call.method, call.url) for call in cloud.writes()} == {("PUT", f"{COMPUTE}/{cases.URL_MAP}")}
    other, infer = inject.body["pathMatchers"][0]["pathRules"]
    assert infer["routeAction"] == {"faultInjectionPolicy": {"abort": {"httpStatus": 503, "percentage": 10.0}}}
    assert other == cases.MAP["pathMatchers"][0]["pathRules"][0]
    assert remove.body["pathMatchers"] == cases.MAP["pathMatchers"]
    assert [inject.body["fingerprint"], remove.body["fingerprint"]] == ["aa==", "aa==1"]
