"""The sentence under an experiment's chart says what was measured, and why where it did not pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reports.experiment_readings import reading
from reports.experiments import read_experiments
from tests.reports.sample_experiments import CRASH, measured


def told(**changes: Any) -> str:
    (found,) = read_experiments({"experiments": [measured(CRASH) | changes]})
    return reading(found.worst).replace("\xa0", " ")


def test_what_was_survived_is_told_in_one_sentence() -> None:
    assert told() == (
        "No request was lost: the edge stopped sending to zone-b after 0.31 s and the objectives were met again "
        "after 0.6 s; 11 first attempts failed and the edge's retries hid that, 1.007 attempts a request."
    )


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ([0, 0], "No request was lost"),
        ([1, 1], "1 request lost, no more than the Plan allows"),
        ([0, 3], "0 to 3 requests lost, no more than the Plan allows"),
        (None, "How many requests were lost was not measured"),
    ],
)
def test_lost_requests_are_told_as_an_interval(lost: list[int] | None, words: str) -> None:
    assert told(lost=lost).startswith(words)


def test_what_was_not_measured_is_not_told() -> None:
    bare = told(ttd_s=None, ttr_s=None, first_attempt_errors=None)
    assert bare == "No request was lost."


def test_answers_of_another_version_are_told_of_because_nothing_else_shows_them() -> None:
    said = told(ttd_s=None, ttr_s=0.0, over_slo=0, first_attempt_errors=None, other_answers=812)
    assert said == (
        "No request was lost: the objectives were met all the while; 812 answers came from another version than the "
        "one to launch."
    )
    assert "another version" not in told(other_answers=0)


def test_objectives_that_were_never_missed_are_told_as_such() -> None:
    assert "the objectives were met all the while" in told(ttr_s=0.0, over_slo=0)
    assert "met all the while" not in told(ttr_s=0.0, over_slo=3)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("FAIL", "Did not go as promised: the fault cost too much."),
        ("UNKNOWN", "This experiment proves nothing: the fault cost too much."),
    ],
)
def test_what_did_not_pass_gives_the_judges_reason_alone(outcome: str, words: str) -> None:
    assert told(outcome=outcome, reason="the fault cost too much") == words


def test_a_fault_of_two_zones_names_both() -> None:
    (found,) = read_experiments({"experiments": [measured(replace(CRASH, subjects=("zone-a", "zone-b")))]})
    assert "stopped sending to zone-a and zone-b after" in reading(found.worst)
