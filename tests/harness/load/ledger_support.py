"""Writes the ledger of a load that was never sent: what a worker's engine would hand to its recorder.

Rule: real recorders, streams and summaries; only the requests are made up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.load.recorder import NEVER, Recorder, Row
from harness.load.schedule import schedule
from harness.load.sender import AnsweredBy
from harness.load.streams import worker_stream
from harness.load.summary import write_summary
from harness.load.work import Work, work_of
from harness.model import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.load.spec import LoadSpec

START_NS = 5_000_000_000
"""The schedule's zero on the run's clock."""


def work(spec: LoadSpec, worker: int = 0, start_ns: int = START_NS) -> Work:
    """The work of one worker."""
    plan = schedule(spec, worker, spec.workers)
    messages = np.zeros(len(plan), np.int64)
    return work_of(spec, plan, messages, start_ns + spec.zero_ns, worker=worker, workers=spec.workers)


def recorder(spec: LoadSpec, worker: int = 0, start_ns: int = START_NS, stated_start_ns: int | None = None) -> Recorder:
    """A recorder of that work, which states the schedule's zero as it is unless told otherwise."""
    stated_ns = start_ns if stated_start_ns is None else stated_start_ns
    digest = schedule(spec, worker, spec.workers).digest
    header = {"start_ns": stated_ns, "digest": digest, "worker": worker, "workers": spec.workers}
    return Recorder(spec, worker_stream(spec, worker), work(spec, worker, start_ns), header, spec.zero_ns)


def answered(spec: LoadSpec, worker: int = 0) -> list[Row]:
    """A row for each request: sent 0.1 ms late, answered in 2 ms by a zone of its own parity."""
    due_ns = work(spec, worker).due_ns
    return [
        (index, due + 100_000, due + 2_100_000, Status.OK, 120, AnsweredBy(f"zone-{index % 2}", "1"))
        for index, due in enumerate(due_ns)
    ]


def unanswered(row: Row) -> Row:
    """The same request, open at cut-off."""
    return (row[0], row[1], NEVER, Status.OPEN_AT_CUTOFF, 0, AnsweredBy("", ""))


def write(spec: LoadSpec, batches: Sequence[list[Row]], worker: int = 0, **summary: Any) -> None:
    """Record `batches` as `worker` would, with a summary of a load that finished unless told otherwise."""
    writer = recorder(spec, worker)
    writer.start()
    for batch in batches:
        writer.put(batch)
    writer.close()
    stated = {"finished": True, "drained": True, "cpu_share": 0.25, "batches": writer.batches} | summary
    write_summary(worker_stream(spec, worker), stated)
