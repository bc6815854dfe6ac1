"""How busy the machine was, and how much of that was this run: a foreign load makes latencies prove nothing.

Rule: only sampled here; whether it was too much is for the judge.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pandas as pd
import psutil

from harness.collectors import CollectError, Collector, Context
from harness.collectors.sampling import Sampling, sampled
from harness.model import Evidence

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

INTERVAL_S = 0.5


class CpuSampler:
    """Cores busy on the whole machine and in this process with all its descendants, as means between two samples."""

    def __init__(self) -> None:
        self._me = psutil.Process()
        self._own: dict[int, float] = {}
        self._own_total = 0.0
        self._busy = _busy_seconds()
        self._own_seconds()

    def sample(self, elapsed_s: float) -> tuple[float, float]:
        """(busy cores, own cores) over the `elapsed_s` since the last sample."""
        busy_before, own_before = self._busy, self._own_total
        self._busy = _busy_seconds()
        own = self._own_seconds()
        return (self._busy - busy_before) / elapsed_s, (own - own_before) / elapsed_s

    def _own_seconds(self) -> float:
        """CPU seconds used by the run so far; what an ended process had used stays counted."""
        for process in [self._me, *self._me.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used = times.user + times.system
                self._own_total += max(0.0, used - self._own.get(process.pid, 0.0))
                self._own[process.pid] = used
        return self._own_total


@contextlib.contextmanager
def watch(context: Context) -> Iterator[None]:
    """Sample until the block ends."""
    rows: list[tuple[int, float, float]] = []
    with sampled("machine-sampler", lambda stop: _sample_until(stop, context, rows)) as sampling:
        context.samples["machine"] = (sampling, rows)
        yield


def _sample_until(stop: threading.Event, context: Context, rows: list[tuple[int, float, float]]) -> None:
    sampler = CpuSampler()
    last_ns = context.run.timeline.now_ns()
    while not stop.wait(INTERVAL_S):
        now_ns = context.run.timeline.now_ns()
        rows.append((now_ns, *sampler.sample((now_ns - last_ns) / 1e9)))
        last_ns = now_ns


def collect(context: Context) -> tuple[Evidence, ...]:
    """The samples as a table."""
    sampling, rows = context.samples.get("machine", (Sampling(), []))
    sampling.require_whole()
    if not rows:
        raise CollectError("the machine's load was never sampled")
    table = pd.DataFrame(rows, columns=["t_ns", "busy_cores", "own_cores"])
    facts = {"cpu_count": os.cpu_count(), "interval_s": INTERVAL_S}
    subject = context.run.info.subject
    return (Evidence(id="machine", collector="machine", subject=subject, facts=facts, tables={"cpu": table}),)


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    return float(sum(times[: min(len(times), 8)]) - idle)


COLLECTORS = (Collector(ids=("machine",), order=92, collect=collect, phase="after", watch=watch),)
