"""The ledger holds every scheduled request once, whatever became of the stream it is made from."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from harness.load.ledger import complete
from harness.load.recorder import Recorder, Row
from harness.load.spec import LoadSpec, Phase
from harness.load.streams import LedgerError, worker_stream
from harness.model import Status
from tests.harness.load.ledger_support import START_NS, answered, recorder, unanswered, work, write
from tests.harness.load.test_spec import a_spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def spec(tmp_path: Path) -> LoadSpec:
    phases = (Phase("before", 100.0, 0.5), Phase("peak", 200.0, 0.5))
    return a_spec(ledger=str(tmp_path / "ledger.arrow"), scenario_index=2, phases=phases)


def test_whole_stream_is_a_whole_ledger(spec: LoadSpec, tmp_path: Path) -> None:
    rows, path = answered(spec), tmp_path / "ledger.arrow"
    shuffled = [rows[index] for index in np.random.default_rng(1).permutation(len(rows))]
    write(spec, [shuffled[:40], shuffled[40:]])
    table, summary = complete(spec, path)
    assert list(table["request_id"]) == [spec.request_id(row[0]) for row in rows]
    assert table["intended_ns"].tolist() == [due - spec.zero_ns for due in work(spec).due_ns]
    for place, column in enumerate(("sent_ns", "done_ns"), start=1):
        assert table[column].tolist() == [row[place] - spec.zero_ns for row in rows], column
    assert table[["status", "response_bytes"]].to_numpy().tolist() == [[row[3], row[4]] for row in rows]
    assert table["zone"].tolist() == [row[5].zone for row in rows]
    assert (summary["finished"], summary["gaps"], summary["workers_lost"]) == (True, 0, 0)
    assert (summary["scheduled"], summary["recorded"], summary["cpu_share"]) == (len(rows), len(rows), 0.25)


def test_types_are_the_designs(spec: LoadSpec, tmp_path: Path) -> None:
    write(spec, [answered(spec)])
    table, _ = complete(spec, tmp_path / "ledger.arrow")
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == {
        "request_id": "uint64",
        "scenario": "category",
        "phase": "category",
        "intended_ns": "int64",
        "sent_ns": "Int64",
        "done_ns": "Int64",
        "status": "int16",
        "zone": "category",
        "model_version": "category",
        "worker": "int16",
        "response_bytes": "int32",
    }
    table.to_parquet(tmp_path / "requests.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "requests.parquet"), table)


def test_phases_are_told_on_the_runs_clock(spec: LoadSpec, tmp_path: Path) -> None:
    write(spec, [answered(spec)])
    table, summary = complete(spec, tmp_path / "ledger.arrow")
    before, peak = summary["phases"]
    assert (before["start_ns"], before["end_ns"], peak["end_ns"]) == (START_NS, START_NS + 5e8, START_NS + 1e9)
    inside = table[(table["intended_ns"] >= peak["start_ns"]) & (table["intended_ns"] < peak["end_ns"])]
    assert set(inside["phase"]) == {"peak"}


def test_missing_rows_of_a_lost_process_are_the_generators(spec: LoadSpec, tmp_path: Path) -> None:
    rows, path = answered(spec), tmp_path / "ledger.arrow"
    write(spec, [rows[:30]], finished=False)
    table, summary = complete(spec, path)
    assert table["status"].tolist() == [0] * 30 + [Status.GENERATOR_LATE] * (len(rows) - 30)
    assert table["sent_ns"].isna().sum() == table["done_ns"].isna().sum() == len(rows) - 30
    assert (summary["finished"], summary["gaps"], summary["recorded"]) == (False, 0, 30)


def test_row_missing_from_a_finished_load_is_a_gap(spec: LoadSpec, tmp_path: Path) -> None:
    write(spec, [answered(spec)[1:]])
    assert complete(spec, tmp_path / "ledger.arrow")[1]["gaps"] == 1


@pytest.mark.parametrize("kept", [0.35, 0.6, 0.9, 0.999])
def test_stream_cut_anywhere_is_read_up_to_its_last_whole_batch(spec: LoadSpec, tmp_path: Path, kept: float) -> None:
    rows, path = answered(spec), tmp_path / "ledger.arrow"
    write(spec, [rows[start : start + 10] for start in range(0, len(rows), 10)], finished=False)
    (tmp_path / "ledger.arrow.summary.json").unlink()  # killed: it could not state how much it wrote
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    table, summary = complete(spec, path)
    recorded = int((table["status"] == Status.OK).sum())
    assert 0 < recorded < len(rows) or kept > 0.99
    assert recorded == len(rows) or recorded % 10 == 0
    assert (summary["recorded"], summary["gaps"], len(table)) == (recorded, 0, len(rows))


def test_lost_batch_is_a_gap(spec: LoadSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, path = answered(spec), tmp_path / "ledger.arrow"
    original = Recorder._write

    def lossy(self: Recorder, stream: Any, batch: list[Row]) -> None:
        if self.batches == 1:
            self.batches = 2  # as if number 1 had been written, and was lost on the way
        original(self, stream, batch)

    monkeypatch.setattr(Recorder, "_write", lossy)
    write(spec, [rows[:10], rows[10:20], rows[20:]], finished=False)
    assert complete(spec, path)[1]["missing_batches"] == 1


def test_row_twice_is_a_gap(spec: LoadSpec, tmp_path: Path) -> None:
    rows = answered(spec)
    write(spec, [rows, [rows[3]]])
    table, summary = complete(spec, tmp_path / "ledger.arrow")
    assert (summary["duplicate_rows"], summary["gaps"], len(table)) == (1, 1, len(rows))


def test_rows_of_another_scenario_are_a_gap(spec: LoadSpec, tmp_path: Path) -> None:
    rows = answered(spec)
    write(dataclasses.replace(spec, scenario_index=3), [rows])
    table, summary = complete(spec, tmp_path / "ledger.arrow")
    assert (summary["unknown_rows"], summary["recorded"], len(table)) == (len(rows), 0, len(rows))
    assert summary["gaps"] >= len(rows)


def test_rows_due_at_other_instants_than_the_schedules_are_a_gap(spec: LoadSpec, tmp_path: Path) -> None:
    writer = recorder(spec, stated_start_ns=START_NS + 1)
    writer.start()
    writer.put(answered(spec))
    writer.close()
    summary = complete(spec, tmp_path / "ledger.arrow")[1]
    assert (summary["unknown_rows"], summary["recorded"]) == (len(answered(spec)), 0)


def test_process_without_a_summary_was_lost(spec: LoadSpec, tmp_path: Path) -> None:
    path = tmp_path / "ledger.arrow"
    write(spec, [answered(spec)])
    (tmp_path / "ledger.arrow.summary.json").unlink()
    summary = complete(spec, path)[1]
    assert (summary["workers_lost"], summary["finished"], summary["cpu_share"]) == (1, False, None)


def test_ledger_of_another_schedule_is_refused(spec: LoadSpec, tmp_path: Path) -> None:
    path = tmp_path / "ledger.arrow"
    write(spec, [answered(spec)])
    with pytest.raises(LedgerError, match="another schedule"):
        complete(a_spec(ledger=spec.ledger, scenario_index=2, phases=spec.phases, seed=99), path)


@pytest.mark.parametrize("content", [b"", b"no stream at all"])
def test_stream_without_a_header_is_no_ledger(spec: LoadSpec, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.arrow").write_bytes(content)
    with pytest.raises(LedgerError, match="never started"):
        complete(spec, tmp_path / "ledger.arrow")


def test_no_stream_is_no_ledger(spec: LoadSpec, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="never started"):
        complete(spec, tmp_path / "missing.arrow")


def test_load_without_an_answer_completes(spec: LoadSpec, tmp_path: Path) -> None:
    rows = [unanswered(row) for row in answered(spec)]
    write(spec, [rows])
    table, summary = complete(spec, tmp_path / "ledger.arrow")
    assert table["done_ns"].isna().all()
    assert json.loads(json.dumps(summary)) == summary  # plain enough to be evidence


@pytest.fixture
def shared(spec: LoadSpec) -> LoadSpec:
    """The same load by three workers."""
    return dataclasses.replace(spec, workers=3)


def test_three_workers_make_the_ledger_of_one(spec: LoadSpec, shared: LoadSpec, tmp_path: Path) -> None:
    write(spec, [answered(spec)])
    alone, _ = complete(spec, tmp_path / "ledger.arrow")
    for worker in range(3):
        write(shared, [answered(shared, worker)], worker)
    table, summary = complete(shared, tmp_path / "ledger.arrow")
    assert (summary["workers"], summary["workers_lost"], summary["gaps"], summary["finished"]) == (3, 0, 0, True)
    assert table["worker"].tolist() == [number % 3 for number in range(len(table))]
    same = ["request_id", "phase", "intended_ns", "sent_ns", "done_ns", "status"]
    pd.testing.assert_frame_equal(table[same], alone[same])


def test_lost_worker_leaves_its_rows_up_to_the_loss(shared: LoadSpec, tmp_path: Path) -> None:
    for worker in range(3):
        write(shared, [answered(shared, worker)[: 10 if worker == 1 else None]], worker)
    worker_stream(shared, 1).with_name("ledger.worker-1.arrow.summary.json").unlink()
    table, summary = complete(shared, tmp_path / "ledger.arrow")
    theirs = table[table["worker"] == 1]["status"].tolist()
    assert theirs == [Status.OK] * 10 + [Status.GENERATOR_LATE] * (len(theirs) - 10)
    assert (summary["workers_lost"], summary["finished"]) == (1, False)
    assert [item["lost"] for item in summary["per_worker"]] == [False, True, False]


def test_worker_that_left_nothing_is_lost(shared: LoadSpec, tmp_path: Path) -> None:
    for worker in (0, 2):
        write(shared, [answered(shared, worker)], worker)
    table, summary = complete(shared, tmp_path / "ledger.arrow")
    assert (table[table["worker"] == 1]["status"] == Status.GENERATOR_LATE).all()
    assert (summary["workers_lost"], summary["finished"]) == (1, False)


def batches_of(path: Path) -> list[bytes]:
    """The messages of a stream: its schema, then each batch, then its end."""
    content, edges = path.read_bytes(), [0]
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.MessageReader.open_stream(source)
        edges.extend(source.tell() for _ in reader)
    return [content[start:end] for start, end in itertools.pairwise([*edges, len(content)])]


@pytest.mark.parametrize(
    ("change", "counted"),
    [
        (lambda parts: [*parts[:2], *parts[3:]], "missing_batches"),
        (lambda parts: parts[:-2], "missing_batches"),  # the last one: only the summary's count can tell
        (lambda parts: [*parts[:3], parts[2], *parts[3:]], "duplicate_batches"),
    ],
    ids=["lost", "last lost", "twice"],
)
def test_batch_lost_or_doubled_on_the_way_is_a_gap(
    shared: LoadSpec, tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], counted: str
) -> None:
    for worker in range(3):
        rows = answered(shared, worker)
        write(shared, [rows[:10], rows[10:20], rows[20:]], worker)
    path = worker_stream(shared, 2)
    path.write_bytes(b"".join(change(batches_of(path))))
    summary = complete(shared, tmp_path / "ledger.arrow")[1]
    assert summary[counted] == 1
    assert summary["gaps"] > 0
