"""Batches keep their bounds and their order, and nobody's answer depends on who else was in the batch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_service.batching import Batcher, outcomes
from reference_service.errors import DeadlineError, InvalidRequestError, NotReadyError, OverloadedError
from tests.reference_service.virtual_time import VirtualLoop, run

DELAY_S = 0.002
ROUNDING_S = 1e-9


def rows(count: int, mark: float = 0.0) -> Any:
    return np.full((count, 2), mark, np.float32)


@dataclass
class Engine:
    """Answers 10 × the first column, takes `seconds` of virtual time, and fails on any row marked 13."""

    loop: VirtualLoop | None = None
    seconds: float = 0.0
    seen: list[list[float]] = field(default_factory=list)
    name = "test"

    def infer(self, batch: Any) -> Any:
        self.seen.append(batch[:, 0].tolist())
        if self.loop is not None:
            self.loop.spend(self.seconds)
        if 13 in batch[:, 0]:
            raise ValueError("thirteen")
        return batch[:, :1] * 10

    def close(self) -> None: ...


@dataclass
class Batching:
    """A batcher on virtual time, with what it dispatched: reason, requests, rows, wait."""

    loop: VirtualLoop
    rows_max: int = 4
    delay_s_max: float = DELAY_S
    queue_rows_max: int = 100
    seconds: float = 0.0
    dispatched: list[tuple[str, int, int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = Engine(self.loop, self.seconds)
        self.batcher = Batcher(
            self.engine,
            rows_max=self.rows_max,
            delay_s_max=self.delay_s_max,
            queue_rows_max=self.queue_rows_max,
            clock=self.loop.time,
            on_dispatch=lambda *facts: self.dispatched.append(facts),
        )

    def begin(self, count: int, mark: float = 0.0, deadline_s: float | None = None) -> asyncio.Task[Any]:
        return self.loop.create_task(self.batcher.infer(rows(count, mark), deadline_s))


def test_a_lone_request_waits_for_the_delay_and_no_longer() -> None:
    async def scene(loop: VirtualLoop) -> None:
        batching = Batching(loop)
        answer = await batching.begin(1, 7)
        assert answer.tolist() == [[70]]
        assert loop.time() == pytest.approx(DELAY_S)
        assert batching.dispatched == [("delay", 1, 1, pytest.approx(DELAY_S))]

    run(scene)


def test_a_full_batch_leaves_at_once_and_what_does_not_fit_waits_for_the_next() -> None:
    async def scene(loop: VirtualLoop) -> None:
        batching = Batching(loop)
        answers = await asyncio.gather(batching.begin(2, 1), batching.begin(1, 2), batching.begin(3, 3))
        assert [answer[:, 0].tolist() for answer in answers] == [[10, 10], [20], [30, 30, 30]]
        assert batching.engine.seen == [[1, 1, 2], [3, 3, 3]]
        assert batching.dispatched == [("full", 2, 3, 0), ("delay", 1, 3, pytest.approx(DELAY_S))]

    run(scene)


def test_without_a_delay_only_calls_of_the_same_turn_share_a_batch() -> None:
    async def scene(loop: VirtualLoop) -> None:
        batching = Batching(loop, delay_s_max=0)
        await asyncio.gather(batching.begin(1), batching.begin(1))
        await batching.begin(1)
        assert batching.dispatched == [("idle", 2, 2, 0), ("idle", 1, 1, 0)]
        assert loop.time() == 0

    run(scene)


def test_what_is_cancelled_costs_the_engine_nothing_and_the_others_nothing() -> None:
    async def scene(loop: VirtualLoop) -> None:
        batching = Batching(loop)
        first, second, third = batching.begin(1, 1), batching.begin(1, 2), batching.begin(1, 3)
        await asyncio.sleep(DELAY_S / 2)
        assert batching.batcher.queued_rows == 3
        second.cancel()
        assert (await first).tolist() == [[10]]
        assert (await third).tolist() == [[30]]
        assert batching.engine.seen == [[1, 3]]
        assert batching.batcher.queued_rows == 0

    run(scene)


def test_after_all_who_waited_have_left_the_next_waits_its_own_delay() -> None:
    async def scene(loop: VirtualLoop) -> None:
        batching = Batching(loop)
        first = batching.begin(1, 1)
        await asyncio.sleep(DELAY_S / 2)
        first.cancel()
        await asyncio.sleep(DELAY_S / 4)
        began = loop.time()
        await batching.begin(1, 2)
        assert loop.time() - began == pytest.approx(DELAY_S)

    run(scene)


def test_a_deadline_that_passes_in_the_queue_is_told_and_costs_the_engine_nothing() -> None:
    async def scene(loop: VirtualLoop) -> None:
        batching = Batching(loop)
        late = batching.begin(1, 1, loop.time() + DELAY_S / 2)
        good = batching.begin(1, 2, loop.time() + 2 * DELAY_S)
        with pytest.raises(DeadlineError, match="not begun"):
            await late
        assert (await good).tolist() == [[20]]
        assert batching.engine.seen == [[2]]

    run(scene)


def test_a_full_queue_refuses_and_says_when_by_how_fast_it_drains() -> None:
    async def scene(loop: VirtualLoop) -> None:
        batching = Batching(loop, rows_max=8, queue_rows_max=5, seconds=0.08)
        await batching.begin(8)  # 0.08 s for 8 rows
        waiting = [batching.begin(3), batching.begin(2)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError) as caught:
            await batching.batcher.infer(rows(1))
        assert caught.value.retry_after_s == pytest.approx(5 * 0.01)
        await asyncio.gather(*waiting)
        await batching.begin(1)  # taken again

    run(scene)


def test_a_request_that_fails_costs_its_mates_a_second_run_and_no_answer() -> None:
    async def scene(loop: VirtualLoop) -> None:
        batching = Batching(loop)
        found = await asyncio.gather(*(batching.begin(1, mark) for mark in (1, 13, 2)), return_exceptions=True)
        assert isinstance(found[1], ValueError)
        assert [answer.tolist() for answer in (found[0], found[2])] == [[[10]], [[20]]]
        assert batching.engine.seen == [[1, 13, 2], [1], [13], [2]]

    run(scene)


def test_an_engine_that_answers_too_few_rows_answers_nobody() -> None:
    class Short(Engine):
        def infer(self, batch: Any) -> Any:
            return super().infer(batch)[:-1]

    assert all(isinstance(outcome, RuntimeError) for outcome in outcomes(Short(), [rows(1), rows(2)]))


def test_closing_answers_what_waits_at_once_and_takes_no_more() -> None:
    async def scene(loop: VirtualLoop) -> None:
        batching = Batching(loop, rows_max=2)
        waiting = [batching.begin(1, mark) for mark in (1, 2, 3)]
        await asyncio.sleep(0)
        await batching.batcher.close()
        assert [answer.tolist() for answer in await asyncio.gather(*waiting)] == [[[10]], [[20]], [[30]]]
        assert loop.time() == 0
        assert [facts[0] for facts in batching.dispatched] == ["full", "idle"]
        with pytest.raises(NotReadyError):
            await batching.batcher.infer(rows(1))

    run(scene)


def test_more_rows_than_a_batch_may_have_are_refused() -> None:
    async def scene(loop: VirtualLoop) -> None:
        with pytest.raises(InvalidRequestError, match="at most 4 rows"):
            await Batching(loop).batcher.infer(rows(5))

    run(scene)


ARRIVALS = st.lists(
    st.tuples(
        st.integers(0, 3000),  # µs after the one before
        st.integers(1, 8),  # rows
        st.none() | st.integers(0, 4000),  # µs until the deadline
        st.none() | st.integers(0, 4000),  # µs until the caller leaves
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(arrivals=ARRIVALS, delay_us=st.sampled_from([0, 500, 2000]), engine_us=st.sampled_from([0, 700, 5000]))
def test_whatever_comes_bounds_hold_and_each_gets_its_own_answer(arrivals: Any, delay_us: int, engine_us: int) -> None:
    async def scene(loop: VirtualLoop) -> None:
        batching = Batching(loop, 8, delay_us / 1e6, 1000, engine_us / 1e6)
        tasks = []
        for mark, (gap_us, count, deadline_us, leave_us) in enumerate(arrivals, 100):
            await asyncio.sleep(gap_us / 1e6)
            now = loop.time()
            tasks.append(batching.begin(count, mark, None if deadline_us is None else now + deadline_us / 1e6))
            if leave_us is not None:
                loop.call_later(leave_us / 1e6, tasks[-1].cancel)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        answered = []
        for mark, (arrival, answer) in enumerate(zip(arrivals, found, strict=True), 100):
            if isinstance(answer, BaseException):
                assert isinstance(
                    answer, DeadlineError if arrival[3] is None else DeadlineError | asyncio.CancelledError
                )
            else:
                answered.append(mark)
                np.testing.assert_array_equal(answer, rows(arrival[1], mark)[:, :1] * 10)
        seen = [mark for batch in batching.engine.seen for mark in batch]
        assert seen == sorted(seen)  # in the order of arrival
        assert set(answered) <= set(seen)
        assert all(len(batch) <= 8 for batch in batching.engine.seen)
        # Work in this loop delays a timer by as much as one run of the engine, as it would in any single thread.
        assert all(facts[3] <= (delay_us + engine_us * 2) / 1e6 + ROUNDING_S for facts in batching.dispatched)
        assert batching.batcher.queued_rows == 0

    run(scene)
