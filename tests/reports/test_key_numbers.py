"""Page one's numbers come from the gates' checks; what was not measured is named."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reports.key_numbers import KeyNumber, key_numbers
from tests.reports.sample import go, load, unknown, waived

if TYPE_CHECKING:
    from harness.model import Verdict


def row(verdict: Verdict, start: str) -> KeyNumber:
    return next(item for item in key_numbers(verdict) if item.name.startswith(start))


def test_each_number_is_there_with_its_limit() -> None:
    told = [(item.observed, item.limit) for item in key_numbers(go())]
    plain = [(observed.replace("\xa0", " "), limit.replace("\xa0", " ")) for observed, limit in told]
    assert plain == [
        ("11.8 ms", "≤ 50 ms"),
        ("31.2 ms", "≤ 200 ms"),
        ("100 %", "≥ 99.95 %"),
        ("800 req/s", "≥ 400 req/s"),
        ("0 requests", "≤ 0 requests"),
        ("0.6 s", "≤ 2 s"),
        ("0.183 s", "≤ 1 s"),
    ]


def test_availability_is_told_by_what_succeeded() -> None:
    assert row(go(), "Availability").interval == "99.982 to 100\xa0%"


def test_of_two_switches_the_slower_one_is_told() -> None:
    assert row(go(), "Switching").observed == "0.183\xa0s"


def test_unknown_is_not_measured_but_marked() -> None:
    told = row(unknown(), "Response time under launch load")
    assert told.observed == "not measured"
    assert told.mark is not None
    assert told.mark.word == "Unknown"


def test_a_waived_failure_stays_a_failure() -> None:
    mark = row(waived(), "Response time under launch load").mark
    assert mark is not None
    assert mark.word == "Failed"


def test_a_gate_not_judged_has_no_outcome() -> None:
    told = row(load(), "Recovery")
    assert (told.observed, told.mark) == ("not measured", None)


def test_no_gates_at_all_still_lists_every_number() -> None:
    assert len(key_numbers(replace(go(), results=()))) == len(key_numbers(go()))
