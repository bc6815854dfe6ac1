"""How often the judging rule errs on streams with memory, in runs of several lengths: the whole table.

Rule: rates are recorded beside those of the plain binomial test, and asserted only where the rule promises them. What
it can't promise is recorded too: `unseen` is how many runs met no bad request at all, and no statistic helps there.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests.harness.streams import CONFIDENCE, STREAMS, Rates, error_rates, margin

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

pytestmark = pytest.mark.bench

PROMISED = {"independent", "stalls of 0.2 s", "bursts of 0.2 s, half bad", "level drifts in 0.3 s"}
"""Memory of a fraction of a second: at 120 s, a hundred bursts' worth of it."""


@pytest.mark.parametrize(("run_s", "runs"), [(36.0, 400), (120.0, 400), (600.0, 150)])
def test_error_rates(benchmark: BenchmarkFixture, run_s: float, runs: int) -> None:
    def table() -> dict[str, Rates]:
        return {name: error_rates(name, run_s, runs) for name in STREAMS}

    found = benchmark.pedantic(table, rounds=1)
    benchmark.extra_info["run_s"] = run_s
    benchmark.extra_info["rates"] = {name: dataclasses.asdict(rates) for name, rates in found.items()}
    for name, rates in found.items():
        assert rates.wrong_pass <= max(rates.naive_wrong_pass, margin(1 - CONFIDENCE, runs)), name
        if run_s >= 120 and name in PROMISED:
            assert rates.wrong_pass <= margin(1 - CONFIDENCE, runs), name
