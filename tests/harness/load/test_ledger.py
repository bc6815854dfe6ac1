"""The ledger holds every scheduled request once, whatever became of the stream it is made from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from harness.load.ledger import LedgerError, complete
from harness.load.recorder import Recorder, Row
from harness.load.schedule import schedule
from harness.load.spec import LoadSpec, Phase
from harness.load.summary import write_summary
from harness.model import Status
from tests.harness.load.test_spec import a_spec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

START_NS = 5_000_000_000


@pytest.fixture
def spec(tmp_path: Path) -> LoadSpec:
    phases = (Phase("before", 100.0, 0.5), Phase("peak", 200.0, 0.5))
    return a_spec(ledger=str(tmp_path / "ledger.arrow"), scenario_index=2, phases=phases)


def answered(spec: LoadSpec) -> list[Row]:
    """A row for each request: sent 0.1 ms late, answered in 2 ms by a zone of its own parity."""
    plan = schedule(spec)
    due_ns = (plan.intended_ns + START_NS).tolist()
    return [
        Row(spec.request_id(number), due, due + 100_000, due + 2_100_000, Status.OK, f"zone-{number % 2}", "1", 120)
        for number, due in enumerate(due_ns)
    ]


def write(spec: LoadSpec, path: Path, batches: Sequence[list[Row]], *, finished: bool = True) -> None:
    recorder = Recorder(spec, schedule(spec), START_NS)
    recorder.start()
    for batch in batches:
        recorder.put(batch)
    recorder.close()
    write_summary(path, {"finished": finished, "drained": True, "cpu_share": 0.25})


def test_whole_stream_is_a_whole_ledger(spec: LoadSpec, tmp_path: Path) -> None:
    rows, path = answered(spec), tmp_path / "ledger.arrow"
    shuffled = [rows[index] for index in np.random.default_rng(1).permutation(len(rows))]
    write(spec, path, [shuffled[:40], shuffled[40:]])
    table, summary = complete(spec, path)
    assert list(table["request_id"]) == [row.request_id for row in rows]
    for column in ("intended_ns", "sent_ns", "done_ns", "status", "response_bytes"):
        assert table[column].tolist() == [getattr(row, column) for row in rows], column
    assert table["zone"].tolist() == [row.zone for row in rows]
    assert (summary["finished"], summary["gaps"], summary["workers_lost"]) == (True, 0, 0)
    assert (summary["scheduled"], summary["recorded"], summary["cpu_share"]) == (len(rows), len(rows), 0.25)


def test_types_are_the_designs(spec: LoadSpec, tmp_path: Path) -> None:
    write(spec, tmp_path / "ledger.arrow", [answered(spec)])
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
    write(spec, tmp_path / "ledger.arrow", [answered(spec)])
    table, summary = complete(spec, tmp_path / "ledger.arrow")
    before, peak = summary["phases"]
    assert (before["start_ns"], before["end_ns"], peak["end_ns"]) == (START_NS, START_NS + 5e8, START_NS + 1e9)
    inside = table[(table["intended_ns"] >= peak["start_ns"]) & (table["intended_ns"] < peak["end_ns"])]
    assert set(inside["phase"]) == {"peak"}


def test_missing_rows_of_a_lost_process_are_the_generators(spec: LoadSpec, tmp_path: Path) -> None:
    rows, path = answered(spec), tmp_path / "ledger.arrow"
    write(spec, path, [rows[:30]], finished=False)
    table, summary = complete(spec, path)
    assert table["status"].tolist() == [0] * 30 + [Status.GENERATOR_LATE] * (len(rows) - 30)
    assert table["sent_ns"].isna().sum() == table["done_ns"].isna().sum() == len(rows) - 30
    assert (summary["finished"], summary["gaps"], summary["recorded"]) == (False, 0, 30)


def test_row_missing_from_a_finished_load_is_a_gap(spec: LoadSpec, tmp_path: Path) -> None:
    write(spec, tmp_path / "ledger.arrow", [answered(spec)[1:]])
    assert complete(spec, tmp_path / "ledger.arrow")[1]["gaps"] == 1


@pytest.mark.parametrize("kept", [0.35, 0.6, 0.9, 0.999])
def test_stream_cut_anywhere_is_read_up_to_its_last_whole_batch(spec: LoadSpec, tmp_path: Path, kept: float) -> None:
    rows, path = answered(spec), tmp_path / "ledger.arrow"
    write(spec, path, [rows[start : start + 10] for start in range(0, len(rows), 10)], finished=False)
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

    def lossy(self: Recorder, stream: object, batch: list[Row]) -> None:
        if self.batches == 1:
            self.batches = 2  # as if number 1 had been written, and was lost on the way
        original(self, stream, batch)

    monkeypatch.setattr(Recorder, "_write", lossy)
    write(spec, path, [rows[:10], rows[10:20], rows[20:]], finished=False)
    assert complete(spec, path)[1]["missing_batches"] == 1


@pytest.mark.parametrize(
    ("bad", "counted"),
    [
        ({}, "duplicate_rows"),
        ({"request_id": 7}, "unknown_rows"),  # another scenario's
        ({"request_id": (2 << 40) + 10**9}, "unknown_rows"),  # beyond the schedule
        ({"intended_ns": 1}, "unknown_rows"),  # not when the schedule says
    ],
)
def test_row_that_contradicts_the_schedule_is_a_gap(
    spec: LoadSpec, tmp_path: Path, bad: dict[str, int], counted: str
) -> None:
    rows = answered(spec)
    write(spec, tmp_path / "ledger.arrow", [rows, [rows[3]._replace(**bad)]])
    table, summary = complete(spec, tmp_path / "ledger.arrow")
    assert (summary[counted], summary["gaps"], len(table)) == (1, 1, len(rows))


def test_process_without_a_summary_was_lost(spec: LoadSpec, tmp_path: Path) -> None:
    path = tmp_path / "ledger.arrow"
    write(spec, path, [answered(spec)])
    (tmp_path / "ledger.arrow.summary.json").unlink()
    summary = complete(spec, path)[1]
    assert (summary["workers_lost"], summary["finished"], summary["cpu_share"]) == (1, False, None)


def test_ledger_of_another_schedule_is_refused(spec: LoadSpec, tmp_path: Path) -> None:
    path = tmp_path / "ledger.arrow"
    write(spec, path, [answered(spec)])
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
    rows = [
        row._replace(done_ns=None, status=Status.OPEN_AT_CUTOFF, zone="", model_version="") for row in answered(spec)
    ]
    write(spec, tmp_path / "ledger.arrow", [rows])
    table, summary = complete(spec, tmp_path / "ledger.arrow")
    assert table["done_ns"].isna().all()
    assert json.loads(json.dumps(summary)) == summary  # plain enough to be evidence
