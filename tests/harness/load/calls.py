"""What the tests of the gRPC sender share: a sender on a loop of its own, and a book of how its calls ended.

Rule: nothing that goes wrong in the loop goes unseen: a call that ends twice, an exception in a callback, a task that
died fail the test that caused them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import uvloop

from harness.load.grpc_sender import GrpcSender
from harness.load.phases import sustained
from harness.load.spec import LoadSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence

    from harness.load.sender import AnsweredBy

T = TypeVar("T")
LIMIT_S = 10.0
OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE = 0, 1, 2, 4, 13, 14


class End(NamedTuple):
    """How a call ended, and how many seconds after it was sent."""

    status: int
    size: int
    by: AnsweredBy
    after_s: float


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on a new uvloop; raises what anything in the loop raised, too."""
    problems: list[dict[str, Any]] = []

    async def watched() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        async with asyncio.timeout(3 * LIMIT_S):
            return await main

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(watched())
    assert not problems, problems
    return result


async def until(condition: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> None:
    """Wait for `condition`, looking every millisecond; fails after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        await asyncio.sleep(0.001)


class Calls:
    """A sender, what was sent by it, and `ends`: how each call ended."""

    def __init__(self, target: str, pool: Sequence[bytes] = (b"hello",), **keywords: Any) -> None:
        of_sender = {name: keywords.pop(name) for name in ("metadata", "secrets", "tls") if name in keywords}
        keywords["tls"] = keywords.pop("spec_tls", None)
        fields: dict[str, Any] = {"connections": 1, "timeout_s": LIMIT_S, "method": "/test.Service/Call"}
        spec = LoadSpec(
            scenario="test",
            target=target,
            phases=sustained(1.0, 1.0),
            requests="",
            ledger="",
            zero_ns=0,
            **fields | keywords,
        )
        self.ends: dict[int, End] = {}
        self.sender = GrpcSender(spec, pool, self._finish, **of_sender)
        self._sent_s: list[float] = []

    def send(self, count: int = 1, message: int = 0) -> range:
        """Send so many calls; returns their indices."""
        indices = range(len(self._sent_s), len(self._sent_s) + count)
        for index in indices:
            self._sent_s.append(time.monotonic())
            self.sender.send(index, message, f"{index:016x}")
            assert index not in self.ends, "ended from within send"
        return indices

    async def ended(self, indices: Iterable[int], limit_s: float = LIMIT_S) -> list[End]:
        """How these calls ended, once they all have."""
        wanted = list(indices)
        await until(lambda: all(index in self.ends for index in wanted), "all calls end", limit_s)
        return [self.ends[index] for index in wanted]

    async def call(self, count: int = 1, message: int = 0) -> list[End]:
        """Send so many calls and wait for their ends."""
        return await self.ended(self.send(count, message))

    def statuses(self) -> set[int]:
        """The different statuses so far."""
        return {end.status for end in self.ends.values()}

    def _finish(self, index: int, status: int, size: int, by: AnsweredBy) -> None:
        if index in self.ends:
            raise AssertionError(f"call {index} ended twice")
        self.ends[index] = End(status, size, by, time.monotonic() - self._sent_s[index])


@contextlib.asynccontextmanager
async def calls(
    target: str, pool: Sequence[bytes] = (b"hello",), *, up: int | None = 1, **keywords: Any
) -> AsyncIterator[Calls]:
    """Calls to `target`, with `up` connections made if that is given; the sender is closed, in time, behind them."""
    made = Calls(target, pool, **keywords)
    connected = await made.sender.connect(LIMIT_S)
    assert up is None or connected == up
    try:
        yield made
    finally:
        began_s = time.monotonic()
        await made.sender.close()
        assert time.monotonic() - began_s < 1.0, "closing took too long"
        before = len(made.ends)
        await asyncio.sleep(0)
        assert len(made.ends) == before, "a call ended behind the close"
