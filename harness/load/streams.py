"""The streams that a load's workers write: where each lies, and what can be read of one, whole or cut off.

Rule: one worker writes the scenario's ledger itself; of several, each has a stream of its own beside it. Numbers that
the batches carry say what is missing or twice, whoever carried the bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from harness.load.recorder import BATCH_KEY, HEADER_KEY
from harness.load.schedule import schedule
from harness.load.summary import read_summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.load.spec import LoadSpec

STATED = ("drained", "cpu_share", "connections", "connected", "clock_offset_ns", "clock_bound_ns", "error")
"""What only the process itself could tell, from its summary; None where that was lost."""


class LedgerError(Exception):
    """There is no ledger to complete; the text says why."""


def worker_stream(spec: LoadSpec, worker: int) -> Path:
    """The stream that `worker` writes."""
    ledger = Path(spec.ledger)
    return ledger if spec.workers == 1 else ledger.with_name(f"{ledger.stem}.worker-{worker}{ledger.suffix}")


@dataclass(frozen=True, slots=True)
class Stream:
    """What could be read of a stream: its header, the rows of its whole batches, and batches missing or there twice."""

    header: dict[str, Any]
    rows: pa.Table
    batches: int
    missing_batches: int
    duplicate_batches: int


def read_stream(path: Path) -> Stream:
    """The stream at `path` up to its last whole batch. Raises LedgerError when not even its header is there."""
    try:
        source = pa.OSFile(str(path), "rb")
        reader = pa.ipc.open_stream(source)
        header = json.loads((reader.schema.metadata or {})[HEADER_KEY])
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise LedgerError(f"{path} has no header of a ledger; the load never started ({error})") from error
    batches, numbers = [], []
    with source:
        while (item := next_batch(reader)) is not None:
            batches.append(item.batch)
            numbers.append(int(item.custom_metadata[BATCH_KEY]))
    different = len(set(numbers))
    missing, twice = max(numbers, default=-1) + 1 - different, len(numbers) - different
    return Stream(header, pa.Table.from_batches(batches, reader.schema), different, missing, twice)


@dataclass(frozen=True, slots=True)
class Part:
    """One worker's share: its stream, or why there is none, and what its process stated when it ended ({} if lost)."""

    worker: int
    stream: Stream | None
    summary: Mapping[str, Any]
    error: str

    @property
    def missing_batches(self) -> int:
        """Batches that the stream lacks, by their numbers and by what the process stated that it wrote."""
        if self.stream is None:
            return int(self.summary.get("batches", 0))
        stated = int(self.summary.get("batches", 0))
        return max(self.stream.missing_batches, stated - self.stream.batches)

    @property
    def duplicate_batches(self) -> int:
        """Batches that the stream has twice."""
        return 0 if self.stream is None else self.stream.duplicate_batches

    def facts(self) -> dict[str, Any]:
        """What the evidence tells of this worker."""
        stated = {name: self.summary.get(name) for name in STATED}
        rows = 0 if self.stream is None else len(self.stream.rows)
        return {"worker": self.worker, "lost": not self.summary, "rows": rows, **stated}


def read_part(spec: LoadSpec, worker: int) -> Part:
    """What `worker` of the scenario left. Raises LedgerError when it was written for another schedule."""
    path = worker_stream(spec, worker)
    summary = read_summary(path) or {}
    try:
        stream = read_stream(path)
    except LedgerError as error:
        return Part(worker, None, summary, str(summary.get("error") or error))
    expected = {"worker": worker, "workers": spec.workers, "digest": schedule(spec, worker, spec.workers).digest}
    if expected.items() - stream.header.items():
        raise LedgerError(f"{path} was written for another schedule than {spec.scenario!r} has now")
    return Part(worker, stream, summary, str(summary.get("error") or ""))


def next_batch(reader: Any) -> Any:
    """The next whole batch with its metadata, or None where the stream ends or is cut off."""
    try:
        return reader.read_next_batch_with_custom_metadata()
    except (StopIteration, OSError, pa.ArrowInvalid):
        return None
