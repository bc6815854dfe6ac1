"""Refusals are told of, but never more than a line a second for each reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_service.telemetry import RefusalLog

if TYPE_CHECKING:
    import pytest


def test_a_flood_of_refusals_is_a_line_a_second_that_says_how_many(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "reference_service")
    now_s = [100.0]
    log = RefusalLog(lambda: now_s[0])
    for number in range(1000):
        log.add("unauthenticated", f"{number}")
    log.add("quota", "other")
    now_s[0] += 1
    log.add("unauthenticated", "last")
    told: list[Any] = [record.fields for record in caplog.records]  # type: ignore[attr-defined]
    assert told == [
        {"reason": "unauthenticated", "request_id": "0", "untold_before": 0},
        {"reason": "quota", "request_id": "other", "untold_before": 0},
        {"reason": "unauthenticated", "request_id": "last", "untold_before": 999},
    ]
