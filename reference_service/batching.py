"""Rows of several requests in one run of the engine.

Rule: a batch is never over `rows_max`, is held open no longer than `delay_s_max` after its first request once the
engine is free, and keeps the order of arrival. What is cancelled or too late never reaches the engine; a request that
makes the engine fail costs its batch-mates a second run, not their answers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from reference_service.errors import DeadlineError, NotReadyError, OverloadedError
from reference_service.overload import RETRY_AFTER_S_MIN, DrainRate
from reference_service.validation import violating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from reference_service.engines import Engine

    Reason = Literal["full", "delay", "idle"]
    OnDispatch = Callable[[Reason, int, int, float], None]
    Outcome = NDArray[Any] | Exception

FULL: Final = "full"
"""No further request would fit."""
DELAY: Final = "delay"
"""The first has waited as long as it may."""
IDLE: Final = "idle"
"""There is nothing to wait for: the delay is 0, or the batcher is closing."""


@dataclass(slots=True, eq=False)
class _Waiting:
    batch: NDArray[Any]
    deadline_s: float | None
    came_s: float
    answer: asyncio.Future[NDArray[Any]]
    queued: bool = True


class Batcher:
    """Answers requests through `engine`, many at a time; all methods are called on one event loop.

    `clock` gives seconds; `on_dispatch(reason, requests, rows, waited_s)` is told of each batch, with the wait of its
    first request. `threaded` runs the engine on one thread of its own, for engines that wait for a device or take so
    long that the loop must not; otherwise it runs in the loop.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        rows_max: int,
        delay_s_max: float,
        queue_rows_max: int,
        clock: Callable[[], float],
        on_dispatch: OnDispatch,
        threaded: bool = False,
    ) -> None:
        self.queued_rows = 0
        self._engine = engine
        self._rows_max = rows_max
        self._delay_s_max = delay_s_max
        self._queue_rows_max = queue_rows_max
        self._clock = clock
        self._on_dispatch = on_dispatch
        self._worker = ThreadPoolExecutor(1, "engine") if threaded else None
        self._queue: deque[_Waiting] = deque()
        self._rate = DrainRate()
        self._timer: asyncio.Handle | None = None
        self._ripe = False
        self._running: asyncio.Future[list[Outcome]] | None = None
        self._closing = False

    async def infer(self, batch: NDArray[Any], deadline_s: float | None = None) -> NDArray[Any]:
        """The engine's output for `batch` [n, K]; `deadline_s` is an instant of the clock.

        Raises:
            InvalidRequestError: it has more rows than a batch may have.
            OverloadedError: the queue is full.
            DeadlineError: the deadline passed before the engine could begin.
            NotReadyError: the batcher is closing.
        """
        self._check(len(batch))
        loop = asyncio.get_running_loop()
        waiting = _Waiting(batch, deadline_s, self._clock(), loop.create_future())
        if not self._queue:
            self._begin_anew()  # all who waited may have left
        self._queue.append(waiting)
        self.queued_rows += len(batch)
        self._advance()
        try:
            return await waiting.answer
        finally:
            if waiting.queued:  # the caller left
                self._queue.remove(waiting)
                self._unqueue(waiting)

    async def close(self) -> None:
        """Answer what waits, take nothing more, and end the thread; the engine stays open."""
        self._closing = True
        self._advance()
        while self._running is not None:
            await asyncio.wait([self._running])
            await asyncio.sleep(0)  # its own callback goes first, and may begin the next batch
        if self._worker is not None:
            self._worker.shutdown()

    def _check(self, rows: int) -> None:
        if rows > self._rows_max:
            raise violating("inputs[0].shape[0]", f"expected at most {self._rows_max} rows in a batch; got {rows}")
        if self._closing:
            raise NotReadyError("this version of the model is leaving: another server, or another call, may find it")
        if self._queue and self.queued_rows + rows > self._queue_rows_max:
            retry_after_s = max(RETRY_AFTER_S_MIN, self._rate.seconds_for(self.queued_rows))
            raise OverloadedError(f"{self.queued_rows} rows wait, as many as may", retry_after_s=retry_after_s)

    def _advance(self) -> None:
        """Dispatch while a batch is due and the engine is free; then wait until the next one is."""
        while self._queue and self._running is None and (reason := self._due()):
            self._dispatch(reason)
        if self._queue and self._timer is None and not self._ripe:
            self._arm()

    def _due(self) -> Reason | None:
        if self.queued_rows >= self._rows_max:
            return FULL
        if self._closing or (self._ripe and not self._delay_s_max):
            return IDLE
        return DELAY if self._ripe else None

    def _arm(self) -> None:
        """Make the batch due when its first request has waited long enough."""
        loop = asyncio.get_running_loop()
        remaining_s = self._queue[0].came_s + self._delay_s_max - self._clock()
        # At once is not now: calls that this turn of the loop has still to begin join the batch.
        self._timer = loop.call_later(remaining_s, self._ripen) if remaining_s > 0 else loop.call_soon(self._ripen)

    def _ripen(self) -> None:
        self._timer, self._ripe = None, True
        self._advance()

    def _begin_anew(self) -> None:
        self._ripe = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _dispatch(self, reason: Reason) -> None:
        self._begin_anew()
        taken = self._take(self._clock())
        if not taken:
            return
        rows = sum(len(item.batch) for item in taken)
        self._on_dispatch(reason, len(taken), rows, self._clock() - taken[0].came_s)
        batches = [item.batch for item in taken]
        if self._worker is None:
            self._deliver(taken, outcomes(self._engine, batches))
            return
        self._running = asyncio.get_running_loop().run_in_executor(self._worker, outcomes, self._engine, batches)
        self._running.add_done_callback(lambda done: self._finish(taken, done.result()))

    def _take(self, now: float) -> list[_Waiting]:
        """The requests from the head of the queue that fit into a batch, without those whose deadline has passed."""
        taken: list[_Waiting] = []
        rows = 0
        while self._queue and rows + len(self._queue[0].batch) <= self._rows_max:
            item = self._queue.popleft()
            self._unqueue(item)
            if item.deadline_s is not None and item.deadline_s <= now:
                _settle(item, DeadlineError("the deadline passed while the request waited; the work was not begun"))
                continue
            taken.append(item)
            rows += len(item.batch)
        return taken

    def _unqueue(self, item: _Waiting) -> None:
        item.queued = False
        self.queued_rows -= len(item.batch)

    def _finish(self, taken: Sequence[_Waiting], found: Sequence[Outcome]) -> None:
        self._running = None
        self._deliver(taken, found)
        self._advance()

    def _deliver(self, taken: Sequence[_Waiting], found: Sequence[Outcome]) -> None:
        self._rate.left(sum(len(item.batch) for item in taken), taken[0].came_s, self._clock())
        for item, outcome in zip(taken, found, strict=True):
            _settle(item, outcome)


def outcomes(engine: Engine, batches: Sequence[NDArray[Any]]) -> list[Outcome]:
    """For each of `batches`, run as one, the engine's answer, or the error that it meets alone too."""
    try:
        return list(_answers(engine, batches))
    except Exception as error:  # noqa: BLE001 - it is for whoever caused it, not for the others
        if len(batches) == 1:
            return [error]
        return [outcomes(engine, [batch])[0] for batch in batches]


def _answers(engine: Engine, batches: Sequence[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    output = engine.infer(batches[0] if len(batches) == 1 else np.concatenate(batches))
    rows = sum(map(len, batches))
    if len(output) != rows:
        raise RuntimeError(f"the engine answered {len(output)} rows for {rows}: no answer can be told from another")
    begin = 0
    for batch in batches:
        yield output[begin : begin + len(batch)]
        begin += len(batch)


def _settle(item: _Waiting, outcome: Outcome) -> None:
    if item.answer.done():  # its caller left meanwhile
        return
    if isinstance(outcome, Exception):
        item.answer.set_exception(outcome)
    else:
        item.answer.set_result(outcome)
