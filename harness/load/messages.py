"""What Locust's master and its workers tell each other about a load, and how their clocks compare.

Rule: pure. The names are those of Locust's custom messages; payloads are plain dictionaries of numbers, text and bytes.

    master → worker   ASSIGN   spec, worker, pool            be this worker of this load
    worker → master   CLOCK    sent_ns                       what time is it with you?
    master → worker   CLOCK    sent_ns, master_ns            this, when your question came
    worker → master   READY    worker, connected, error      connected, waiting for the start
    master → worker   BEGIN    start_ns                      the schedule's zero, by the master's clock
    worker → master   CHUNK    worker, number, data          whole batches of the ledger's stream, in order
    worker → master   SUMMARY  worker, summary               all of it was sent; this is how it went
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ASSIGN, CLOCK, READY, BEGIN, CHUNK, SUMMARY = (
    f"gonogo_{name}" for name in ("assign", "clock", "ready", "begin", "chunk", "summary")
)


@dataclass(frozen=True, slots=True)
class Clock:
    """How a worker's `time.monotonic_ns()` stands to the master's: worker − master, and how wrong that may be."""

    offset_ns: int = 0
    bound_ns: int = 0


def clock_of(exchanges: Iterable[tuple[int, int, int]]) -> Clock:
    """The offset by the fastest of some exchanges, each (asked, the master's time, answered).

    The master's clock was read at some instant between asking and the answer, so the offset from the middle is wrong by
    at most half of that time (D. Mills, RFC 5905, section 8). Raises ValueError without exchanges.
    """
    asked_ns, master_ns, answered_ns = min(exchanges, key=lambda item: item[2] - item[0])
    half_ns = (answered_ns - asked_ns + 1) // 2
    return Clock(asked_ns + half_ns - master_ns, half_ns)
