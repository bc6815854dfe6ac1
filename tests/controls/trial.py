"""One trial of a control: `python -m tests.controls.trial null|stripped FOLDER` prints what the gate said, as JSON.

Rule: the real fleet, load, Chaos Toolkit and judge; only what the control does not need is left out of the run.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import collect as collecting
from harness.collectors import all_collectors
from harness.fleet import launch
from harness.judge import RunFacts, judge
from harness.plan import load_plan
from harness.profiles import PROFILES
from harness.store import load_run

if TYPE_CHECKING:
    from harness.model import Result

PLAN = Path(__file__).parents[2] / "reference_service" / "readiness.toml"
SUPERVISOR, STRIPPED_SUPERVISOR = "harness.fleet.supervisor", "tests.controls.stripped_edge"
SHARED = {"environment", "ledger", "edge", "machine", "timeline"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """`experiment` of the reference Plan, judged by `gate`; with the edge's safeguards or without.

    `right` says whether the gate's result is the one that the control wants, for the reason that it wants.
    """

    experiment: str
    gate: str
    evidence: str
    outcome: str
    because_of: str
    is_stripped: bool


CONTROLS = {
    "null": Control(
        experiment="nothing",
        gate="fault_tolerance",
        evidence="experiments",
        outcome="PASS",
        because_of="",
        is_stripped=False,
    ),
    "stripped": Control(
        experiment="zone_crash",
        gate="zone_failure",
        evidence="zone_crash",
        outcome="FAIL",
        because_of="lost",
        is_stripped=True,
    ),
}


def run_trial(control: Control, folder: Path) -> dict[str, Any]:
    """Collect and judge one run below `folder`; what the gate said, and whether that is right."""
    loaded = load_plan(PLAN)
    experiments = {name: item for name, item in loaded.plan.experiments.items() if name == control.experiment}
    loaded = dataclasses.replace(loaded, plan=dataclasses.replace(loaded.plan, experiments=experiments))
    if control.is_stripped:
        _use_stripped_supervisor()
    wanted = SHARED | {control.evidence}
    collecting.__dict__["all_collectors"] = lambda: tuple(item for item in all_collectors() if wanted & set(item.ids))
    profile = dataclasses.replace(PROFILES["standard"], name="control")
    run = collecting.collect(loaded, folder, profile=profile, progress=_Silent(), now=dt.datetime.now(dt.UTC))
    evidence = load_run(run.folder).evidence
    facts = RunFacts(
        run_id=run.info.id, as_of=run.info.as_of, profile=profile.name, subject=run.info.subject, reproduce=""
    )
    verdict = judge(loaded.plan, facts, evidence)
    return _said(control, next(result for result in verdict.results if result.gate == control.gate))


def _said(control: Control, result: Result) -> dict[str, Any]:
    bad = [check.name for check in result.checks if check.outcome == "FAIL"]
    right = result.outcome == control.outcome and (not control.because_of or control.because_of in bad)
    return {"outcome": str(result.outcome), "reason": result.reason, "failed": bad, "right": right}


def _use_stripped_supervisor() -> None:
    spawn = launch._spawn

    def stripped(command: list[str], *others: Any) -> int:
        return spawn([STRIPPED_SUPERVISOR if word == SUPERVISOR else word for word in command], *others)

    launch._spawn = stripped


class _Silent:
    def step(self, title: str, expected_s: float) -> None:
        """Say nothing."""


if __name__ == "__main__":
    print(json.dumps(run_trial(CONTROLS[sys.argv[1]], Path(sys.argv[2]))))  # noqa: T201 - read by the script of controls
