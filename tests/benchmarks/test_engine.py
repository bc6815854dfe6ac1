"""What the load engine's pure pieces cost, so that a slower one is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load.engine import refusal
from harness.load.ledger import complete
from harness.load.schedule import schedule
from harness.load.spec import LoadSpec, Phase
from harness.model import Status
from tests.harness.load.ledger_support import answered, write

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture


def a_load(directory: Path) -> LoadSpec:
    """100 s at 1,000 requests a second."""
    return LoadSpec(
        scenario="sustained",
        target="127.0.0.1:1",
        phases=(Phase("hold", 1000.0, 100.0),),
        requests="",
        ledger=str(directory / "ledger.arrow"),
        zero_ns=0,
    )


def test_schedule_of_100_000_requests(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    plan = benchmark(schedule, a_load(tmp_path))
    assert abs(len(plan) - 100_000) < 2_000


def test_completion_of_100_000_rows(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    spec = a_load(tmp_path)
    plan, path = schedule(spec), tmp_path / "ledger.arrow"
    rows = answered(spec)
    write(spec, [rows[start : start + 1000] for start in range(0, len(rows), 1000)])
    table, summary = benchmark.pedantic(complete, args=(spec, path), rounds=3)
    assert (len(table), summary["gaps"], set(table["status"])) == (len(plan), 0, {Status.OK})


def test_decision_whether_to_send(benchmark: BenchmarkFixture) -> None:
    assert benchmark(refusal, 50_000, 10, in_flight_max=512, late_limit_ns=250_000_000) is None
