"""With an engine on a thread of its own, requests gather while it runs, and closing waits for it."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import numpy as np

from reference_service.batching import Batcher

LIMIT_S = 10


class GatedEngine:
    """Runs only while its gate is open; remembers how many rows each run had, and on which thread."""

    name = "gated"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.rows: list[int] = []
        self.threads: set[str] = set()

    def infer(self, batch: Any) -> Any:
        self.rows.append(len(batch))
        self.threads.add(threading.current_thread().name)
        self.begun.set()
        assert self.gate.wait(LIMIT_S)
        return batch[:, :1] * 10

    def close(self) -> None: ...


def threaded(engine: GatedEngine, seen: list[Any], delay_s_max: float = 0.001) -> Batcher:
    return Batcher(
        engine,
        rows_max=4,
        delay_s_max=delay_s_max,
        queue_rows_max=100,
        clock=time.monotonic,
        on_dispatch=lambda *facts: seen.append(facts[:3]),
        threaded=True,
    )


def marked(mark: float) -> Any:
    return np.full((1, 2), mark, np.float32)


def test_requests_gather_while_the_engine_runs_and_those_who_leave_never_reach_it() -> None:
    async def scene() -> None:
        engine, seen = GatedEngine(), []
        batcher = threaded(engine, seen)
        first = asyncio.create_task(batcher.infer(marked(0)))
        await asyncio.to_thread(engine.begun.wait, LIMIT_S)
        others = [asyncio.create_task(batcher.infer(marked(mark))) for mark in range(1, 8)]
        await asyncio.sleep(0.01)  # ten times the delay, and yet none may begin: the engine has one thread
        assert engine.rows == [1]
        others[0].cancel()
        first.cancel()  # the engine has it already: its answer is for nobody
        await asyncio.sleep(0)
        engine.gate.set()
        answers = await asyncio.wait_for(asyncio.gather(*others[1:]), LIMIT_S)
        assert [float(answer[0, 0]) for answer in answers] == [20, 30, 40, 50, 60, 70]
        assert engine.rows == [1, 4, 2]
        assert [facts[0] for facts in seen] == ["delay", "full", "delay"]
        assert len(engine.threads) == 1
        await batcher.close()

    asyncio.run(scene())


def test_closing_answers_those_who_wait_for_the_thread_and_ends_it() -> None:
    async def scene() -> None:
        engine, seen = GatedEngine(), []
        batcher = threaded(engine, seen, delay_s_max=100)
        waiting = [asyncio.create_task(batcher.infer(marked(mark))) for mark in range(6)]
        await asyncio.to_thread(engine.begun.wait, LIMIT_S)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        assert not closing.done()
        engine.gate.set()
        await asyncio.wait_for(closing, LIMIT_S)
        assert [float(answer[0, 0]) for answer in await asyncio.gather(*waiting)] == [0, 10, 20, 30, 40, 50]
        assert [facts[0] for facts in seen] == ["full", "idle"]
        assert not any(thread.name in engine.threads for thread in threading.enumerate())

    asyncio.run(scene())
