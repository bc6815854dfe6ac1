"""The safeguard counts each failed request once, while the stream still grows and whatever its end looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from harness.collectors.safeguard import Safeguard
from harness.load.recorder import BATCH_KEY, STREAM_SCHEMA
from harness.load.spec import LoadSpec, Phase
from harness.load.streams import worker_stream

if TYPE_CHECKING:
    from pathlib import Path

OK, LATE = 0, -3


def a_spec(folder: Path, workers: int = 1) -> LoadSpec:
    phases, ledger = (Phase("load", 1, 1),), str(folder / "x.arrow")
    where = {"target": "127.0.0.1:1", "requests": "", "ledger": ledger, "zero_ns": 0}
    return LoadSpec(scenario="x", phases=phases, workers=workers, **where)


def batch(statuses: list[int]) -> pa.RecordBatch:
    n = len(statuses)
    columns = []
    for field in STREAM_SCHEMA:
        values = statuses if field.name == "status" else [""] * n if pa.types.is_string(field.type) else [0] * n
        columns.append(pa.array(values, field.type))
    return pa.record_batch(columns, schema=STREAM_SCHEMA)


class Stream:
    """A worker's stream, written batch by batch."""

    def __init__(self, path: Path) -> None:
        self.path, self.number = path, 0
        self.file = pa.OSFile(str(path), "wb")
        self.writer = pa.ipc.new_stream(self.file, STREAM_SCHEMA)

    def add(self, statuses: list[int]) -> None:
        self.writer.write_batch(batch(statuses), custom_metadata={BATCH_KEY: str(self.number)})
        self.number += 1


def test_failures_are_counted_once_as_they_come(tmp_path: Path) -> None:
    spec = a_spec(tmp_path)
    watching = Safeguard(spec, failures_max=3)
    assert not watching.spent()
    stream = Stream(worker_stream(spec, 0))
    assert not watching.spent()
    stream.add([OK, 14, 4, OK])
    assert [watching.spent(), watching.spent(), watching.failures] == [False, False, 2]
    stream.add([-1, LATE, LATE])
    assert [watching.spent(), watching.failures] == [False, 3]
    stream.add([-2])
    assert [watching.spent(), watching.failures] == [True, 4]


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.95])
def test_a_batch_that_is_written_half_counts_when_it_is_whole(tmp_path: Path, kept: float) -> None:
    spec = a_spec(tmp_path)
    stream = Stream(worker_stream(spec, 0))
    stream.add([14])
    first = stream.path.read_bytes()
    stream.add([14] * 50)
    whole = stream.path.read_bytes()
    watching = Safeguard(spec, failures_max=40)
    stream.path.write_bytes(whole[: round(len(first) + kept * (len(whole) - len(first)))])
    assert [watching.spent(), watching.failures] == [False, 1]
    stream.path.write_bytes(whole)
    assert [watching.spent(), watching.failures] == [True, 51]


def test_all_workers_count(tmp_path: Path) -> None:
    spec = a_spec(tmp_path, workers=2)
    for worker in range(2):
        Stream(worker_stream(spec, worker)).add([14, 14])
    watching = Safeguard(spec, failures_max=3)
    assert [watching.spent(), watching.failures] == [True, 4]
