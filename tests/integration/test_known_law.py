"""Against a server whose response times can be computed, the ledger's are the computed ones: nothing hides a stall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.load.phases import sustained
from tests.benchmarks.law import FIRST_STALL_NS, PERIOD_NS, SERVICE_NS, STALL_NS, answered_ns
from tests.benchmarks.lawful import law_server
from tests.benchmarks.own_load import drive

if TYPE_CHECKING:
    from pathlib import Path

RATE_RPS, WINDOW_S = 400.0, 12.5
"""One whole stall: 8 % of the requests wait, so that p99 is well inside it and p50 well outside."""


@pytest.mark.parametrize(
    ("arrives_ns", "waits_ns"),
    [
        (0, SERVICE_NS),
        (FIRST_STALL_NS - SERVICE_NS - 1, SERVICE_NS),
        (FIRST_STALL_NS - SERVICE_NS, SERVICE_NS + STALL_NS),
        (FIRST_STALL_NS, STALL_NS),
        (FIRST_STALL_NS + STALL_NS - 1, SERVICE_NS),
        (FIRST_STALL_NS + PERIOD_NS + STALL_NS // 2, STALL_NS // 2),
    ],
)
def test_law(arrives_ns: int, waits_ns: int) -> None:
    assert answered_ns(7 + arrives_ns, 7) - 7 - arrives_ns == waits_ns


@pytest.mark.slow
def test_response_times_are_those_of_the_law(tmp_path: Path) -> None:
    with law_server() as server:
        run = drive(tmp_path, server.address, sustained(RATE_RPS, WINDOW_S), in_flight_max=2048)
        server.finish()
    measured_ms, truth_ms = run.response_ms, server.truth_ms(run.intended_ns)
    assert server.stalls == 1
    assert len(measured_ms) == server.served["answers"] == pytest.approx(RATE_RPS * WINDOW_S, rel=0.1)
    assert np.quantile(measured_ms, 0.5) == pytest.approx(np.quantile(truth_ms, 0.5), abs=1.0)
    for share in (0.99, 0.999):
        assert np.quantile(measured_ms, share) == pytest.approx(np.quantile(truth_ms, share), rel=0.02)
