"""Writes what became of each request while the load runs, in a form that survives SIGKILL.

Rule: off the hot path, on a thread of its own. Rows arrive in batches, go out as numbered batches of an Arrow IPC
stream by one unbuffered write each, and are then offered to whoever shows progress. Memory is bounded: a disk that
cannot keep up ends the load rather than grow the queue.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from harness.load.announcements import Announcements
from harness.load.columns import integers, strings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.load.sender import AnsweredBy
    from harness.load.spec import LoadSpec
    from harness.load.work import Work

BATCH_KEY = b"batch"
"""Custom metadata of each record batch: its number, from 0."""
HEADER_KEY = b"gonogo.ledger"
"""Metadata of the stream's schema: a JSON object with what a reader needs to check and complete it."""
QUEUE_MAX = 256
"""Batches that may wait for the disk; at ten a second, more than 25 s of stall."""

STREAM_SCHEMA = pa.schema(
    [
        ("request_id", pa.uint64()),
        ("intended_ns", pa.int64()),
        ("sent_ns", pa.int64()),
        ("done_ns", pa.int64()),
        ("status", pa.int16()),
        ("zone", pa.string()),
        ("model_version", pa.string()),
        ("response_bytes", pa.int32()),
    ]
)


NEVER = -1
"""In place of the instant of what did not happen."""

Row: TypeAlias = "tuple[int, int, int, int, int, AnsweredBy]"
"""One decided request: position in the work, sent_ns and done_ns (`time.monotonic_ns()` or NEVER), status, size of the
answer in bytes, and who gave it."""


class Batch(NamedTuple):
    """Decided requests as columns; instants are on the run's clock, or NEVER."""

    request_id: NDArray[np.uint64]
    intended_ns: NDArray[np.int64]
    sent_ns: NDArray[np.int64]
    done_ns: NDArray[np.int64]
    status: NDArray[np.int16]
    response_bytes: NDArray[np.int32]
    answered_by: NDArray[np.int64]
    names: tuple[AnsweredBy, ...]


def batch_of(rows: Sequence[Row], work: Work, zero_ns: int) -> Batch:
    """`rows` as columns: instants count from `zero_ns`; row i was answered by `names[answered_by[i]]`."""
    index, sent_ns, done_ns, status, size, answered_by = zip(*rows, strict=True)
    places = np.array(index, np.int64)
    known = {name: place for place, name in enumerate(dict.fromkeys(answered_by))}
    due_ns = np.frombuffer(work.due_ns, np.int64)[places]
    return Batch(
        work.ids(places),
        due_ns - zero_ns,
        _since(np.array(sent_ns, np.int64), zero_ns),
        _since(np.array(done_ns, np.int64), zero_ns),
        np.array(status, np.int16),
        np.array(size, np.int32),
        np.array([known[name] for name in answered_by], np.int64),
        tuple(known),
    )


def _since(instants_ns: NDArray[np.int64], zero_ns: int) -> NDArray[np.int64]:
    return np.where(instants_ns == NEVER, NEVER, instants_ns - zero_ns)


def _record_batch(batch: Batch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        integers(batch.request_id, pa.uint64()),
        integers(batch.intended_ns, pa.int64()),
        integers(batch.sent_ns, pa.int64(), batch.sent_ns != NEVER),
        integers(batch.done_ns, pa.int64(), batch.done_ns != NEVER),
        integers(batch.status, pa.int16()),
        strings([name.zone for name in batch.names], batch.answered_by),
        strings([name.model_version for name in batch.names], batch.answered_by),
        integers(batch.response_bytes, pa.int32()),
    ]
    return pa.record_batch(columns, schema=schema)


class Recorder:
    """The writer of one worker's stream at `path`. `put` is for one thread.

    `zero_ns` of this machine's `time.monotonic_ns()` is zero on the run's clock. `fresh` holds written batches until
    somebody takes them; `written` is how much of the file is whole.
    """

    def __init__(self, spec: LoadSpec, path: Path, work: Work, header: Mapping[str, Any], zero_ns: int) -> None:
        self.batches = self.rows = self.written = 0
        self.fresh: deque[Batch] = deque(maxlen=QUEUE_MAX)
        self._path, self._work, self._zero_ns = path, work, zero_ns
        self._announcements = Announcements(spec, int(header["start_ns"])) if spec.workers == 1 else None
        self._schema = STREAM_SCHEMA.with_metadata({HEADER_KEY: json.dumps(dict(header))})
        self._queue: queue.Queue[list[Row] | None] = queue.Queue(QUEUE_MAX)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write_all, name="ledger-writer", daemon=True)

    def start(self) -> None:
        """Open the stream's file and begin writing."""
        self._thread.start()

    def put(self, rows: list[Row]) -> None:
        """Hand over a batch, possibly empty. Raises RuntimeError when the disk cannot keep up or writing failed."""
        if self._error is not None:
            raise RuntimeError("the ledger cannot be written") from self._error
        try:
            self._queue.put_nowait(rows)
        except queue.Full:
            raise RuntimeError(f"the ledger's disk is more than {QUEUE_MAX} batches behind") from None

    def close(self, limit_s: float = 10.0) -> None:
        """Write what is queued and end the stream. Raises RuntimeError when that fails or takes too long."""
        with contextlib.suppress(queue.Full):  # then the thread is stuck or gone, as seen below
            self._queue.put(None, timeout=limit_s)
        self._thread.join(limit_s)
        if self._thread.is_alive() or self._error is not None:
            raise RuntimeError("the ledger could not be finished") from self._error

    def _write_all(self) -> None:
        try:
            with pa.OSFile(str(self._path), "wb") as file, pa.ipc.new_stream(file, self._schema) as stream:
                while (rows := self._queue.get()) is not None:
                    if self._announcements:
                        self._announcements.tell()
                    if rows:
                        self._write(stream, rows)
                        self.written = file.tell()
                if self._announcements:
                    self._announcements.end()
            self.written = self._path.stat().st_size
        except BaseException as error:  # noqa: BLE001 - handed to the thread that puts and closes
            self._error = error

    def _write(self, stream: pa.RecordBatchWriter, rows: list[Row]) -> None:
        batch = batch_of(rows, self._work, self._zero_ns)
        stream.write_batch(_record_batch(batch, self._schema), custom_metadata={BATCH_KEY: str(self.batches)})
        self.batches += 1
        self.rows += len(rows)
        self.fresh.append(batch)
