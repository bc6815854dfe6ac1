"""The ledger and the timeline are read as they are, and refused when they can't be one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from harness.slices import block_counts, largest_gap_s, requests
from tests.builders import World, every, healthy

if TYPE_CHECKING:
    from collections.abc import Callable


def ledger(world: World) -> object:
    return requests(world.evidence["ledger"])


@pytest.mark.parametrize("column", ["request_id", "scenario", "phase", "intended_ns", "status"])
def test_an_empty_cell_is_refused_where_none_may_be(column: str) -> None:
    def blank(table: pd.DataFrame) -> pd.DataFrame:
        table[column] = table[column].astype(object).where(table.index != 7, None)
        return table

    with pytest.raises(ValueError, match=f"column {column} has empty cells"):
        ledger(healthy().with_table("ledger", "requests", blank))


@pytest.mark.parametrize("after", [0, 15_299])
def test_two_rows_with_one_id_are_refused(after: int) -> None:
    def doubled_row(table: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([table.iloc[: after + 1], table.iloc[:1], table.iloc[after + 1 :]])

    doubled = healthy().with_table("ledger", "requests", doubled_row)
    with pytest.raises(ValueError, match="two rows with one request_id"):
        ledger(doubled)


def test_an_answer_from_before_the_request_is_refused() -> None:
    early = healthy().with_rows(lambda rows: rows.index == 3, done_ns=lambda rows: rows["intended_ns"] - 1)
    with pytest.raises(ValueError, match="before its request was due"):
        ledger(early)


def test_the_order_of_rows_does_not_matter() -> None:
    shuffled = healthy().with_table("ledger", "requests", lambda table: table.sample(frac=1, random_state=1))
    assert shuffled.judge() == healthy().judge()


def test_dictionary_and_nullable_columns_read_the_same() -> None:
    def typed(table: pd.DataFrame) -> pd.DataFrame:
        names = dict.fromkeys(("scenario", "phase", "zone", "model_version"), "category")
        return table.astype({**names, "sent_ns": "Int64", "done_ns": "Int64"})

    assert healthy().with_table("ledger", "requests", typed).judge() == healthy().judge()


def test_response_time_is_done_minus_intended_and_endless_without_a_good_answer() -> None:
    world = healthy().with_rows(lambda rows: rows.index == 0, status=14)
    world = world.with_rows(lambda rows: rows.index == 1, done_ns=lambda rows: rows["intended_ns"] + 7_000_000)
    world = world.with_rows(lambda rows: rows.index == 2, done_ns=np.nan)
    assert list(requests(world.evidence["ledger"]).response_ms()[:3]) == [np.inf, 7.0, np.inf]


def test_blocks_are_seconds_or_twentieths_of_a_short_phase() -> None:
    rows = requests(healthy().evidence["ledger"])
    for scenario, phase, count in (("sustained", "hold", 25), ("spike", "peak", 20), ("staircase", "step-0100", 20)):
        part = rows.of(scenario, phase)
        over, sizes = block_counts(part, np.ones(len(part), dtype=bool), part.speak_of_the_service())
        assert len(sizes) == count
        assert sizes.sum() == len(part)
        assert (over == sizes).all()


def interleaved(table: pd.DataFrame) -> pd.DataFrame:
    """The same requests under ids by which no two rows of a phase are neighbours."""
    return table.assign(request_id=np.random.default_rng(5).permutation(len(table)).astype(np.uint64))


@pytest.mark.parametrize("change", [lambda table: table, interleaved])
def test_a_scenario_and_its_phases_are_taken_wherever_they_lie(change: Callable[..., pd.DataFrame]) -> None:
    world = healthy().with_table("ledger", "requests", change)
    rows, table = requests(world.evidence["ledger"]), world.evidence["ledger"].tables["requests"]
    table = table.sort_values("request_id")
    for scenario, phase in rows.phases():
        wanted = table[(table["scenario"] == scenario) & (table["phase"] == phase)]
        assert list(rows.of(scenario, phase).request_id) == list(wanted["request_id"])
        assert list(rows.of(scenario).request_id) == list(table[table["scenario"] == scenario]["request_id"])
    ends = rows.where(rows.place("spike", ["before", "after"]))
    assert set(ends.phase) == {"before", "after"}
    assert not len(rows.of("spike", "none"))
    assert not len(rows.of("none"))
    assert rows.where(slice(0, 0)).phases() == []


def test_the_rows_of_a_phase_are_taken_without_a_copy() -> None:
    rows = requests(healthy().evidence["ledger"])
    for part in (rows.of("spike"), rows.of("spike", "peak"), rows.where(np.ones(len(rows), dtype=bool))):
        assert np.shares_memory(part.done_ns, rows.done_ns)


@pytest.mark.parametrize("change", [lambda table: table, interleaved])
def test_blocks_agree_with_counting_one_by_one(change: Callable[..., pd.DataFrame]) -> None:
    rows = requests(healthy().with_table("ledger", "requests", change).evidence["ledger"])
    rng = np.random.default_rng(7)
    bad, counted = rng.random(len(rows)) < 0.1, rng.random(len(rows)) < 0.9
    counted &= ~np.asarray(rows.phase == "before")
    over, sizes = block_counts(rows, bad, counted)
    expected: list[tuple[int, int]] = []
    for scenario, phase in rows.phases():
        mask = counted & np.asarray((rows.scenario == scenario) & (rows.phase == phase))
        if not mask.any():
            continue
        due = rows.intended_ns[mask] - rows.intended_ns[mask].min()
        width = 1e9 if due.max() >= 20e9 else due.max() / 20
        block = np.minimum(due // width, 19 if width < 1e9 else np.inf)
        expected += [
            (int(np.sum(bad[mask] & (block == place))), int(np.sum(block == place)))
            for place in range(int(block.max()) + 1)
        ]
    assert list(zip(over.tolist(), sizes.tolist(), strict=True)) == expected


def test_bad_rows_are_counted_in_their_own_block() -> None:
    rows = requests(healthy().evidence["ledger"]).of("sustained", "hold")
    over, _ = block_counts(rows, (rows.intended_ns - rows.intended_ns.min()) < 1e9, rows.speak_of_the_service())
    assert over[0] > 0
    assert over[1:].sum() == 0


@pytest.mark.parametrize(
    ("stamps_s", "gap_s"),
    [([], 10), ([9.5], 9.5), ([0, 5, 10], 5), ([-1, 4, 12], 6), ([10, 7, 0, 7], 7), ([-3, 30], 10)],
)
def test_the_largest_gap_runs_from_the_start_to_the_end(stamps_s: list[float], gap_s: float) -> None:
    assert largest_gap_s(np.array(stamps_s, dtype=float) * 1e9, 0.0, 10e9) == gap_s


def test_a_mask_of_the_builders_is_evenly_spread() -> None:
    rows = healthy().evidence["ledger"].tables["requests"]
    assert every(rows, 100, "sustained", "hold").sum() == 25
