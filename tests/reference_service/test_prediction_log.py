"""The log is JSON lines, and the prediction log keeps every answer it was given."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from pathlib import Path

import numpy as np
import pytest

from reference_service import telemetry
from reference_service.telemetry import PredictionLog
from reference_service.telemetry.log import JsonFormatter
from tests.reference_service.running import wait_for

ROW = np.array([[1.0, 2.0]], "<f4")


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


def test_a_prediction_is_a_line_with_digest_and_rounded_outputs(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "p", "2", "zone-b")
    log.add('quote"d', ROW, np.array([[0.123456789], [1.0]], np.float32))
    log.close()
    assert json.loads((tmp_path / "p").read_text()) == {
        "request_id": 'quote"d',
        "model_version": "2",
        "zone": "zone-b",
        "row_digest": hashlib.sha256(ROW.tobytes()).hexdigest()[:16],
        "outputs": [0.1234568, 1.0],
    }


def test_a_second_process_appends_to_the_same_log(tmp_path: Path) -> None:
    for _ in range(2):
        log = PredictionLog(tmp_path / "p", "1", "z")
        log.add("r", ROW, ROW)
        log.close()
    assert len((tmp_path / "p").read_text().splitlines()) == 2


def test_predictions_reach_the_file_without_being_asked(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "p", "1", "z")
    log.add("r", ROW, ROW)
    assert not (tmp_path / "p").read_bytes()

    async def flushing() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(log.flush_forever(), 3 * telemetry.predictions.FLUSH_INTERVAL_S)

    asyncio.run(flushing())
    wait_for(lambda: (tmp_path / "p").read_bytes().endswith(b"}\n"))
    log.close()


def test_without_a_path_nothing_is_kept() -> None:
    log = PredictionLog(None, "1", "z")
    log.add("r", ROW, ROW)
    assert log._lines == []
    log.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_costs_the_records_and_says_so_but_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    log = PredictionLog(Path("/dev/full"), "1", "z")
    log.add("r", ROW, ROW)
    log.close()
    (record,) = caplog.records
    assert record.getMessage() == "prediction_log_failed"
    assert record.fields["lost"] == 1
