"""What all gates share: they pass on a healthy world, and each required evidence is needed."""

from __future__ import annotations

import pytest

from harness.gates import all_gates
from harness.model import Outcome
from tests.builders import drilled

GATES = all_gates()
AREAS = {"Reality check", "Testing", "Release", "Operations"}


@pytest.mark.parametrize("name", sorted(GATES))
def test_a_healthy_world_passes_and_every_check_tells_why(name: str) -> None:
    gate = GATES[name]
    checks = gate.judge(drilled().case(gate))
    assert checks
    assert {check.outcome for check in checks} == {Outcome.PASS}
    assert all(check.reason and "\n" not in check.reason for check in checks)
    assert len({check.name for check in checks}) == len(checks)


@pytest.mark.parametrize("name", sorted(GATES))
def test_each_required_evidence_is_needed(name: str) -> None:
    for evidence in GATES[name].requires:
        lost = drilled().with_evidence(evidence, tables={}, facts={})
        assert lost.result(name).outcome is not Outcome.PASS, evidence


@pytest.mark.parametrize("name", sorted(GATES))
def test_a_gate_says_what_it_is_for(name: str) -> None:
    gate = GATES[name]
    assert gate.id == name
    assert gate.area in AREAS
    assert all((gate.title, gate.failure_title, gate.why, gate.advice))
    assert gate.title != gate.failure_title
