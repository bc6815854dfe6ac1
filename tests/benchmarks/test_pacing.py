"""How exactly the engine keeps its schedule, beside a process on the same machine that does nothing but sleep.

Rule: speed is recorded, not asserted. That the load was whole is asserted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.load.phases import sustained
from harness.model import Status
from tests.benchmarks.machine import undisturbed
from tests.benchmarks.own_load import Run, drive
from tests.benchmarks.rivals import null_server

if TYPE_CHECKING:
    from tests.benchmarks.claims import Claims

IDLE_TIMER = Path(__file__).with_name("idle_timer.py")
RATE_RPS, HOLD_S, WARMUP_S, IDLE_S = 1000.0, 30.0, 2.0, 8.0
LAG_MS_P50_MAX, LAG_MS_P99_MAX = 0.1, 1.0


def idle_overshoot_ms() -> dict[str, float]:
    command = [sys.executable, "-I", str(IDLE_TIMER), str(RATE_RPS), str(IDLE_S)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.bench
def test_pacing_at_1000_requests_a_second(claims: Claims, tmp_path: Path) -> None:
    runs: list[Run] = []
    with null_server() as address:
        before = idle_overshoot_ms()
        phases = sustained(RATE_RPS, HOLD_S, WARMUP_S)
        claims.benchmark.pedantic(lambda: runs.append(undisturbed(lambda: drive(tmp_path, address, phases))), rounds=1)
        after = idle_overshoot_ms()
    (run,) = runs
    assert run.summary["finished"]
    assert run.summary["gaps"] == 0
    assert run.count(Status.OK) + run.count(Status.GENERATOR_LATE) == len(run.held)

    p50, p99, late = run.lag_ms(0.5), run.lag_ms(0.99), run.count(Status.GENERATOR_LATE)
    claims.at_most("requests sent too late to be sent (status -3)", late, 0)
    claims.at_most("lag p50, ms", p50, LAG_MS_P50_MAX)
    claims.at_most("lag p99, ms", p99, LAG_MS_P99_MAX)
    claims.note(
        f"pacing: {len(run.held)} requests at {RATE_RPS:g}/s, lag p50 {p50:.3f} ms, p99 {p99:.3f} ms, "
        f"p99.9 {run.lag_ms(0.999):.2f} ms, {late} with -3; a process that only sleeps: "
        f"p99 {before['p99']:.3f} ms before, {after['p99']:.3f} ms after",
        lag_ms_p999=round(run.lag_ms(0.999), 4),
        idle_before_ms=before,
        idle_after_ms=after,
        cpu_share=run.summary["cpu_share"],
    )
