"""Sends the requests of a schedule over gRPC when they are due, whatever the service does, and records each one's fate.

Rule: open loop. No answer, however late, delays the next request; nothing scheduled goes unrecorded; nothing is
retried. Runs on an uvloop of its own in a process that gevent has not patched, one engine to a process.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from harness.load.pacer import Pacer
from harness.load.recorder import Row
from harness.model import Status
from reference_service.protocol.headers import MODEL_VERSION, REQUEST_ID, ZONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.load.recorder import Recorder
    from harness.load.spec import LoadSpec

PACING_GOOD_NS = 10_000_000
"""Up to here a request is late by the scheduler's noise alone (ten times the p99 lag that a valid generator may show):
a full in-flight cap is then the service's doing, beyond it the generator's."""
FLUSH_S = 0.1
CONNECT_LIMIT_S = 3.0

CHANNEL_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # otherwise all channels share one connection
    ("grpc.enable_retries", 0),  # a first attempt that fails is what we came to see
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),  # gRPC's own 1 s to 120 s would keep failing a service that is back
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


def refusal(overdue_ns: int, in_flight: int, *, in_flight_max: int, late_limit_ns: int) -> int | None:
    """The status of a request that must not be sent now, or None if it may be."""
    if overdue_ns > late_limit_ns:
        return Status.GENERATOR_LATE
    if in_flight < in_flight_max:
        return None
    return Status.CAP_FULL if overdue_ns <= PACING_GOOD_NS else Status.GENERATOR_LATE


@dataclass(frozen=True, slots=True)
class Work:
    """What to send when, position by position: request number, instant of `time.monotonic_ns()`, and message."""

    sequence: Sequence[int]
    due_ns: Sequence[int]
    payloads: Sequence[bytes]


class Engine:
    """One run of one schedule. Set `stop` to end it early."""

    def __init__(self, spec: LoadSpec, work: Work, recorder: Recorder, channels: Sequence[grpc.aio.Channel]) -> None:
        self.stop = asyncio.Event()
        self._spec, self._work, self._recorder = spec, work, recorder
        self._calls = [channel.unary_unary(spec.method, None, None) for channel in channels]
        self._open: dict[int, tuple[asyncio.Task[None], int]] = {}
        self._rows: list[Row] = []
        self._late_limit_ns = round(spec.late_limit_s * 1e9)

    async def run(self) -> tuple[int, int]:
        """Send, drain, and record. Returns how many requests were decided, and how many of them still open at the end.

        Raises RuntimeError when the ledger cannot be written.
        """
        flushing = asyncio.create_task(self._flush_forever())
        pacing = asyncio.create_task(Pacer(self._work.due_ns, self._release).run(self.stop))
        await asyncio.wait((flushing, pacing), return_when=asyncio.FIRST_COMPLETED)
        if flushing.done():
            pacing.cancel()
            flushing.result()
        decided = await pacing
        open_at_cutoff = await self._drain()
        flushing.cancel()
        self._flush()
        return decided, open_at_cutoff

    def _release(self, index: int) -> None:
        """Send request `index`, or record why not."""
        spec, work, sent_ns = self._spec, self._work, time.monotonic_ns()
        status = refusal(
            sent_ns - work.due_ns[index],
            len(self._open),
            in_flight_max=spec.in_flight_max,
            late_limit_ns=self._late_limit_ns,
        )
        if status is not None:
            self._record(index, status)
            return
        name = f"{spec.request_id(work.sequence[index]):016x}"
        multicallable = self._calls[index % len(self._calls)]
        call = multicallable(work.payloads[index], timeout=spec.timeout_s, metadata=((REQUEST_ID, name),))
        self._open[index] = (asyncio.create_task(self._await(index, sent_ns, call)), sent_ns)

    async def _await(self, index: int, sent_ns: int, call: grpc.aio.UnaryUnaryCall[bytes, bytes]) -> None:
        """Record the answer to request `index`, whatever it is."""
        answered_by: Any
        status, size = Status.OK, 0
        try:
            size = len(await call)
            answered_by = await call.trailing_metadata() or await call.initial_metadata()
        except grpc.aio.AioRpcError as error:
            status = error.code().value[0]
            answered_by = error.trailing_metadata() or error.initial_metadata() or {}
        done_ns = time.monotonic_ns()
        del self._open[index]
        zone, version = answered_by.get(ZONE, ""), answered_by.get(MODEL_VERSION, "")
        self._record(index, status, sent_ns=sent_ns, done_ns=done_ns, zone=zone, version=version, size=size)

    def _record(
        self,
        index: int,
        status: int,
        *,
        sent_ns: int | None = None,
        done_ns: int | None = None,
        zone: str = "",
        version: str = "",
        size: int = 0,
    ) -> None:
        zero_ns = self._spec.zero_ns
        request_id = self._spec.request_id(self._work.sequence[index])
        sent_ns = None if sent_ns is None else sent_ns - zero_ns
        done_ns = None if done_ns is None else done_ns - zero_ns
        intended_ns = self._work.due_ns[index] - zero_ns
        self._rows.append(Row(request_id, intended_ns, sent_ns, done_ns, status, zone, version, size))

    async def _drain(self) -> int:
        """Give open requests until the deadline, then record them as open at cut-off and cancel them."""
        if self._open and not self.stop.is_set():
            await asyncio.wait([task for task, _ in self._open.values()], timeout=self._spec.drain_s)
        left, self._open = self._open, {}
        for index, (task, sent_ns) in left.items():
            task.cancel()
            self._record(index, Status.OPEN_AT_CUTOFF, sent_ns=sent_ns)
        ends = await asyncio.gather(*(task for task, _ in left.values()), return_exceptions=True)
        for bug in (end for end in ends if isinstance(end, Exception)):  # a cancellation is no Exception
            raise bug
        return len(left)

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self._flush()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        self._recorder.put(rows)


async def connect(spec: LoadSpec) -> tuple[list[grpc.aio.Channel], int]:
    """The channels of a load, each with a connection of its own, and how many of them were up within the limit.

    A service that cannot be reached does not stop the load: its requests fail, and the ledger says so.
    """
    channels = [grpc.aio.insecure_channel(spec.target, options=CHANNEL_OPTIONS) for _ in range(spec.connections)]
    waits = [asyncio.create_task(channel.channel_ready()) for channel in channels]
    connected, missing = await asyncio.wait(waits, timeout=CONNECT_LIMIT_S)
    for wait in missing:
        wait.cancel()
    await asyncio.gather(*missing, return_exceptions=True)
    return channels, len(connected)
