"""Others act on the same resources meanwhile: what is theirs is left alone, and the run says what it met."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.experiments.gcp import cases
from tests.experiments.gcp.running import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.experiments.gcp.cases import Case
    from tests.experiments.gcp.fake import FakeCloud
    from tests.experiments.gcp.running import Ran, Runner

pytestmark = pytest.mark.long


def _meddled(case: Case, runner: Runner, meddle: Callable[[], None]) -> Ran:
    """Run the experiment, and call `meddle` while its fault is in place."""
    process = runner.start(case.name, GONOGO_HOLD_S="1", GONOGO_GCP_LIMIT_S="1")
    runner.wait_for_event("fault_in_place", process)
    meddle()
    output, _ = process.communicate(timeout=LIMIT_S)
    return runner.ran(process.returncode, output)


def _error(run: dict[str, Any]) -> str:
    return "".join(run["exception"])


def test_a_controller_that_attaches_endpoints_again_is_seen_and_only_the_rest_is_put_back(
    cloud: FakeCloud, runner: Runner
) -> None:
    case = cases.zone_out_of_load_balancer(cloud, runner)
    ran = _meddled(case, runner, lambda: case.state.groups[cases.NEG].append(cases.ENDPOINTS[0]))
    assert "something attached them" in _error(ran.activity("zone-stayed-detached"))
    _, attach = cloud.writes()
    assert attach.body == {"networkEndpoints": [cases.ENDPOINTS[1]]}
    assert case.is_healthy()
    assert not runner.open_faults()


def test_an_instance_that_was_replaced_holds_back_no_other(cloud: FakeCloud, runner: Runner) -> None:
    case = cases.vm_zone_freeze(cloud, runner)
    ran = _meddled(case, runner, lambda: case.state.machines.pop(f"{cases.MACHINES}/vm-1"))
    assert ran.activity("zone-stayed-suspended")["status"] == "failed"
    assert ran.activity("zone-runs-again")["output"]["absent"] == ["vm-1"]
    assert case.is_healthy()
    assert not runner.open_faults()


def test_one_instance_that_cannot_be_suspended_holds_back_the_undo_of_no_other(
    cloud: FakeCloud, runner: Runner
) -> None:
    case = cases.vm_zone_freeze(cloud, runner)
    cloud.denied.add("vm-2/suspend")
    ran = runner.chaos(case.name, GONOGO_GCP_LIMIT_S="1")
    assert "vm-2" in _error(ran.activity("suspend-zone"))
    written = [call.url.partition("/instances/")[2] for call in cloud.writes()]
    assert written == ["vm-1/suspend", "vm-2/suspend", "vm-1/resume"]
    assert case.is_healthy()


def test_a_fault_that_somebody_else_put_there_is_left_alone(cloud: FakeCloud, runner: Runner) -> None:
    case = cases.load_balancer_faults(cloud, runner)
    rule = lambda: case.state.maps[cases.URL_MAP]["pathMatchers"][0]["pathRules"][1]  # noqa: E731 - read when called
    theirs = {"abort": {"httpStatus": 500, "percentage": 1.0}}
    ran = _meddled(case, runner, lambda: rule()["routeAction"].update(faultInjectionPolicy=theirs))
    assert "another fault than ours" in _error(ran.activity("remove-errors"))
    assert rule()["routeAction"] == {"faultInjectionPolicy": theirs}
    assert len(cloud.writes()) == 1
    assert len(runner.open_faults()) == 1, "it was not seen gone"


def test_a_disruption_budget_that_refuses_fails_the_drain_and_nodes_take_pods_again(
    cloud: FakeCloud, runner: Runner
) -> None:
    case = cases.gke_zone_drain(cloud, runner)
    case.state.refuses_evictions = True
    ran = runner.chaos(case.name, GONOGO_GCP_LIMIT_S="1")
    assert "disruption budget" in _error(ran.activity("drain-zone"))
    assert "fault_in_place" not in ran.events()
    assert case.is_healthy()
    assert not runner.open_faults()


def test_pods_that_never_leave_fail_the_drain_within_its_limit(cloud: FakeCloud, runner: Runner) -> None:
    case = cases.gke_zone_drain(cloud, runner)
    case.state.stuck.add("model-on-node-1")
    ran = runner.chaos(case.name, GONOGO_GCP_LIMIT_S="1")
    assert "Draining nodes did not completed" in _error(ran.activity("drain-zone"))
    assert case.is_healthy()


def test_a_cluster_of_another_project_is_not_touched(cloud: FakeCloud, runner: Runner) -> None:
    case = cases.gke_zone_drain(cloud, runner)
    for node in case.state.nodes.values():
        node["spec"]["providerID"] = node["spec"]["providerID"].replace("staging-1", "production")
    runner.chaos(case.name, GONOGO_GCP_LIMIT_S="1")
    assert not cloud.writes()


def test_a_resource_whose_earlier_fault_is_still_open_gets_no_second_one_but_its_undo(
    cloud: FakeCloud, runner: Runner
) -> None:
    case = cases.zone_out_of_load_balancer(cloud, runner)
    process = runner.start(case.name, GONOGO_HOLD_S="60")
    runner.wait_for_event("fault_in_place", process)
    runner.kill(process)
    case.state.groups[cases.NEG].append(cases.ENDPOINTS[0])
    ran = runner.chaos(case.name, GONOGO_GCP_LIMIT_S="1")
    assert "gonogo fleet heal" in _error(ran.journal["run"][0])
    detach, attach = cloud.writes()
    assert detach.url.endswith("/detachNetworkEndpoints")
    assert attach.body == {"networkEndpoints": [cases.ENDPOINTS[1]]}
    assert case.is_healthy(), "both endpoints, although the second run would have known only one"
    assert not runner.open_faults()
