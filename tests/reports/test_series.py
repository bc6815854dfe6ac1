"""Coarse series keep what matters: the worst latency, the worst failures, the mean rate."""

from __future__ import annotations

import pytest

from reports.series import Distribution, read
from tests.reports.sample_series import series


def test_joined_bins_keep_the_worst_and_the_mean() -> None:
    run = read(
        {
            "bin_s": 0.5,
            "t_s": [0.0, 0.5, 1.0],
            "ok_rps": [100.0, 200.0, 50.0],
            "failed_rps": [0.0, 8.0, 0.0],
            "p99_ms": [3.0, 90.0, None],
            "zones": {"zone-a": [10.0, 20.0, 30.0]},
        }
    )
    coarse = run.coarse(2)
    assert coarse.t_s == (0.0, 1.0)
    assert coarse.bin_s == 1.0
    assert coarse.ok_rps == (150.0, 50.0)
    assert coarse.failed_rps == (8.0, 0.0)
    assert coarse.p99_ms == (90.0, None)
    assert coarse.p50_ms == (None, None)
    assert coarse.zones == {"zone-a": (15.0, 30.0)}


def test_few_enough_bins_are_left_alone() -> None:
    run = read(series())
    assert run.coarse(10_000) is run


def test_a_bin_belongs_to_the_last_phase_that_had_begun() -> None:
    run = read(series())
    found = [run.phase_at(t_s) for t_s in (5.2, 41.2, 44.0)]
    assert [phase.name if phase else None for phase in found] == ["hold", "hold", None]


def test_shares_are_read_from_upper_edges() -> None:
    item = Distribution("sustained", (0.0, 1.0, 2.0, 4.0), (98, 1, 1))
    assert [item.within_ms(share) for share in (0.5, 0.98, 0.99, 1.0)] == [1.0, 1.0, 2.0, 4.0]
    assert item.bars() == ((0.5, 1.0, 98), (1.0, 2.0, 1), (2.0, 4.0, 1))


def test_distributions_follow_the_run_and_empty_ones_are_left_out() -> None:
    drawn = series()
    drawn["distribution"] = {
        "rollback": drawn["distribution"]["rollback"],
        "sustained": drawn["distribution"]["sustained"],
    }
    drawn["distribution"]["spike"] = {"edges_ms": [1.0, 2.0], "counts": [0]}
    assert [item.scenario for item in read(drawn).distributions] == ["sustained", "rollback"]


def test_counts_that_do_not_fit_the_edges_are_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        Distribution("sustained", (0.0, 1.0), (1, 2)).bars()
