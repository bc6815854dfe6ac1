"""Whatever Google's interfaces or this machine do, the run says so, and the fault is undone or still written down."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.experiments.gcp.cases import CASES, Case, zone_out_of_load_balancer
from tests.experiments.gcp.fake import POLLS_OF_A_SLOW_ONE
from tests.experiments.gcp.running import LIMIT_S

if TYPE_CHECKING:
    from tests.experiments.gcp.fake import Call, FakeCloud
    from tests.experiments.gcp.running import Ran, Runner

WITH_OPERATIONS = [build for build in CASES if build.__name__ != "gke_zone_drain"]


def _all(builds: Any) -> Any:
    """One of them in every suite, the rest by `make long`: they share their ways of waiting."""
    marked = [
        pytest.param(build, marks=[] if build is zone_out_of_load_balancer else [pytest.mark.long]) for build in builds
    ]
    return pytest.mark.parametrize("build", marked, ids=lambda build: build.__name__)


def _first_action(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = ran.journal["run"][0]
    return found


def _error(run: dict[str, Any]) -> str:
    return "".join(run["exception"])


@_all(WITH_OPERATIONS)
def test_an_operation_that_ends_with_an_error_fails_the_action(build: Any, cloud: FakeCloud, runner: Runner) -> None:
    case: Case = build(cloud, runner)
    cloud.ends[case.verb] = "error"
    ran = runner.chaos(case.name, GONOGO_GCP_LIMIT_S="0.5")
    assert _first_action(ran)["status"] == "failed"
    assert "operation-1 failed" in _error(_first_action(ran))
    assert "fault_in_place" not in ran.events()
    assert case.is_healthy()
    assert not runner.open_faults()


@_all(WITH_OPERATIONS)
def test_a_slow_operation_is_waited_for(build: Any, cloud: FakeCloud, runner: Runner) -> None:
    case: Case = build(cloud, runner)
    cloud.ends[case.verb] = "slow"
    ran = runner.chaos(case.name, GONOGO_GCP_LIMIT_S="10")
    assert set(ran.statuses()) == {"succeeded"}, ran.output
    assert cloud.operations["operation-1"].polls > POLLS_OF_A_SLOW_ONE
    assert case.is_healthy()


@_all(WITH_OPERATIONS)
def test_an_operation_that_never_ends_is_left_written_down_and_healed_later(
    build: Any, cloud: FakeCloud, runner: Runner
) -> None:
    case: Case = build(cloud, runner)
    cloud.ends[case.verb] = "never"
    ran = runner.chaos(case.name, GONOGO_GCP_LIMIT_S="0.5")
    assert "did not end within 0.5 s" in _error(_first_action(ran))
    (rollback,) = ran.journal["rollbacks"]
    assert rollback["status"] == "failed", "a fault that may still come was called undone"
    assert "fault_removed" not in ran.events()

    cloud.ends.clear()
    for operation in cloud.operations.values():
        operation.ends = "done"
        operation.poll()
    assert not case.is_healthy(), "the operation did what it was to do, after everyone had left"
    healed = runner.heal()
    assert healed.returncode == 0, healed.stderr
    assert case.is_healthy()
    assert not runner.open_faults()


@_all(CASES)
def test_a_write_that_is_not_permitted_fails_the_action(build: Any, cloud: FakeCloud, runner: Runner) -> None:
    case: Case = build(cloud, runner)
    cloud.denied.add(case.denied)
    ran = runner.chaos(case.name, GONOGO_GCP_LIMIT_S="0.5")
    assert _first_action(ran)["status"] == "failed"
    assert "Required permission" in _error(_first_action(ran))
    assert case.is_healthy()
    assert not runner.open_faults()


@_all(CASES)
def test_what_is_not_on_the_allow_list_is_never_written(build: Any, cloud: FakeCloud, runner: Runner) -> None:
    case: Case = build(cloud, runner)
    case.disown()
    ran = runner.chaos(case.name, GONOGO_GCP_LIMIT_S="0.5")
    assert not cloud.writes()
    assert not runner.open_faults()
    assert all(run["status"] == "failed" for run in ran.journal["run"][:1]), ran.output


@_all(CASES)
def test_whoever_is_killed_in_the_middle_leaves_what_its_undo_needs(
    build: Any, cloud: FakeCloud, runner: Runner
) -> None:
    case: Case = build(cloud, runner)
    process = runner.start(case.name, GONOGO_HOLD_S="60")
    runner.wait_for_event("fault_in_place", process)
    runner.kill(process)
    assert not case.is_healthy()
    (entry,) = runner.open_faults()
    healed = runner.heal()
    assert healed.returncode == 0, healed.stderr
    assert case.is_healthy()
    assert not runner.open_faults()
    writes = len(cloud.writes())
    again = runner.undo(entry)
    assert again.returncode == 0, again.stderr
    assert (len(cloud.writes()), case.is_healthy()) == (writes, True), "an undo may be called any time"


@pytest.mark.long
@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
def test_whoever_is_killed_at_the_very_write_leaves_what_its_undo_needs(
    build: Any, cloud: FakeCloud, runner: Runner
) -> None:
    """The call is carried out; who sent it never learns that."""
    case: Case = build(cloud, runner)
    reached = threading.Event()
    cloud.before_answering = lambda call: reached.set() if call.writes else None
    process = runner.start(case.name, GONOGO_HOLD_S="60")
    assert reached.wait(LIMIT_S)
    runner.kill(process)
    for operation in cloud.operations.values():
        operation.poll()
    assert not case.is_healthy()
    healed = runner.heal()
    assert healed.returncode == 0, healed.stderr
    assert case.is_healthy()
    assert not runner.open_faults()


@_all([zone_out_of_load_balancer])
def test_whoever_is_interrupted_undoes_the_fault_first(build: Any, cloud: FakeCloud, runner: Runner) -> None:
    case: Case = build(cloud, runner)
    process = runner.start(case.name, GONOGO_HOLD_S="60")
    runner.wait_for_event("fault_in_place", process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=LIMIT_S)
    ran = runner.ran(process.returncode, output)
    assert ran.journal["status"] == "interrupted"
    assert ran.activity("undo-what-is-still-open")["status"] == "succeeded"
    assert case.is_healthy()
    assert not runner.open_faults()


@pytest.mark.long
def test_a_write_whose_answer_is_lost_is_given_up_and_undone(cloud: FakeCloud, runner: Runner) -> None:
    case = zone_out_of_load_balancer(cloud, runner)
    ended = threading.Event()
    lost = iter([True])

    def hold_back(call: Call) -> None:
        if call.writes and next(lost, False):
            ended.wait(LIMIT_S)

    cloud.before_answering = hold_back
    process = runner.start(case.name)
    detach = cloud.wait_for_write("/detach")
    for operation in cloud.operations.values():
        operation.poll()
    output, _ = process.communicate(timeout=LIMIT_S)
    ended.set()
    ran = runner.ran(process.returncode, output)
    assert "timed out" in _error(_first_action(ran))
    assert [call.url for call in cloud.writes()].count(detach.url) == 1, "a write was sent twice"
    assert case.is_healthy()
    assert not runner.open_faults()
