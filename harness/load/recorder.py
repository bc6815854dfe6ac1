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
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from harness.load.columns import column
from harness.load.schedule import phase_starts_ns
from harness.timeline import NoTimeline, Timeline

if TYPE_CHECKING:
    from harness.load.schedule import Schedule
    from harness.load.spec import LoadSpec

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


class Row(NamedTuple):
    """One decided request. Instants are nanoseconds on the run's clock; `sent_ns` and `done_ns` may be None."""

    request_id: int
    intended_ns: int
    sent_ns: int | None
    done_ns: int | None
    status: int
    zone: str
    model_version: str
    response_bytes: int


class Recorder:
    """The writer of one stream. `put` is for one thread; `fresh` holds written batches until somebody takes them."""

    def __init__(self, spec: LoadSpec, plan: Schedule, start_ns: int, *, worker: int = 0, workers: int = 1) -> None:
        self.batches = self.rows = 0
        self.fresh: deque[list[Row]] = deque(maxlen=QUEUE_MAX)
        self._spec, self._start_ns = spec, start_ns
        header = {"start_ns": start_ns, "digest": plan.digest, "worker": worker, "workers": workers}
        self._schema = STREAM_SCHEMA.with_metadata({HEADER_KEY: json.dumps(header)})
        self._timeline = Timeline(Path(spec.timeline), spec.zero_ns) if spec.timeline else NoTimeline(spec.zero_ns)
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
            with pa.OSFile(self._spec.ledger, "wb") as file, pa.ipc.new_stream(file, self._schema) as stream:
                announcements = self._announcements()
                self._announce(announcements)
                while (rows := self._queue.get()) is not None:
                    self._announce(announcements)
                    if rows:
                        self._write(stream, rows)
                self._timeline.add("scenario_ended", self._spec.scenario)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that puts and closes
            self._error = error

    def _write(self, stream: pa.RecordBatchWriter, rows: list[Row]) -> None:
        fields = zip(zip(*rows, strict=True), self._schema, strict=True)
        columns = [column(values, field.type) for values, field in fields]
        batch = pa.record_batch(columns, schema=self._schema)
        stream.write_batch(batch, custom_metadata={BATCH_KEY: str(self.batches)})
        self.batches += 1
        self.rows += len(rows)
        self.fresh.append(rows)

    def _announcements(self) -> deque[tuple[int, str, str, dict[str, float | None]]]:
        """The timeline's events to come: (t_ns, event, subject, detail)."""
        name = self._spec.scenario
        begins = zip(self._spec.phases, phase_starts_ns(self._spec), strict=False)
        phases = (
            (
                self._start_ns + offset_ns,
                "phase_started",
                f"{name}/{phase.name}",
                {"rate_rps": phase.rate_rps, "end_rate_rps": phase.end_rate_rps, "duration_s": phase.duration_s},
            )
            for phase, offset_ns in begins
        )
        return deque([(self._start_ns, "scenario_started", name, {}), *phases])

    def _announce(self, announcements: deque[tuple[int, str, str, dict[str, float | None]]]) -> None:
        """Write the events whose time has come: a phase that a killed load never reached is not in the timeline."""
        now_ns = time.monotonic_ns() - self._spec.zero_ns
        while announcements and announcements[0][0] <= now_ns:
            t_ns, event, subject, detail = announcements.popleft()
            self._timeline.add(event, subject, t_ns=t_ns, **detail)
