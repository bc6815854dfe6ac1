"""Whose fault an unsent request is, by the engine's rule."""

from __future__ import annotations

import pytest

from harness.load.engine import refusal
from harness.model import Status

LIMIT_NS = 250_000_000


@pytest.mark.parametrize(
    ("overdue_ms", "in_flight", "expected"),
    [
        (0.0, 0, None),
        (0.0, 511, None),
        (200.0, 0, None),  # late, and sent: its lag shows
        (251.0, 0, Status.GENERATOR_LATE),
        (0.5, 512, Status.CAP_FULL),  # on time, and the service has not answered 512
        (100.0, 512, Status.GENERATOR_LATE),  # the cap may be full because the generator sent a burst
        (251.0, 512, Status.GENERATOR_LATE),
    ],
)
def test_refuses_by_whose_fault_it_is(overdue_ms: float, in_flight: int, expected: int | None) -> None:
    status = refusal(int(overdue_ms * 1e6), in_flight, in_flight_max=512, late_limit_ns=LIMIT_NS)
    assert status == expected
