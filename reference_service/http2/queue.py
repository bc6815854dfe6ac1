"""Calls that wait for their turn on the event loop, a bounded number of them.

Rule: a turn of the loop begins a few calls and then looks at its sockets again, so that what can't be taken is refused
within milliseconds, and health never waits for all who wait. How few follows from how long turns take.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from reference_service.http2.headers import OPENING, trailers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reference_service.http2.connection import Connection
    from reference_service.http2.stream import Stream

    Refusal = tuple[int, str, Iterable[tuple[str, str | bytes]]]

TURN_S: Final = 0.01
"""How long those begun in a turn may take before fewer are begun in the next: a fifth of a latency objective of 50 ms,
and more than twice what the loop may read and refuse meanwhile."""
EACH_TURN_FIRST, EACH_TURN_MAX = 4, 128
REFUSAL_S: Final = 0.05
"""How long a refusal once written is used again: a hint when to come back is no better than that."""


class CallQueue:
    """At most `waiting_max` calls; `refuse` gives code, text and metadata for those beyond, and is told of each."""

    def __init__(self, waiting_max: int, refuse: Callable[[int], Refusal], count: Callable[[], None]) -> None:
        self._waiting: deque[tuple[Connection, Stream]] = deque()
        self._waiting_max = waiting_max
        self._refuse, self._count = refuse, count
        self._each_turn, self._begun = EACH_TURN_FIRST, 0
        self._loop = asyncio.get_running_loop()
        self._ran_s, self._turning = 0.0, False
        self._refusal, self._refusal_until_s = b"", 0.0

    @property
    def full(self) -> bool:
        """Whether no more may wait."""
        return len(self._waiting) + self._begun >= self._waiting_max

    def put(self, connection: Connection, stream: Stream) -> bool:
        """Have a call begun when it is its turn; whether that is now."""
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._mark)
            self._loop.call_soon(self._first)
        if self._begun < self._each_turn and not self._waiting:
            self._begun += 1
            connection.begin(stream)
            return True
        self._waiting.append((connection, stream))
        return False

    def refusal(self) -> bytes:
        """The header block for a call that can't wait; counted."""
        self._count()
        now_s = time.monotonic()
        if now_s >= self._refusal_until_s:
            self._refusal = OPENING + trailers(*self._refuse(len(self._waiting)))
            self._refusal_until_s = now_s + REFUSAL_S
        return self._refusal

    def _first(self) -> None:
        self._loop.call_soon(self._turn)  # behind those that this turn of the loop began

    def _turn(self) -> None:
        """Begin some more, once those begun before have had their turn."""
        self._each_turn = _how_many(self._each_turn, time.monotonic() - self._ran_s)
        self._begun = 0
        self._loop.call_soon(self._mark)
        while self._waiting and self._begun < self._each_turn:
            connection, stream = self._waiting.popleft()
            if connection.streams.get(stream.id) is stream:  # it may have been given up meanwhile
                self._begun += 1
                connection.begin(stream)
        self._turning = self._begun > 0
        if self._turning:
            self._loop.call_soon(self._turn)

    def _mark(self) -> None:
        """Those begun run from here to the next turn: what the loop reads and refuses before is not theirs."""
        self._ran_s = time.monotonic()


def _how_many(before: int, took_s: float) -> int:
    """How many calls to begin in a turn, after one that took so long."""
    if took_s > TURN_S:
        return max(1, before // 2)
    return min(EACH_TURN_MAX, 2 * before) if took_s < TURN_S / 2 else before
