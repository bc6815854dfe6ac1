"""The pacer keeps an absolute schedule, whatever happens in between."""

from __future__ import annotations

import asyncio
import time

import pytest
import uvloop

from harness.load.pacer import Pacer


def paced(due_ns: list[int], release: object, *, stop_after_s: float | None = None) -> int:
    async def main() -> int:
        stop = asyncio.Event()
        if stop_after_s is not None:
            asyncio.get_running_loop().call_later(stop_after_s, stop.set)
        return await asyncio.wait_for(Pacer(due_ns, release).run(stop), 10)  # type: ignore[arg-type] # a callable

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def test_releases_each_in_order_and_never_early() -> None:
    start_ns = time.monotonic_ns() + 20_000_000
    due_ns = [start_ns + index * 500_000 for index in range(100)]
    seen: list[tuple[int, int]] = []
    assert paced(due_ns, lambda index: seen.append((index, time.monotonic_ns()))) == 100
    assert [index for index, _ in seen] == list(range(100))
    assert all(at_ns >= due_ns[index] for index, at_ns in seen)


def test_is_finer_than_the_millisecond_of_the_loops_own_timers() -> None:
    start_ns = time.monotonic_ns() + 20_000_000
    due_ns = [start_ns + index * 1_300_000 for index in range(200)]
    lags_ns: list[int] = []
    paced(due_ns, lambda index: lags_ns.append(time.monotonic_ns() - due_ns[index]))
    assert (
        sorted(lags_ns)[len(lags_ns) // 4] < 500_000
    )  # the best quarter: the machine may be busy, the timer not coarse


def test_stall_moves_nothing() -> None:
    start_ns = time.monotonic_ns() + 10_000_000
    due_ns = [start_ns + index * 1_000_000 for index in range(300)]
    at_ns: list[int] = []

    def release(index: int) -> None:
        at_ns.append(time.monotonic_ns())
        if index == 50:
            time.sleep(0.1)

    paced(due_ns, release)
    assert at_ns[60] - due_ns[60] > 50_000_000  # overdue, and released at once
    assert at_ns[299] - due_ns[299] < 50_000_000  # back on the same schedule, not on one moved by the stall


def test_stops_when_told() -> None:
    now_ns = time.monotonic_ns()
    released: list[int] = []
    assert paced([now_ns, now_ns + 60_000_000_000], released.append, stop_after_s=0.05) == 1
    assert released == [0]


def test_error_of_a_release_reaches_the_waiter() -> None:
    def release(index: int) -> None:
        raise ZeroDivisionError(index)

    with pytest.raises(ZeroDivisionError):
        paced([time.monotonic_ns()], release)


def test_nothing_to_release_ends_at_once() -> None:
    assert paced([], lambda _: None) == 0
