"""Page one's numbers come from the gates' checks; what was not measured is named."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reports.key_numbers import KeyNumber, key_numbers
from tests.reports.sample import broken, go, load, unknown, waived

if TYPE_CHECKING:
    from harness.model import Result, Verdict


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


def test_faults_are_counted_and_the_slowest_recovery_has_its_own_limit() -> None:
    survived, slowest = key_numbers(broken())[-2:]
    assert (survived.name, survived.observed) == ("Known faults survived as promised", "9 of 11")
    assert survived.mark is not None
    assert survived.mark.word == "Failed"
    assert slowest.name == "Slowest recovery after a fault (two zones lost)"
    assert (slowest.observed, slowest.limit) == ("4.4\xa0s", "≤ 6\xa0s")
    assert slowest.mark is not None
    assert slowest.mark.word == "Passed"


def test_a_recovery_from_a_zones_return_that_took_longer_is_the_slowest() -> None:
    def later(result: Result) -> Result:
        checks = (replace(item, observed=5.5) if item.name == "zone_freeze_ttr" else item for item in result.checks)
        return replace(result, checks=tuple(checks))

    found = key_numbers(replace(broken(), results=tuple(map(later, broken().results))))[-1]
    assert found.name == "Slowest recovery after a fault (zone freeze)"
    assert (found.observed, found.limit) == ("5.5\xa0s", "≤ 3\xa0s")


def test_a_recovery_that_the_plan_does_not_limit_is_not_called_good() -> None:
    unlimited = replace(broken(), results=())
    assert (key_numbers(unlimited)[-1].limit, key_numbers(unlimited)[-1].mark) == ("", None)


def test_without_experiments_no_fault_is_counted() -> None:
    assert not any("fault" in item.name.lower() for item in key_numbers(go()))
