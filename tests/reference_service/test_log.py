"""The log is JSON lines; of refusals it tells, but never more than a line a second for each reason."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_service.telemetry import RefusalLog
from reference_service.telemetry.log import JsonFormatter

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


def formatted(name: str, message: str, **attributes: object) -> dict[str, object]:
    record = logging.makeLogRecord({"name": name, "msg": message, "levelname": "INFO", **attributes})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    parsed: dict[str, object] = json.loads(line)
    return parsed


def test_an_event_is_one_json_line_with_its_fields() -> None:
    line = formatted("reference_service", "ready", fields={"address": "127.0.0.1:1", "path": Path("x")})
    assert (line["event"], line["address"], line["path"], line["level"]) == ("ready", "127.0.0.1:1", "x", "info")
    assert str(line["time"]).endswith("+00:00")


def test_what_a_library_logs_is_json_too_with_its_traceback() -> None:
    error = ValueError("cause\nover two lines")
    line = formatted("grpc._cython", "broken", exc_info=(ValueError, error, None))
    assert (line["event"], line["message"]) == ("grpc._cython", "broken")
    assert "ValueError: cause" in str(line["exception"])
