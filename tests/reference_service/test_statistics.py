"""The statistics are sums as Triton defines them, and cost the hot path next to nothing."""

from __future__ import annotations

import numpy as np

from reference_service.statistics import Counted, Statistics
from tests.reference_service.test_baseline import RecordingEngine

DONE_NS = 5_000_000_000


def test_requests_rows_runs_and_stages_are_summed() -> None:
    statistics = Statistics()
    for rows in (1, 4):
        statistics.answered(
            rows, began_ns=DONE_NS - 100, done_ns=DONE_NS, queue_ns=10, input_ns=20, infer_ns=30, output_ns=5
        )
    statistics.executed(5, 30)
    statistics.executed(5, 50)
    statistics.executed(1, 7)
    statistics.failed += 1
    found = statistics.message(
        "m", "2", wall_ns=lambda: 1_700_000_000_000_000_000, monotonic_ns=lambda: DONE_NS + 3_000_000_000
    )
    assert (found.name, found.version, found.inference_count, found.execution_count) == ("m", "2", 5, 3)
    assert found.last_inference == 1_700_000_000_000 - 3_000
    of = found.inference_stats
    durations = (of.success, of.fail, of.queue, of.compute_input, of.compute_infer, of.compute_output)
    assert [(item.count, item.ns) for item in durations] == [(2, 200), (1, 0), (2, 20), (2, 40), (2, 60), (2, 10)]
    assert [(item.batch_size, item.compute_infer.count, item.compute_infer.ns) for item in found.batch_stats] == [
        (1, 1, 7),
        (5, 2, 80),
    ]


def test_a_version_that_has_answered_nothing_says_so() -> None:
    found = Statistics().message("m", "1")
    assert (found.last_inference, found.inference_count, list(found.batch_stats)) == (0, 0, [])


def test_a_batchers_engine_counts_its_runs_not_its_requests() -> None:
    statistics = Statistics()
    engine = RecordingEngine()
    counted = Counted(engine, statistics)
    rows = np.zeros((3, 2), np.float32)
    assert counted.infer(rows) is rows
    assert (counted.name, statistics.executions, list(statistics.batches)) == ("recording", 1, [3])
    assert statistics.last_run_ns > 0
