"""Each way in which an experiment can be hollow, played by the real `chaos run`: UNKNOWN or FAIL, with that reason."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from harness.catalogue import read_experiment
from harness.collectors.breaking import heal_after, run_facts
from harness.collectors.chaos_run import ChaosRun, run_chaos
from harness.experiment_checks import run_checks
from harness.experiment_runs import catalogue_runs
from harness.fault_journal import FAULTS_VARIABLE
from harness.fleet.commands import SOCKET_VARIABLE
from harness.gates import all_gates
from harness.model import Outcome, worst
from harness.plan_experiments import Experiment
from harness.timeline import Timeline
from tests.builders import World, healthy, ns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "zone_freeze"
FAULT_TOLERANCE = all_gates()["fault_tolerance"]
PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
METHOD = ("break_it", "is_broken", "mend", "is_whole")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A toy experiment that differs from a sound one in one thing, and what must be said of it."""

    outcome: Outcome
    reason: str
    steady: str = "is_steady"
    method: tuple[str, ...] = METHOD
    rollback: str = "mend"
    expectations: tuple[str, ...] = ()
    hold_s: float = 0.0
    limit_s: float = 60.0
    fails_when_broken: bool = False
    exit_codes: set[int] = field(default_factory=lambda: {0})


CASES = {
    "sound": Case(outcome=PASS, reason="baseline met, fault in place and gone", hold_s=0.5),
    "fault undone at once": Case(outcome=UNKNOWN, reason="were due while the fault was in place; 20 needed"),
    "action raises": Case(outcome=UNKNOWN, reason="activity failed: raises", method=("raises", *METHOD)),
    "fault never in place": Case(
        outcome=UNKNOWN, reason="activity failed: is_broken", method=("only_say_so", *METHOD[1:])
    ),
    "fault never proven": Case(
        outcome=UNKNOWN, reason="fault not in place", method=("break_it", "looks_broken", "mend", "is_whole")
    ),
    "fault never undone": Case(
        outcome=UNKNOWN, reason="rollback failed: zone_freeze of edge still open", method=METHOD[:3]
    ),
    "rollback raises": Case(outcome=UNKNOWN, reason="rollback failed: raises", rollback="raises"),
    "baseline unmet": Case(outcome=UNKNOWN, reason="baseline not met", steady="is_unsteady"),
    "hypothesis probe raises": Case(outcome=UNKNOWN, reason="baseline not met", steady="raises", exit_codes={0, 1}),
    "never steady again": Case(
        outcome=FAIL,
        reason="the steady state was not there again",
        steady="is_steady_until_broken",
        hold_s=0.5,
        exit_codes={1},
    ),
    "journal truncated": Case(
        outcome=UNKNOWN,
        reason="journal truncated",
        method=("break_and_return_what_no_journal_can_hold", *METHOD[1:]),
        exit_codes={1},
    ),
    "never ends": Case(
        outcome=UNKNOWN, reason="interrupted: ended by its time limit", hold_s=60, limit_s=6, exit_codes={1}
    ),
    "the service fails too much": Case(
        outcome=FAIL, reason="the error budget was spent", hold_s=60, fails_when_broken=True, exit_codes={1}
    ),
    "an expectation is not met": Case(
        outcome=FAIL, reason='no read "no"', method=(*METHOD, "no"), expectations=("no",), hold_s=0.5
    ),
    "an expectation that can't say no": Case(
        outcome=UNKNOWN,
        reason="looks_broken was not read",
        method=("looks_broken", *METHOD),
        expectations=("looks_broken",),
        hold_s=0.5,
    ),
    "an expectation can't be read": Case(
        outcome=UNKNOWN, reason="activity failed: raises", method=(*METHOD, "raises"), expectations=("raises",)
    ),
    "a reading says no": Case(outcome=UNKNOWN, reason="activity failed: no", method=(*METHOD, "no")),
}


def activity(name: str, *, pause_s: float = 0.0) -> dict[str, Any]:
    provider = {"type": "python", "module": "tests.harness.hollow_parts", "func": name, "arguments": {}}
    is_action = name in {"break_it", "mend", "only_say_so", "break_and_return_what_no_journal_can_hold"}
    kind = {"type": "action"} if is_action else {"type": "probe"}
    wanted = {"tolerance": True} if name in {"no", *METHOD} and not is_action else {}
    return {**kind, "name": name, "provider": provider, "pauses": {"after": pause_s}, **wanted}


def document(case: Case) -> dict[str, Any]:
    told = {
        "name": "gonogo",
        "fault": NAME,
        "subjects": ["edge"],
        "load": "steady",
        "detects": False,
        "label": "a file",
    }
    held = {"is_broken": case.hold_s}
    return {
        "title": "A toy is broken",
        "description": "A toy is broken",
        "extensions": [{**told, "expectations": list(case.expectations)}],
        "steady-state-hypothesis": {"title": "It is whole", "probes": [activity(case.steady) | {"tolerance": True}]},
        "method": [activity(name, pause_s=held.get(name, 0.0)) for name in case.method],
        "rollbacks": [{**activity(case.rollback), "type": "action"}],
    }


