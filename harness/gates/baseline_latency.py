"""The model alone, without network and without load: can it be fast enough at all?"""

from __future__ import annotations

import numpy as np

from harness.checks import latency_of, unknown
from harness.model import Case, Check, Gate
from harness.slices import BLOCKS_MIN, MS_NS


def judge(case: Case) -> tuple[Check, ...]:
    """p99 of the engine's own latencies against the Plan's baseline limit, in twenty blocks in order of time.

    Only a measurement of the model and version to launch says anything about them.
    """
    facts, target = case.evidence["baseline"].facts, case.plan.target
    measured, wanted = (facts["model"], facts["version"]), (target.model, target.version)
    if measured != wanted:
        reason = "{} version {} was measured; {} version {} is to launch".format(*measured, *wanted)
        return (unknown("engine_p99", reason),)
    limit_ms = case.plan.slo.baseline_latency_ms_p99
    column = case.evidence["baseline"].tables["latencies"]["latency_ns"]
    times_ms = column.to_numpy(dtype=np.float64, na_value=np.nan) / MS_NS
    times_ms = np.where(np.isnan(times_ms), np.inf, times_ms)  # a measurement without a result took for ever
    if np.any(times_ms <= 0):
        raise ValueError("the baseline has a latency of zero or less")
    parts = np.array_split(times_ms > limit_ms, BLOCKS_MIN)
    blocks = np.array([part.sum() for part in parts]), np.array([len(part) for part in parts])
    return (latency_of("engine_p99", times_ms, blocks, limit_ms, case.plan.slo.confidence),)


GATE = Gate(
    id="baseline_latency",
    area="Reality check",
    title="The model alone is fast enough",
    failure_title="The model alone is too slow",
    why="A model that is too slow by itself can't be made fast by servers; no load test is worth running before this.",
    advice="Make the model smaller, quantise it, or run it on a faster engine; then measure again.",
    requires=("baseline",),
    judge=judge,
)
