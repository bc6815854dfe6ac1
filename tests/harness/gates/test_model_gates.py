"""The gates on the model itself: its bare speed, its answers, and the candidate's decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.gates import all_gates
from harness.model import Outcome
from tests.builders import World, healthy

if TYPE_CHECKING:
    import pandas as pd

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
GATES = all_gates()
SHADOW, QUALITY = GATES["shadow_agreement"], GATES["model_quality"]


def latencies(change: Any) -> World:
    return healthy().with_table("baseline", "latencies", change)


def test_a_model_too_slow_by_itself_fails() -> None:
    assert latencies(lambda table: table * 1000).result("baseline_latency").outcome is FAIL
    assert healthy().with_slo(baseline_latency_ms_p99=0.1).result("baseline_latency").outcome is FAIL


def test_few_measurements_of_the_model_are_unknown() -> None:
    few = latencies(lambda table: table.head(200)).result("baseline_latency")
    assert few.outcome is UNKNOWN
    assert "at least 99 more are needed" in few.reason


def test_impossible_measurements_of_the_model_are_unknown() -> None:
    assert latencies(lambda table: table * 0).result("baseline_latency").outcome is UNKNOWN
    assert latencies(lambda table: table.astype("float64") * np.nan).result("baseline_latency").outcome is FAIL


def pairs(change: Any, **facts: Any) -> World:
    return healthy().with_table("shadow", "pairs", change).with_facts("shadow", **facts)


def differing(one_in: int) -> World:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[::one_in, "candidate"] = np.where(table.loc[::one_in, "primary"] >= 0.5, 0.1, 0.9)
        return table

    return pairs(edit)


def test_a_candidate_that_decides_otherwise_fails() -> None:
    check = differing(6).checks(SHADOW)["disagreement"]
    assert check.outcome is FAIL
    assert check.n == 1203


def test_near_the_limit_more_pairs_are_asked_for() -> None:
    assert "more are needed" in differing(21).checks(SHADOW)["disagreement"].reason


def test_unknown_probabilities_are_disagreements() -> None:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(candidate=table["primary"].where(table["primary"] >= 0.5))

    assert pairs(edit).checks(SHADOW)["disagreement"].outcome is FAIL


def test_too_few_pairs_are_unknown() -> None:
    result = pairs(lambda table: table.head(900), joined=900).result("shadow_agreement")
    assert (result.outcome, result.reason) == (UNKNOWN, "900 pairs compared; at least 100 more are needed")


def test_unjoined_requests_are_limited_and_count_as_disagreement() -> None:
    world = healthy().with_facts("shadow", unjoined_primary=40)
    assert world.checks(SHADOW)["unjoined"].outcome is FAIL
    assert world.checks(SHADOW)["disagreement"].observed > healthy().checks(SHADOW)["disagreement"].observed


@pytest.mark.parametrize(
    "facts",
    [
        {"joined": 1199},
        {"candidate_version": "3"},
        {"primary_version": "9"},
        {"threshold": 0.0},
        {"unjoined_primary": -1},
    ],
)
def test_facts_that_do_not_fit_are_unknown(facts: dict[str, Any]) -> None:
    assert healthy().with_facts("shadow", **facts).result("shadow_agreement").outcome is UNKNOWN


def answers(**columns: Any) -> World:
    return healthy().with_table("quality", "answers", lambda table: table.assign(**columns))


def off(by: float, row: int = 5) -> World:
    return answers(observed=lambda table: table["observed"].where(table["row"] != row, table["observed"] + by))


def test_answers_off_or_missing_fail() -> None:
    assert off(5e-5).checks(QUALITY)["answers"].outcome is PASS
    assert off(5e-4).checks(QUALITY)["answers"].outcome is FAIL
    assert off(-5e-4).checks(QUALITY)["answers"].outcome is FAIL
    missing = off(np.nan).checks(QUALITY)["answers"]
    assert missing.outcome is FAIL
    assert "1 golden rows went unanswered" in missing.reason


def test_another_version_answering_fails() -> None:
    assert answers(version="2").result("model_quality").outcome is FAIL
    assert healthy().with_facts("quality", version="2").result("model_quality").outcome is FAIL


def test_rows_gone_repeated_or_few_are_unknown() -> None:
    def gone(table: pd.DataFrame) -> pd.DataFrame:
        return table.head(599)

    world = healthy().with_table("quality", "answers", gone)
    assert world.result("model_quality").outcome is UNKNOWN
    small = healthy().with_table("quality", "answers", lambda table: table.head(100)).with_facts("quality", rows=100)
    assert "at least 512 are needed" in small.result("model_quality").reason
    assert answers(row=1).result("model_quality").outcome is UNKNOWN
    assert answers(expected=np.nan).result("model_quality").outcome is UNKNOWN


@pytest.mark.parametrize("low", [0.0, -0.001])
def test_a_model_not_shown_to_beat_the_baseline_fails(low: float) -> None:
    metrics = {"auc_gain": {"interval": [low, 0.02]}}
    assert healthy().with_facts("quality", manifest_metrics=metrics).checks(QUALITY)["gain"].outcome is FAIL
