"""Runs the engine on a native thread, so that Locust's gevent hub and the load never wait for each other.

Rule: the thread owns one worker's whole load, from the schedule to the summary; the outside says when the schedule
begins, may take rows, ask it to stop and wait. The summary beside the ledger says `finished` only when every request
of the worker was decided, recorded and written.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from harness.load.engine import Engine
from harness.load.messages import Clock
from harness.load.pool import draw, read_pool
from harness.load.recorder import Recorder
from harness.load.schedule import schedule
from harness.load.senders import make_sender
from harness.load.streams import worker_stream
from harness.load.summary import summary_path, write_summary
from harness.load.work import work_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.load.recorder import Batch
    from harness.load.schedule import Schedule
    from harness.load.sender import Sender
    from harness.load.spec import LoadSpec

LEAD_S = 0.05
"""From the decision when the schedule's zero is to that instant: room to start the writer and the pacer."""
CONNECT_LIMIT_S = 3.0
SWITCH_INTERVAL_S = 0.0005
"""How long another thread may keep the GIL while an answer or a due request waits; Python's own 5 ms would be lag."""


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """No garbage collection, and short turns for other threads: both would show up as lag.

    The engine makes no cyclic garbage (measured: none in 20,000 requests), so memory stays bounded.
    """
    turn_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
        sys.setswitchinterval(turn_s)


class Generator:
    """The load of one worker on one thread. `summary` and `error` are set when `running` has become False.

    The load is prepared at once; its schedule begins when `begin` is called, or by itself where `workers` is 1.
    """

    def __init__(self, spec: LoadSpec, worker: int = 0, clock: Clock | None = None) -> None:
        self.spec, self.worker, self.clock = spec, worker, clock or Clock()
        self.path = worker_stream(spec, worker)
        self.summary: dict[str, Any] = {
            "scenario": spec.scenario,
            "worker": worker,
            "workers": spec.workers,
            "finished": False,
            "clock_offset_ns": self.clock.offset_ns,
            "clock_bound_ns": self.clock.bound_ns,
        }
        self.error: BaseException | None = None
        self.prepared: Future[int] = Future()
        self.recorder: Recorder | None = None
        self._engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._start_ns: Future[int] = Future()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="load-engine", daemon=True)

    @property
    def running(self) -> bool:
        """Whether the load still goes on."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Prepare the load; returns at once. `prepared` then tells how many connections are up."""
        summary_path(self.path).unlink(missing_ok=True)  # an older load's must not vouch for this one
        self._thread.start()

    def begin(self, start_ns: int) -> None:
        """The schedule's zero is at `start_ns` of the run's clock (`time.monotonic_ns()` where that is this one)."""
        if not self._start_ns.done():
            self._start_ns.set_result(start_ns + self.clock.offset_ns)

    def take(self) -> Batch | None:
        """One batch of rows that were written since the last call; None when there is none."""
        fresh = self.recorder.fresh if self.recorder else None
        return fresh.popleft() if fresh else None

    def stop(self, limit_s: float = 5.0) -> None:
        """End the load now: what is open is recorded as cut off, what was not yet due stays unsent."""
        self._stopped = True
        self.begin(time.monotonic_ns() - self.clock.offset_ns)
        if self._loop is not None and self._engine is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself in the meantime
                self._loop.call_soon_threadsafe(self._engine.stop.set)
        self._thread.join(limit_s)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._load())
        except BaseException as error:  # noqa: BLE001 - handed to whoever watches this thread
            self.error = error
            self.summary |= {"finished": False, "error": f"{type(error).__name__}: {error}"}
            if not self.prepared.done():
                self.prepared.set_exception(error)
        write_summary(self.path, self.summary)

    async def _load(self) -> None:
        spec, plan = self.spec, schedule(self.spec, self.worker, self.spec.workers)
        pool = read_pool(Path(spec.requests))
        engine = self._engine = Engine(spec)
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, context: engine.fail(_error_in(context)))
        sender = make_sender(spec, pool, engine.finish)
        self.summary |= {"connections": sender.connections, "connected": await sender.connect(CONNECT_LIMIT_S)}
        self.prepared.set_result(self.summary["connected"])
        if spec.workers == 1:
            self.begin(time.monotonic_ns() + round(LEAD_S * 1e9))
        start_ns = await asyncio.wrap_future(self._start_ns)
        if self._stopped:
            engine.stop.set()
        try:
            await self._drive(engine, sender, plan, len(pool), start_ns)
        finally:
            await sender.close()

    async def _drive(self, engine: Engine, sender: Sender, plan: Schedule, pool_size: int, start_ns: int) -> None:
        spec = self.spec
        messages = draw(spec.seed, len(plan) * spec.workers + spec.workers, pool_size)[self.worker :: spec.workers]
        work = work_of(spec, plan, messages[: len(plan)], start_ns, worker=self.worker, workers=spec.workers)
        header = {
            "start_ns": start_ns - self.clock.offset_ns - spec.zero_ns,
            "digest": plan.digest,
            "worker": self.worker,
            "workers": spec.workers,
        }
        recorder = self.recorder = Recorder(spec, self.path, work, header, spec.zero_ns + self.clock.offset_ns)
        recorder.start()
        with undisturbed():
            cpu_s, wall_s = time.process_time(), time.monotonic()
            decided, open_at_cutoff = await engine.run(work, sender, recorder)
            cpu_s, wall_s = time.process_time() - cpu_s, time.monotonic() - wall_s
        recorder.close()
        self.summary |= {
            "finished": decided == len(plan) == recorder.rows,
            "drained": open_at_cutoff == 0,
            "scheduled": len(plan),
            "recorded": recorder.rows,
            "batches": recorder.batches,
            "cpu_share": cpu_s / wall_s,
        }


def _error_in(context: dict[str, Any]) -> BaseException:
    error = context.get("exception")
    return error if isinstance(error, BaseException) else RuntimeError(str(context.get("message")))
