"""The draft of a postmortem says what the drill's evidence says, and no more."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from harness.drill_checks import judge_drill
from harness.drills.postmortem import postmortem
from tests.builders import a_plan
from tests.drill_builders import HELD, drill_evidence, targets


def draft(rto_s_max: float = 30.0, **changes: Any) -> str:
    """The draft of a drill of data loss, with some values of its `drill.json` replaced."""
    evidence = drill_evidence("data_loss")
    evidence["drill"].facts["targets"] = {"backup_every_s": 2}  # type: ignore[index]  # the builder's own dict
    checks = judge_drill(
        "data_loss", a_plan(), dataclasses.replace(targets("data_loss"), rto_s_max=rto_s_max), evidence
    )
    found = {check.name: check for check in checks}
    document = {
        "drill": "data_loss",
        "id": "data_loss-1",
        "as_of": HELD,
        "subject": "a",
        "decision": "GO",
        "rto_s": found["rto"].observed,
        "rto_s_max": found["rto"].limit,
        "rpo_s": found["rpo"].observed,
        "rpo_s_max": found["rpo"].limit,
        "acknowledged": 10,
        "missing": 1,
        "checks": [dataclasses.asdict(check) | {"outcome": check.outcome.value} for check in checks],
    }
    run: Any = SimpleNamespace(evidence=evidence, plan=SimpleNamespace(plan=a_plan()), info=SimpleNamespace(as_of=HELD))
    return postmortem(document | changes, run)


def rto(text: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith("| RTO")]
    return line.split("|")[2].strip()


def test_a_time_that_was_measured_is_told() -> None:
    assert rto(draft()) in {"2.0 s", "2.1 s"}


@pytest.mark.parametrize(("outcome", "words"), [("FAIL", "not met"), ("UNKNOWN", "unknown")])
def test_objectives_that_were_not_met_are_told_apart_from_what_is_not_known(outcome: str, words: str) -> None:
    check = {"name": "rto", "outcome": outcome, "reason": "why"}
    assert rto(draft(rto_s=None, checks=[check])) == words
    assert rto(draft(rto_s=None, checks=[])) == "unknown"
