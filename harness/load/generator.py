"""Runs the engine on a native thread, so that Locust's gevent hub and the load never wait for each other.

Rule: the thread owns the whole load, from the schedule to the summary; the outside may take rows, ask it to stop and
wait. The summary beside the ledger says `finished` only when every scheduled request was decided, recorded and written.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from harness.load.engine import Engine, Work, connect
from harness.load.pool import draw, read_pool
from harness.load.recorder import Recorder
from harness.load.schedule import schedule
from harness.load.summary import write_summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.load.recorder import Row
    from harness.load.spec import LoadSpec

LEAD_S = 0.05
"""From the decision when the schedule's zero is to that instant: room to start the writer and the pacer."""
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
    """One load on one thread. `summary` and `error` are set when `running` has become False."""

    def __init__(self, spec: LoadSpec) -> None:
        self.spec = spec
        self.summary: dict[str, Any] = {"scenario": spec.scenario, "worker": 0, "workers": 1, "finished": False}
        self.error: BaseException | None = None
        self._recorder: Recorder | None = None
        self._engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="load-engine", daemon=True)

    @property
    def running(self) -> bool:
        """Whether the load still goes on."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def take(self) -> list[Row]:
        """One batch of rows that were written since the last call; empty when there is none."""
        fresh = self._recorder.fresh if self._recorder else None
        return fresh.popleft() if fresh else []

    def stop(self, limit_s: float = 5.0) -> None:
        """End the load now: what is open is recorded as cut off, what was not yet due stays unsent."""
        self._stopped = True
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
        write_summary(Path(self.spec.ledger), self.summary)

    async def _load(self) -> None:
        spec, plan = self.spec, schedule(self.spec)
        pool = read_pool(Path(spec.requests))
        payloads = [pool[index] for index in draw(spec.seed, len(plan), len(pool)).tolist()]
        channels, connected = await connect(spec)
        start_ns = time.monotonic_ns() + round(LEAD_S * 1e9)
        work = Work(plan.sequence.tolist(), (plan.intended_ns + start_ns).tolist(), payloads)
        recorder = self._recorder = Recorder(spec, plan, start_ns - spec.zero_ns)
        engine = Engine(spec, work, recorder, channels)
        self._loop, self._engine = asyncio.get_running_loop(), engine
        if self._stopped:
            engine.stop.set()
        recorder.start()
        with undisturbed():
            cpu_s, wall_s = time.process_time(), time.monotonic()
            decided, open_at_cutoff = await engine.run()
            cpu_s, wall_s = time.process_time() - cpu_s, time.monotonic() - wall_s
        recorder.close()
        self.summary |= {
            "finished": decided == len(plan) == recorder.rows,
            "drained": open_at_cutoff == 0,
            "scheduled": len(plan),
            "recorded": recorder.rows,
            "batches": recorder.batches,
            "connections": len(channels),
            "connected": connected,
            "cpu_share": cpu_s / wall_s,
        }
        await asyncio.gather(*(channel.close(None) for channel in channels))
