"""The gate on the GPU's engine: old, strange or little evidence is UNKNOWN; wrong or slow answers fail."""

from __future__ import annotations

from typing import Any

import pytest

from harness.gates import all_gates
from harness.model import Outcome
from harness.stages import REQUIRED
from tests.builders import World, healthy

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
GATE = all_gates()["gpu_engine"]


def found(**changes: Any) -> World:
    """With some parts of the document replaced."""
    return healthy().with_facts("gpu", found={**healthy().evidence["gpu"].facts["found"], **changes})


def agreement(**changes: Any) -> World:
    return found(agreement={**healthy().evidence["gpu"].facts["found"]["agreement"], **changes})


def speed(p99_ms: dict[int, float]) -> World:
    sizes = [1 << power for power in range(11)]
    return found(speed=[{"rows": rows, "tensorrt": {"latency_ms_p99": p99_ms.get(rows, 0.1)}} for rows in sizes])


def test_a_gpu_that_answers_alike_passes_and_is_named() -> None:
    checks = healthy().checks(GATE)
    assert {name: check.outcome for name, check in checks.items()} == dict.fromkeys(checks, PASS)
    assert checks["answers"].reason == "on A GPU answers are off by at most 2e-07; 0.0001 allowed"
    assert all("gpu_engine" not in gates for gates in REQUIRED.values())


@pytest.mark.parametrize(
    ("taken", "outcome"),
    [
        ("2025-03-01T12:00:00+00:00", PASS),
        ("2025-01-30T12:00:01+00:00", PASS),
        ("2025-01-30T11:59:59+00:00", UNKNOWN),
        ("2025-03-01T12:00:01+00:00", UNKNOWN),
        ("2025-02-20", UNKNOWN),
        ("yesterday", UNKNOWN),
    ],
)
def test_evidence_older_than_the_plan_allows_or_of_the_future_is_unknown(taken: str, outcome: Outcome) -> None:
    assert found(taken=taken).result("gpu_engine").outcome is outcome


def test_evidence_of_another_version_is_unknown() -> None:
    other = healthy().with_evidence("gpu", subject="flight-delay@2 sha256:0123456789abcdef")
    assert other.result("gpu_engine").outcome is UNKNOWN
    assert "is of flight-delay@2" in other.result("gpu_engine").reason


def test_evidence_that_is_absent_errored_or_of_a_plan_without_limits_is_unknown() -> None:
    assert "was not collected" in healthy().without("gpu").result("gpu_engine").reason
    assert healthy().with_evidence("gpu", error="gone").result("gpu_engine").outcome is UNKNOWN
    assert healthy().with_plan(gpu=None).result("gpu_engine").outcome is UNKNOWN


@pytest.mark.parametrize("changes", [{"schema": 2}, {"kind": "bench"}, {"io": None}, {"speed": []}, {"agreement": {}}])
def test_a_document_of_another_kind_is_unknown(changes: dict[str, Any]) -> None:
    assert found(**changes).result("gpu_engine").outcome is UNKNOWN


def test_answers_off_or_not_finite_fail_and_few_are_unknown() -> None:
    assert agreement(difference_max=1.1e-4).checks(GATE)["answers"].outcome is FAIL
    assert agreement(difference_max=None).checks(GATE)["answers"].outcome is FAIL
    assert agreement(batch_sizes=[1, 2, 4]).result("gpu_engine").outcome is UNKNOWN
    assert agreement(rows=511).result("gpu_engine").outcome is UNKNOWN


@pytest.mark.parametrize("io", [{"features": "HALF", "late_probability": "FLOAT"}, {"features": "FLOAT"}, {}])
def test_other_types_than_the_service_takes_and_gives_fail(io: dict[str, str]) -> None:
    assert found(io=io).checks(GATE)["types"].outcome is FAIL


def test_the_slowest_size_of_batch_is_judged() -> None:
    check = speed({2: 11.0}).checks(GATE)["latency_p99"]
    assert (check.outcome, check.reason) == (FAIL, "99 % of batches of 2 took at most 11 ms; 10 ms allowed")
    assert speed({1024: 10.0}).checks(GATE)["latency_p99"].outcome is PASS
    assert speed(dict.fromkeys([1 << power for power in range(11)], 0.0)).result("gpu_engine").outcome is UNKNOWN