class Played:
    """One case, played: the facts that the evidence holds, and the events on the timeline."""

    def __init__(self, case: Case, folder: Path) -> None:
        folder.mkdir()
        self.case, self.folder, self.file = case, folder, folder / "toy.json"
        self.file.write_text(json.dumps(document(case)))
        timeline = Timeline(folder / "timeline.jsonl", time.monotonic_ns() - ns(NAME, 2))
        found, socket = read_experiment(str(self.file), {}), folder / "fleet.sock"
        variables = {**timeline.environment(), "HOLLOW_FOLDER": str(folder), SOCKET_VARIABLE: str(socket)}
        chaos = ChaosRun(name=NAME, path=found.path, work=folder, variables=variables)
        timeline.add("experiment_started", NAME, subjects=["edge"])
        ended = run_chaos(chaos, limit_s=case.limit_s, spent=self.fails_too_much)
        timeline.add("experiment_ended", NAME, exit_code=ended.exit_code)
        left = heal_after({SOCKET_VARIABLE: str(socket)}, variables)
        named = {"experiment": NAME, "repeat": 1, "scenario": NAME, "file": str(self.file), "file_sha256": found.sha256}
        self.facts = {**named, "extension": found.extension.facts(), **run_facts(chaos, ended), **left}
        events = [json.loads(line) for line in (folder / "timeline.jsonl").read_text().splitlines()]
        self.events = pd.DataFrame(events).assign(detail=[json.dumps(item["detail"]) for item in events])

    def fails_too_much(self) -> bool:
        return self.case.fails_when_broken and (self.folder / "broken").exists()

    def world(self) -> World:
        """The healthy world, with this experiment in the place of its own of the catalogue."""
        others = dict(healthy().plan.experiments)
        world = healthy().with_plan(experiments={**others, NAME: Experiment(file=str(self.file), ttr_s_max=2)})

        def real(table: pd.DataFrame) -> pd.DataFrame:
            kept = table[~table["t_ns"].between(ns(NAME, 0), ns(NAME, 18)) | (table["event"] == "scenario_started")]
            return pd.concat([kept, self.events], ignore_index=True).sort_values("t_ns")

        return world.with_facts("experiments", runs=[self.facts]).with_table("timeline", "events", real)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Played]]:
    """Every case, a few at a time: each is a process of its own and mostly starts up."""
    folder = tmp_path_factory.mktemp("hollow")
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(4) as pool:
        patch.setenv(FAULTS_VARIABLE, str(folder / "faults"))
        yield dict(zip(CASES, pool.map(lambda name: Played(CASES[name], folder / name), CASES), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_a_hollow_experiment_ends_unknown_or_fails_and_says_why(name: str, played: dict[str, Played]) -> None:
    case, found = CASES[name], played[name]
    checks = FAULT_TOLERANCE.judge(found.world().case(FAULT_TOLERANCE))
    outcome = worst(tuple(check.outcome for check in checks))
    said = [check.reason for check in checks if check.outcome is outcome]
    assert (outcome, found.facts["exit_code"] in case.exit_codes) == (case.outcome, True), (said, found.facts)
    assert any(case.reason in reason for reason in said), said


def test_the_exit_code_was_0_for_most_of_what_proved_nothing(played: dict[str, Played]) -> None:
    """What the tool calls a success; so this would fail if its exit code were believed."""
    hollow = {name for name, case in CASES.items() if case.outcome is not PASS}
    assert len({name for name in hollow if played[name].facts["exit_code"] == 0}) >= 7


@pytest.mark.parametrize("name", ["never ends", "the service fails too much"])
def test_an_experiment_that_is_ended_early_is_rolled_back(name: str, played: dict[str, Played]) -> None:
    found = played[name]
    assert found.facts["journal"]["status"] == "interrupted"
    assert [entry["status"] for entry in found.facts["journal"]["rollbacks"]] == ["succeeded"]
    assert not (found.folder / "broken").exists()
    assert found.facts["ended_by"] == ("safeguard" if CASES[name].fails_when_broken else "time limit")


def test_a_run_whose_own_end_is_not_on_the_timeline_was_interrupted(played: dict[str, Played]) -> None:
    def cut(table: pd.DataFrame) -> pd.DataFrame:
        return table[~((table["event"] == "experiment_ended") & (table["subject"] == NAME))]

    world = played["sound"].world().with_table("timeline", "events", cut)
    (run,) = catalogue_runs(world.evidence["experiments"], NAME)
    (check,) = run_checks(world.case(FAULT_TOLERANCE), run)
    assert (check.outcome, "interrupted" in check.reason) == (UNKNOWN, True)


def test_a_safeguard_is_not_held_against_the_service_when_the_machine_was_busy(played: dict[str, Played]) -> None:
    world = played["the service fails too much"].world()
    assert world.result("fault_tolerance").outcome is FAIL
    busy = world.with_table("machine", "cpu", lambda table: table.assign(busy_cores=2.0))
    assert busy.result("fault_tolerance").outcome is UNKNOWN
