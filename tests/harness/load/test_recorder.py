"""The recorder writes while the load runs, announces what has begun, and says when it cannot."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.load.recorder import QUEUE_MAX, Row
from harness.load.sender import AnsweredBy
from harness.load.spec import LoadSpec, Phase
from harness.load.streams import read_stream
from tests.harness.load.ledger_support import recorder
from tests.harness.load.test_spec import a_spec
from tests.integration.processes import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

ROW: Row = (1, 2, 3, 0, 5, AnsweredBy("zone-a", "1"))


@pytest.fixture
def spec(tmp_path: Path) -> LoadSpec:
    return a_spec(ledger=str(tmp_path / "ledger.arrow"))


def test_rows_can_be_read_before_the_stream_ends(spec: LoadSpec) -> None:
    writer = recorder(spec)
    writer.start()
    writer.put([ROW, ROW])
    rows: Callable[[], int] = lambda: Path(spec.ledger).exists() and writer.rows  # noqa: E731 - a condition
    wait_for(rows, 5, "rows written")
    assert len(read_stream(Path(spec.ledger)).rows) == 2
    writer.close()
    assert writer.fresh.popleft().names == (AnsweredBy("zone-a", "1"),)
    assert writer.written == Path(spec.ledger).stat().st_size


def test_only_whole_batches_count_as_written(spec: LoadSpec) -> None:
    """What is shipped from the file while it grows must never end inside a batch."""
    writer = recorder(spec)
    writer.start()
    for _ in range(3):
        writer.put([ROW])
    wait_for(lambda: writer.rows == 3, 5, "rows written")
    wait_for(lambda: writer.written, 5, "bytes counted")
    copy = Path(spec.ledger).with_name("copy.arrow")
    copy.write_bytes(Path(spec.ledger).read_bytes()[: writer.written])
    assert len(read_stream(copy).rows) == 3
    writer.close()


def test_empty_batches_write_nothing(spec: LoadSpec) -> None:
    writer = recorder(spec)
    writer.start()
    writer.put([])
    writer.close()
    assert (writer.batches, writer.rows) == (0, 0)


def test_only_phases_that_began_are_announced(tmp_path: Path) -> None:
    timeline = tmp_path / "timeline.jsonl"
    spec = a_spec(
        phases=(Phase("now", 1.0, 5.0), Phase("later", 1.0, 5.0)),
        ledger=str(tmp_path / "ledger.arrow"),
        timeline=str(timeline),
        zero_ns=time.monotonic_ns() - 7_000_000_000,
    )
    writer = recorder(spec, start_ns=6_000_000_000)  # the first phase began 1 s ago, the second begins in 4 s
    writer.start()
    writer.put([])
    writer.close()
    events = [json.loads(line) for line in timeline.read_text().splitlines()]
    assert [(item["event"], item["subject"]) for item in events] == [
        ("scenario_started", "spike"),
        ("phase_started", "spike/now"),
        ("scenario_ended", "spike"),
    ]
    assert events[1]["t_ns"] == 6_000_000_000
    assert events[1]["detail"] == {"rate_rps": 1.0, "end_rate_rps": None, "duration_s": 5.0}


def test_disk_that_fails_ends_the_load(tmp_path: Path) -> None:
    writer = recorder(a_spec(ledger=str(tmp_path / "missing" / "ledger.arrow")))
    writer.start()
    with pytest.raises(RuntimeError, match="ledger"):
        writer.close()
    with pytest.raises(RuntimeError, match="cannot be written"):
        writer.put([ROW])


def test_disk_that_cannot_keep_up_ends_the_load(spec: LoadSpec) -> None:
    writer = recorder(spec)  # never started: as slow as can be
    for _ in range(QUEUE_MAX):
        writer.put([ROW])
    with pytest.raises(RuntimeError, match="behind"):
        writer.put([ROW])
