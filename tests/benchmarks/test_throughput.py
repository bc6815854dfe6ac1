"""How much one worker process can send and still be believed, beside a stock Locust user and h2load.

Rule: all three against the same server, in turns, because only ratios within one run mean anything. Ours is an open
loop: the highest Poisson rate at which the generator itself is valid (harness/validity.py). Recorded, not asserted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

import pytest

from harness.load.phases import sustained
from tests.benchmarks.claims import spread
from tests.benchmarks.machine import undisturbed
from tests.benchmarks.own_load import Run, drive, messages
from tests.benchmarks.rivals import h2load_rps, null_server, stock_locust

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.benchmarks.claims import Claims

SLO_MS = 50.0
"""The reference Plan's p99 limit; a valid generator's lag may take a twentieth of it."""
LAG_MS_MAX, LAG_MS_STRICT = 0.05 * SLO_MS, 1.0
STOCK_RATIO_MIN, H2LOAD_RATIO_MIN = 2.0, 0.7
ROUNDS, TRIES = 3, 2
"""A rate is valid if one of two tries is: other work on the machine can only make a run worse."""
HOLD_S, WARMUP_S = 2.0, 0.5
H2LOAD_S, STREAMS, STOCK_S = 1, 100, 7
"""h2load runs before every run of ours, stock Locust before and after each round; a round counts their medians."""
STEP, FIRST_RPS, LOWEST_RPS, STRIDE = 1.1, 8000.0, 50.0, 2
"""Rates tried are 8,000/s times a power of 1.1; the search gallops from steps of two powers, then halves."""


@dataclass
class Search:
    """The highest valid rate of our engine, for two limits of lag, from as few runs as will do."""

    run: Callable[[float], Run]
    runs: dict[int, list[Run]] = field(default_factory=dict)

    def highest_rps(self, lag_ms_max: float, begin: int) -> tuple[int, float]:
        """The power of the highest rate that is valid, and the rate: a gallop, then halving."""
        low, high, stride = begin, begin + STRIDE, STRIDE
        while not self._valid(low, lag_ms_max):
            low, high, stride = low - stride, low, stride * 2
            assert self.rate_rps(low) > LOWEST_RPS, self.objections(high, lag_ms_max)
        while self._valid(high, lag_ms_max):
            stride *= 2
            low, high = high, high + stride
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._valid(middle, lag_ms_max) else (low, middle)
        return low, self.rate_rps(low)

    def objections(self, power: int, lag_ms_max: float) -> list[str]:
        """What kept the tries at this rate from being valid."""
        return [text for run in self.runs.get(power, []) for text in run.objections(lag_ms_max)]

    @staticmethod
    def rate_rps(power: int) -> float:
        """The rate of this power."""
        return round(FIRST_RPS * STEP**power, 0)

    def _valid(self, power: int, lag_ms_max: float) -> bool:
        tried = self.runs.setdefault(power, [])
        while not any(run.objections(lag_ms_max) == [] for run in tried):
            if len(tried) == TRIES:
                return False
            tried.append(self.run(self.rate_rps(power)))
        return True


@pytest.mark.bench
@pytest.mark.timeout(900)
@pytest.mark.parametrize("uploads", ["in memory", "on disk"])
def test_throughput_of_one_process(claims: Claims, tmp_path: Path, uploads: str) -> None:
    ours: list[float] = []
    strict: list[float] = []
    stock: list[float] = []
    h2load: list[float] = []
    h2load_now: list[float] = []
    stopped_by: list[str] = []
    begin, message = 0, messages()[0]

    with null_server(in_memory=uploads == "in memory") as address:

        def run(rate_rps: float) -> Run:
            h2load_now.append(h2load_rps(address, message, tmp_path, streams=STREAMS, seconds=H2LOAD_S))
            phases = sustained(rate_rps, HOLD_S, WARMUP_S)
            return undisturbed(lambda: drive(tmp_path, address, phases))

        def stock_rps() -> float:
            reported = stock_locust(address, message, tmp_path, seconds=STOCK_S)
            assert reported.failures == 0
            return reported.rps

        def in_turn() -> None:
            nonlocal begin
            h2load_now.clear()
            stock_now = [stock_rps()]
            search = Search(run)
            begin, rate = search.highest_rps(LAG_MS_MAX, begin)
            ours.append(rate)
            stopped_by.append("; ".join(search.objections(begin + 1, LAG_MS_MAX)))
            strict.append(search.highest_rps(LAG_MS_STRICT, begin)[1])
            stock_now.append(stock_rps())
            stock.append(median(stock_now))
            h2load.append(median(h2load_now))
            claims.write(
                f"  {rate:,.0f}/s valid, {strict[-1]:,.0f}/s at 1 ms, stock {stock[-1]:,.0f}/s, "
                f"h2load {spread(h2load_now)}/s, {len(h2load_now)} runs; stopped by: {stopped_by[-1]}"
            )

        claims.benchmark.pedantic(in_turn, rounds=ROUNDS)

    over_stock = [own / other for own, other in zip(ours, stock, strict=True)]
    over_h2load = [own / other for own, other in zip(ours, h2load, strict=True)]
    assert all(map(math.isfinite, over_stock + over_h2load))
    claims.at_least("highest valid Poisson rate over a stock Locust user's", median(over_stock), STOCK_RATIO_MIN)
    claims.at_least("highest valid Poisson rate over h2load's, one connection", median(over_h2load), H2LOAD_RATIO_MIN)
    claims.note(
        f"throughput, null server's uploads {uploads}: valid with lag p99 up to {LAG_MS_MAX:g} ms (SLO {SLO_MS:g} ms) "
        f"{spread(ours)}/s, up to 1 ms {spread(strict)}/s; stock Locust {spread(stock)}/s, h2load {spread(h2load)}/s; "
        f"ratios {spread(over_stock, 2)} and {spread(over_h2load, 2)}",
        valid_rps=ours,
        valid_rps_at_1_ms=strict,
        stock_rps=stock,
        h2load_rps=h2load,
        stopped_by=stopped_by,
    )
