"""Experiments are read as the verdict holds them: repeats together, the worst for all, the unmeasured never as zero."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.model import Outcome
from reports.experiments import Experiment, read_experiments
from reports.experiments_table import COLUMNS, Cell, Row, table, tally
from tests.reports.sample_experiments import CRASH, FREEZE, TRIED, experiments, measured

NAMES = {tried.name for tried in TRIED}


def row(name: str, items: list[dict[str, object]]) -> Row:
    return next(item for item in table({"experiments": items}) if item.name == name)


def cell(of: Row, column: str) -> Cell:
    return next(item for item in of.cells if item.column == column)


def plain(of: Cell) -> tuple[str, ...]:
    return tuple(text.replace("\xa0", " ") for text in (of.text, *of.notes))


def freezes(*changes: dict[str, object]) -> list[dict[str, object]]:
    return [measured(replace(FREEZE, repeat=at + 1)) | change for at, change in enumerate(changes)]


def test_every_experiment_has_one_row_and_the_worst_come_first() -> None:
    rows = table({"experiments": experiments()})
    assert len(rows) == len(NAMES) == 13
    assert [item.mark.word for item in rows] == ["Failed", "Unknown", *["Passed"] * 11]
    assert all([item.column for item in of.cells] == list(COLUMNS) for of in rows)
    assert rows[2].name == "Zone crash"


def test_a_row_says_what_was_done_what_came_of_it_and_why() -> None:
    lost = row("Two zones lost", experiments())
    assert lost.title == "Two of three zones are lost and the third carries all"
    assert lost.reason.startswith("3 to 11 of 1,100 requests lost")
    assert plain(cell(lost, "Requests lost")) == ("3 to 11", "of 1,500 sent")
    assert row("Zone crash", experiments()).reason == ""


def test_first_attempts_stand_beside_the_amplification_and_capacity_beside_the_offer() -> None:
    crash = row("Zone crash", experiments())
    assert plain(cell(crash, "First attempts failed")) == ("11", "attempts × 1.007")
    assert plain(cell(crash, "Good answers while broken")) == ("97.6 /s", "of 100 offered")
    assert plain(cell(crash, "30-day budget spent")) == ("0.00077 %",)


def test_repeats_show_the_worst_and_the_median() -> None:
    frozen = row("Zone freeze", experiments())
    assert frozen.tries == "3 times: worst, and median"
    assert plain(cell(frozen, "TTR")) == ("2.1 s", "median 1.6 s")
    assert plain(cell(frozen, "Good answers while broken")) == ("95.2 /s", "of 100 offered", "median 96.2 /s")


def test_of_repeats_the_one_that_lost_most_is_told_with_its_own_count() -> None:
    of = row("Zone freeze", freezes({"lost": [0, 0]}, {"lost": [1, 4], "n": 900}, {"lost": [0, 1]}))
    assert plain(cell(of, "Requests lost")) == ("1 to 4", "of 900 sent", "median 1")


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("ttd_s", "TTD"),
        ("ttr_s", "TTR"),
        ("lost", "Requests lost"),
        ("over_slo", "Over the objective"),
        ("budget_burnt", "30-day budget spent"),
        ("first_attempt_errors", "First attempts failed"),
        ("capacity_degraded_rps", "Good answers while broken"),
    ],
)
def test_what_was_not_measured_says_so_and_a_repeat_without_it_is_counted(field: str, column: str) -> None:
    none = cell(row("Zone freeze", freezes({field: None})), column)
    assert (none.text, none.notes, none.measured) == ("not measured", (), False)
    some = cell(row("Zone freeze", freezes({field: None}, {}, {})), column)
    assert some.measured
    assert some.notes[-1] == "1 of 3 not measured"


@pytest.mark.parametrize("outcome", ["FAIL", "UNKNOWN"])
def test_one_bad_repeat_decides_for_all(outcome: str) -> None:
    of = row("Zone freeze", freezes({}, {"outcome": outcome, "reason": "no"}, {}))
    assert (of.mark.word, of.reason) == ({"FAIL": "Failed", "UNKNOWN": "Unknown"}[outcome], "no")


def test_the_worst_try_is_by_outcome_then_loss_then_recovery() -> None:
    def worst(*changes: dict[str, object]) -> int:
        (found,) = read_experiments({"experiments": freezes(*changes)})
        return found.worst.repeat

    assert worst({"ttr_s": 9.0}, {"outcome": "FAIL"}) == 2
    assert worst({"ttr_s": 9.0}, {"lost": [0, 1]}) == 2
    assert worst({"ttr_s": 1.0}, {"ttr_s": 1.2}, {"ttr_s": None}) == 2


def test_faults_are_counted_without_the_control_and_the_switch_of_versions() -> None:
    found = tally({"experiments": experiments()})
    assert found is not None
    assert (found.survived, found.made) == (9, 11)
    assert (found.slowest_s, found.slowest_words, found.mark.word) == (4.4, "two zones lost", "Failed")


def test_an_unknown_experiment_is_not_survived() -> None:
    items = [measured(CRASH), measured(FREEZE) | {"outcome": "UNKNOWN"}]
    found = tally({"experiments": items})
    assert found is not None
    assert (found.survived, found.made, found.mark.word) == (1, 2, "Unknown")


def test_a_single_fault_or_none_is_not_counted_on_page_one() -> None:
    assert tally({"experiments": [measured(CRASH)]}) is None
    assert tally({}) is None


def test_an_entry_that_measured_nothing_at_all_is_still_a_row() -> None:
    bare = {"name": "zone_freeze", "scenario": "zone_freeze", "outcome": "UNKNOWN", "reason": "skipped"}
    (found,) = read_experiments({"experiments": [bare | {"seconds": None, "fault": None, "lost": None}]})
    assert isinstance(found, Experiment)
    assert found.worst.outcome is Outcome.UNKNOWN
    assert not found.worst.drawn
    (of,) = table({"experiments": [bare]})
    assert not any(item.measured for item in of.cells)
