"""What a version has done, counted as Triton counts it: requests, rows, runs of the engine, and where the time went.

Rule: two calls a request, each a few additions to plain integers, and nothing else on the hot path. `executed` is
called where the engine runs, everything else on the event loop, so each number has one writer. Times are nanoseconds on
one monotonic clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reference_service.protocol.open_inference_pb2 import (
    InferBatchStatistics,
    InferStatistics,
    ModelStatistics,
    StatisticDuration,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from reference_service.engines import Engine


@dataclass(slots=True)
class Statistics:
    """Sums since the version was loaded. `answered` and `executed` take about half a microsecond together."""

    rows: int = 0
    succeeded: int = 0
    success_ns: int = 0
    failed: int = 0
    """Requests for this version that got no answer; how long they took is not kept."""
    queue_ns: int = 0
    input_ns: int = 0
    infer_ns: int = 0
    output_ns: int = 0
    executions: int = 0
    last_done_ns: int = 0
    last_run_ns: int = 0
    """How long the engine's last run took: of what a request waited for an answer, the rest was queueing."""
    batches: dict[int, list[int]] = field(default_factory=dict)
    """For each number of rows run at once: how often, and for how many nanoseconds in all."""

    def answered(
        self, rows: int, *, began_ns: int, done_ns: int, queue_ns: int, input_ns: int, infer_ns: int, output_ns: int
    ) -> None:
        """Count an answer: when the request came and was answered, and how long each stage of it took."""
        self.rows += rows
        self.succeeded += 1
        self.success_ns += done_ns - began_ns
        self.queue_ns += queue_ns
        self.input_ns += input_ns
        self.infer_ns += infer_ns
        self.output_ns += output_ns
        self.last_done_ns = done_ns

    def executed(self, rows: int, took_ns: int) -> None:
        """Count one run of the engine on `rows` rows, of however many requests."""
        self.executions += 1
        self.last_run_ns = took_ns
        batch = self.batches.get(rows)
        if batch is None:
            self.batches[rows] = [1, took_ns]
        else:
            batch[0] += 1
            batch[1] += took_ns

    def message(
        self,
        model: str,
        version: str,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> ModelStatistics:
        """The sums as the protocol has them; `monotonic_ns` is the clock that the times were read from."""
        since_ns = monotonic_ns() - self.last_done_ns
        stages = {"queue": self.queue_ns, "compute_input": self.input_ns, "compute_infer": self.infer_ns}
        stages["compute_output"] = self.output_ns
        return ModelStatistics(
            name=model,
            version=version,
            last_inference=(wall_ns() - since_ns) // 1_000_000 if self.succeeded else 0,
            inference_count=self.rows,
            execution_count=self.executions,
            inference_stats=InferStatistics(
                success=StatisticDuration(count=self.succeeded, ns=self.success_ns),
                fail=StatisticDuration(count=self.failed),
                **{name: StatisticDuration(count=self.succeeded, ns=ns) for name, ns in stages.items()},
            ),
            batch_stats=[
                InferBatchStatistics(batch_size=rows, compute_infer=StatisticDuration(count=count, ns=ns))
                for rows, (count, ns) in sorted(self.batches.items())
            ],
        )


class Counted:
    """An engine whose runs are counted; for a batcher, whose runs are not those of its requests."""

    def __init__(self, engine: Engine, statistics: Statistics) -> None:
        self._engine = engine
        self._statistics = statistics
        self.name = engine.name
        self.close = engine.close

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """The engine's answer."""
        began_ns = time.perf_counter_ns()
        answer = self._engine.infer(batch)
        self._statistics.executed(len(batch), time.perf_counter_ns() - began_ns)
        return answer
