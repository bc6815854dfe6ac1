"""Sends the requests of a schedule when they are due, whatever the service does, and records each one's fate.

Rule: open loop. No answer, however late, delays the next request; nothing scheduled goes unrecorded; nothing is
retried. How a request is sent is the sender's matter; the engine keeps time and books.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from harness.load.pacer import Pacer
from harness.load.recorder import NEVER, Row
from harness.load.sender import NOBODY
from harness.model import Status

if TYPE_CHECKING:
    from harness.load.recorder import Recorder
    from harness.load.sender import AnsweredBy, Sender
    from harness.load.spec import LoadSpec
    from harness.load.work import Work

PACING_GOOD_NS = 10_000_000
"""Up to here a request is late by the scheduler's noise alone (ten times the p99 lag that a valid generator may show):
a full in-flight cap is then the service's doing, beyond it the generator's."""
FLUSH_S = 0.1


def refusal(overdue_ns: int, in_flight: int, *, in_flight_max: int, late_limit_ns: int) -> int | None:
    """The status of a request that must not be sent now, or None if it may be."""
    if overdue_ns > late_limit_ns:
        return Status.GENERATOR_LATE
    if in_flight < in_flight_max:
        return None
    return Status.CAP_FULL if overdue_ns <= PACING_GOOD_NS else Status.GENERATOR_LATE


class Engine:
    """One run of one worker's work. Set `stop` to end it early; give the sender `finish`."""

    def __init__(self, spec: LoadSpec) -> None:
        self.stop = asyncio.Event()
        self._cap, self._late_limit_ns, self._drain_s = spec.in_flight_max, round(spec.late_limit_s * 1e9), spec.drain_s
        self._open: dict[int, int] = {}
        self._rows: list[Row] = []
        self._last: asyncio.Event | None = None
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._work: Work
        self._sender: Sender

    async def run(self, work: Work, sender: Sender, recorder: Recorder) -> tuple[int, int]:
        """Send, drain, and record. Returns how many requests were decided, and how many of them still open at the end.

        Raises RuntimeError when the ledger cannot be written, and what broke in a callback of the sender.
        """
        self._work, self._sender = work, sender
        load, flushing = asyncio.create_task(self._load()), asyncio.create_task(self._flush_forever(recorder))
        try:
            await asyncio.wait((load, flushing, self._broken), return_when=asyncio.FIRST_COMPLETED)
            for failed in (self._broken, flushing):
                if failed.done():
                    failed.result()
            decided, open_at_cutoff = load.result()
        finally:
            for task in (load, flushing):
                task.cancel()
            await asyncio.gather(load, flushing, return_exceptions=True)
        self._flush(recorder)
        return decided, open_at_cutoff

    def finish(self, index: int, status: int, size: int, answered_by: AnsweredBy) -> None:
        """Request `index` has ended; the sender's callback."""
        self._rows.append((index, self._open.pop(index), time.monotonic_ns(), status, size, answered_by))
        if self._last is not None and not self._open:
            self._last.set()

    def fail(self, error: BaseException) -> None:
        """A callback of the event loop broke: end the load with `error`, whatever else goes on."""
        if not self._broken.done():
            self._broken.set_exception(error)

    async def _load(self) -> tuple[int, int]:
        decided = await Pacer(self._work.due_ns, self._release).run(self.stop)
        return decided, await self._drain()

    def _release(self, index: int) -> None:
        """Send request `index`, or record why not."""
        work, sent_ns = self._work, time.monotonic_ns()
        overdue_ns = sent_ns - work.due_ns[index]
        status = refusal(overdue_ns, len(self._open), in_flight_max=self._cap, late_limit_ns=self._late_limit_ns)
        if status is not None:
            self._rows.append((index, NEVER, NEVER, status, 0, NOBODY))
            return
        self._open[index] = sent_ns
        self._sender.send(index, work.message[index], f"{work.first_id + index * work.step:016x}")

    async def _drain(self) -> int:
        """Give open requests until the deadline, then record them as open at cut-off and forget them."""
        self._last = asyncio.Event()
        if self._open and not self.stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._last.wait(), self._drain_s)
        self._sender.abandon()
        left, self._open = self._open, {}
        for index, sent_ns in left.items():
            self._rows.append((index, sent_ns, NEVER, Status.OPEN_AT_CUTOFF, 0, NOBODY))
        return len(left)

    async def _flush_forever(self, recorder: Recorder) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self._flush(recorder)

    def _flush(self, recorder: Recorder) -> None:
        rows, self._rows = self._rows, []
        recorder.put(rows)
