"""The prediction log keeps every answer it was given, in whole files; what it can't keep, it counts."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_service.telemetry import PredictionLog, predictions
from tests.reference_service.running import recorded

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ROW = np.array([[1.0, 2.0]], "<f4")


def test_a_prediction_is_recorded_with_what_was_asked_and_answered(tmp_path: Path) -> None:
    before_ns = time.time_ns()
    log = PredictionLog(tmp_path / "p", "zone-b")
    log.add('quote"d', "2", ROW, np.array([[0.25], [1.0]], np.float32))
    log.close()
    (found,) = recorded(tmp_path / "p")
    assert before_ns <= found.pop("time_ns") <= time.time_ns()
    assert found == {
        "request_id": 'quote"d',
        "model_version": "2",
        "zone": "zone-b",
        "row_digest": hashlib.sha256(ROW.tobytes()).hexdigest()[:16],
        "features": [1.0, 2.0],
        "outputs": [0.25, 1.0],
    }


def test_a_second_process_adds_to_the_same_log(tmp_path: Path) -> None:
    for number in "abc":
        log = PredictionLog(tmp_path / "p", "z")
        log.add(number, "1", ROW, ROW)
        log.close()
    assert [found["request_id"] for found in recorded(tmp_path / "p")] == ["a", "b", "c"]


def test_predictions_reach_the_disk_without_being_asked(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "p", "z")
    log.add("r", "1", ROW, ROW)

    async def flushing() -> None:
        task = asyncio.ensure_future(log.flush_forever())
        end = time.monotonic() + 10
        while not recorded(tmp_path / "p"):
            assert time.monotonic() < end
            await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(flushing())
    assert len(recorded(tmp_path / "p")) == 1


def test_two_versions_record_the_same_share_of_the_same_requests(tmp_path: Path) -> None:
    chosen = []
    for version in "12":
        log = PredictionLog(tmp_path / version, "z", ratio=0.25)
        for number in range(2000):
            log.add(f"{number:016x}", version, ROW, ROW)
        log.close()
        chosen.append([found["request_id"] for found in recorded(tmp_path / version)])
    assert chosen[0] == chosen[1]
    assert 400 < len(chosen[0]) < 600  # of Binomial(2000, 1/4), 5 standard deviations either way


def test_without_a_directory_nothing_is_kept() -> None:
    log = PredictionLog(None, "z")
    log.add("r", "1", ROW, ROW)
    assert log._waiting == []
    log.close()


def test_what_does_not_fit_in_memory_is_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "WAITING_MAX", 2)
    log = PredictionLog(tmp_path / "p", "z")
    for number in "abcd":
        log.add(number, "1", ROW, ROW)
    log.close()
    assert (len(recorded(tmp_path / "p")), log.dropped) == (2, 2)


def test_a_disk_that_fails_costs_the_records_and_says_so_but_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = PredictionLog(tmp_path / "p", "z")
    (tmp_path / "p").rmdir()
    log.add("r", "1", ROW, ROW)
    log.close()
    (record,) = caplog.records
    assert record.getMessage() == "prediction_log_failed"
    assert (record.fields["lost"], log.dropped) == (1, 1)  # type: ignore[attr-defined]


def test_the_oldest_files_leave_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "PARTS_MAX", 2)
    log = PredictionLog(tmp_path / "p", "z")
    for number in "abc":
        log.add(number, "1", ROW, ROW)
        log.flush()
    assert [found["request_id"] for found in recorded(tmp_path / "p")] == ["b", "c"]


class Failing:
    def add(self, *_: object) -> None:
        raise ValueError("a count that fails")


def test_an_error_of_any_kind_costs_the_records_in_hand_and_no_later_ones(tmp_path: Path) -> None:
    drifts: dict[str, Any] = {"1": Failing()}
    log = PredictionLog(tmp_path / "p", "z", drifts=drifts)
    log.add("lost", "1", ROW, ROW)
    log.flush()
    drifts.clear()
    log.add("kept", "1", ROW, ROW)
    log.flush()
    assert log.dropped == 1
    assert [found["request_id"] for found in recorded(tmp_path / "p")] == ["kept"]


def test_what_a_killed_process_left_is_removed_and_what_others_put_there_is_let_alone(tmp_path: Path) -> None:
    for name in ("part-00000007.new", "part-old.parquet", "note"):
        (tmp_path / name).write_bytes(b"half")
    log = PredictionLog(tmp_path, "z")
    log.add("a", "1", ROW, ROW)
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["note", "part-00000001.parquet", "part-old.parquet"]
