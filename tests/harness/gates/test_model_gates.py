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


@pytest.mark.parametrize("facts", [{"model": "other"}, {"version": "9"}])
def test_the_bare_speed_of_another_model_is_unknown(facts: dict[str, Any]) -> None:
    result = healthy().with_facts("baseline", **facts).result("baseline_latency")
    assert result.outcome is UNKNOWN
    assert "was measured; flight-delay version 1 is to launch" in result.reason


def pairs(change: Any) -> World:
    return healthy().with_table("shadow", "pairs", change)


def differing(one_in: int) -> World:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[::one_in, "candidate"] = np.where(table.loc[::one_in, "primary"] >= 0.5, 0.1, 0.9)
        return table

    return pairs(edit)


def test_a_candidate_that_decides_otherwise_fails() -> None:
    check = differing(6).checks(SHADOW)["disagreement"]
    assert check.outcome is FAIL
    assert check.n == 1200


def test_near_the_limit_more_pairs_are_asked_for() -> None:
    assert "more are needed" in differing(18).checks(SHADOW)["disagreement"].reason


def test_each_version_is_cut_at_its_own_threshold() -> None:
    moved = pairs(lambda table: table.assign(candidate=table["candidate"] * 0.6))
    assert moved.checks(SHADOW)["disagreement"].outcome is FAIL
    own = moved.with_facts("shadow", candidate_threshold=0.3)
    assert own.checks(SHADOW)["disagreement"].observed == healthy().checks(SHADOW)["disagreement"].observed


def test_unknown_probabilities_are_disagreements() -> None:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(candidate=table["primary"].where(table.index % 10 != 0))

    checks = pairs(edit).checks(SHADOW)
    assert checks["disagreement"].observed == 0.1
    assert checks["unjoined"].outcome is FAIL


def test_too_few_pairs_are_unknown() -> None:
    result = pairs(lambda table: table.head(900)).result("shadow_agreement")
    assert (result.outcome, result.reason) == (UNKNOWN, "900 pairs compared; at least 100 more are needed")


def test_requests_that_neither_version_logged_are_limited_and_count_as_disagreement() -> None:
    world = pairs(lambda table: table.iloc[200:])
    check = world.checks(SHADOW)["unjoined"]
    assert (check.outcome, check.n) == (FAIL, 1200)
    assert check.reason.startswith("200 of 1,200 requests lack a prediction")
    disagreement = world.checks(SHADOW)["disagreement"]
    assert disagreement.outcome is not PASS
    assert disagreement.reason.startswith("234 of 1,200 requests were decided otherwise, or lack a prediction")


@pytest.mark.parametrize("side", ["primary", "candidate"])
def test_requests_that_one_version_logged_are_limited(side: str) -> None:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[:40, side], table.loc[:40, f"{side}_version"] = np.nan, ""
        return table

    assert pairs(edit).checks(SHADOW)["unjoined"].outcome is FAIL


def test_unanswered_requests_without_predictions_are_not_held_against_the_candidate() -> None:
    world = pairs(lambda table: table.iloc[100:])
    first = (1 << 40) + 100
    unsent = world.with_rows(lambda rows: (rows["scenario"] == "shadow") & (rows["request_id"] < first), status=-3)
    result = unsent.result("shadow_agreement")
    assert (result.outcome, result.reason) == (
        UNKNOWN,
        "100 of 1,200 requests got no good answer: too many to compare the others",
    )


@pytest.mark.parametrize("side", ["primary", "candidate"])
@pytest.mark.parametrize(("version", "named"), [("9", "9"), ("", "unnamed")])
def test_predictions_by_another_version_are_unknown(side: str, version: str, named: str) -> None:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[7, f"{side}_version"] = version
        return table

    result = pairs(edit).result("shadow_agreement")
    assert result.outcome is UNKNOWN
    assert result.reason == f"the shadow compared other versions than the Plan names: {named}"


def test_predictions_that_do_not_fit_the_ledger_are_unknown() -> None:
    def stranger(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(request_id=table["request_id"].where(table.index != 5, np.uint64(5)))

    assert "1 requests that are not in its ledger" in pairs(stranger).result("shadow_agreement").reason
    repeated = pairs(lambda table: table.assign(request_id=table["request_id"].iloc[0]))
    assert "two rows with one request_id" in repeated.result("shadow_agreement").reason
    lost = healthy().with_table("ledger", "requests", lambda table: table[table["request_id"] != 1 << 40])
    assert "1199 of 1200 requests" in lost.result("shadow_agreement").reason


@pytest.mark.parametrize(
    "facts",
    [{"candidate_version": "3"}, {"primary_version": "9"}, {"primary_threshold": 0.0}, {"candidate_threshold": 1.5}],
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
