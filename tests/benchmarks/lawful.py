"""A running server of known law, and the response times that a schedule must find at it.

Rule: the server says when its cycle began, so the truth is computed and never fitted to what was measured.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.fleet.tether import tethered
from tests.benchmarks.law import answered_ns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
END_LIMIT_S = 10.0


@dataclass
class LawServer:
    """A server for one load: its cycle begins with the first request."""

    process: subprocess.Popen[str]
    address: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def finish(self) -> None:
        """End it, and read what it had to say."""
        text, _ = self.process.communicate(timeout=END_LIMIT_S)
        self.events = [json.loads(line) for line in text.splitlines()]

    @property
    def zero_ns(self) -> int:
        """When its cycle began."""
        return int(self._events("zero")[0]["zero_ns"])

    @property
    def burst_ms(self) -> float:
        """What the dearest end of a stall cost: from its due instant to the last answer's write."""
        return max((float(event["took_ms"]) for event in self._events("burst")), default=0.0)

    @property
    def stalls(self) -> int:
        """How many stalls held answers back."""
        return len(self._events("burst"))

    @property
    def served(self) -> dict[str, float]:
        """How many answers it gave, and how late by its own clock, in milliseconds."""
        (event,) = self._events("served")
        return {name: value for name, value in event.items() if name != "event"}

    def truth_ms(self, intended_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """The response times of requests that arrive at their intended instants, on CLOCK_MONOTONIC."""
        return np.asarray(answered_ns(intended_ns, self.zero_ns) - intended_ns, np.float64) / 1e6

    def _events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event.get("event") == name]


@contextlib.contextmanager
def law_server() -> Iterator[LawServer]:
    """A server on a free port, killed at the end; `finish` it before asking what it did."""
    command = tethered([sys.executable, "-m", "tests.benchmarks.law_server"])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        try:
            assert process.stdout is not None
            yield LawServer(process, f"127.0.0.1:{json.loads(process.stdout.readline())['port']}")
        finally:
            process.kill()
