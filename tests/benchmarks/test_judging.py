"""What it takes to judge and render a run of up to ten million requests, as a whole process: time, memory, growth.

Rule: speed is recorded, with its limit and whether it was met, and never asserted: it is the machine's as much as
ours. That the verdict is right is asserted.
"""

from __future__ import annotations

import functools
import json
import shutil
import sys
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from harness.model import Decision, Outcome
from harness.stages import REQUIRED, Stage
from harness.verdict_json import from_json
from tests.benchmarks.measured import Cost, cost_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

SMALL, MILLION, TEN_MILLION = 100_000, 1_000_000, 10_000_000
WALL_S_MAX = {MILLION: 2.0, TEN_MILLION: 15.0}
PEAK_BYTES_MAX = 1_500_000_000
GROWTH_MAX = 1.1
"""Time for ten times the rows, over ten times the time: above 1 by no more than a machine's noise is linear."""
IMPORTS = "import harness.cli, harness.reporting, pyarrow.parquet"
ROUNDS = 3


@pytest.fixture(scope="module")
def big_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], tuple[Path, Cost]]]:
    """Writes a run of so many requests, once, and says what that cost; all are deleted at the end."""
    folder = tmp_path_factory.mktemp("big")

    @functools.cache
    def written(rows: int) -> tuple[Path, Cost]:
        root = folder / str(rows)
        root.mkdir()
        cost = cost_of(sys.executable, "-m", "tests.benchmarks.big_run", str(root), str(rows))
        assert cost.exit_code == 0
        return root, cost

    yield written
    shutil.rmtree(folder)


def judged(root: Path) -> Cost:
    """Judge and render the run below `root`, and hold that the verdict is what it must be."""
    cost = cost_of(sys.executable, "-m", "harness.cli", "judge", str(root / "runs"))
    latest = root / "runs" / "latest"
    verdict = from_json((latest / "verdict.json").read_bytes())
    assert cost.exit_code == 0
    assert verdict.decision is Decision.GO
    assert {result.gate: result.outcome for result in verdict.results} == dict.fromkeys(
        REQUIRED[Stage.LOAD], Outcome.PASS
    )
    assert b"GO for stage load" in (latest / "report.html").read_bytes()
    return cost


def recorded(value: float, limit: float) -> dict[str, Any]:
    return {"value": round(value, 4), "limit": limit, "met": value <= limit}


@pytest.mark.parametrize("rows", [SMALL, pytest.param(MILLION, marks=pytest.mark.bench)])
def test_judging_and_rendering(benchmark: BenchmarkFixture, big_run: Any, rows: int) -> None:
    root, _ = big_run(rows)
    costs: list[Cost] = []
    benchmark.pedantic(lambda: costs.append(judged(root)), rounds=ROUNDS if rows > SMALL else 1)
    _record(benchmark, root, rows, costs)


@pytest.mark.bench
def test_ten_million_rows_and_growth_from_one_million(benchmark: BenchmarkFixture, big_run: Any) -> None:
    """Both sizes in turn, so that whatever else the machine does meets both."""
    (small, _), (large, written) = big_run(MILLION), big_run(TEN_MILLION)
    costs: list[Cost] = []
    smaller: list[float] = []
    starts: list[float] = []

    def in_turn() -> None:
        starts.append(cost_of(sys.executable, "-c", IMPORTS).wall_s)
        smaller.append(judged(small).wall_s)

    benchmark.pedantic(lambda: costs.append(judged(large)), setup=in_turn, rounds=ROUNDS)
    _record(benchmark, large, TEN_MILLION, costs)
    start_s, small_s, large_s = median(starts), median(smaller), median(cost.wall_s for cost in costs)
    benchmark.extra_info |= {
        "growth": recorded(large_s / small_s / 10, GROWTH_MAX),
        "growth_without_start": recorded((large_s - start_s) / (small_s - start_s) / 10, GROWTH_MAX),
        "start_and_imports_s": round(start_s, 4),
        "writing_peak_bytes": recorded(written.peak_bytes, PEAK_BYTES_MAX),
    }


def _record(benchmark: BenchmarkFixture, root: Path, rows: int, costs: list[Cost]) -> None:
    """The scheduled number of rows, walls, peak and rows a second; limits where there are any."""
    document = json.loads((root / "runs" / "latest" / "evidence" / "ledger.json").read_bytes())
    scheduled = sum(facts["scheduled"] for facts in document["facts"]["scenarios"].values())
    assert abs(scheduled - rows) < rows / 50
    walls = sorted(cost.wall_s for cost in costs)
    benchmark.extra_info |= {
        "rows": scheduled,
        "wall_s": recorded(median(walls), WALL_S_MAX.get(rows, WALL_S_MAX[MILLION])),
        "wall_s_all": [round(wall, 3) for wall in walls],
        "cpu_s": round(median(cost.cpu_s for cost in costs), 3),
        "peak_bytes": recorded(max(cost.peak_bytes for cost in costs), PEAK_BYTES_MAX),
        "rows_per_s": round(scheduled / median(walls)),
    }
