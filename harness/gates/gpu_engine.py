"""The engine on the GPU: what was found by running it there, not what is hoped of it."""

from __future__ import annotations

import datetime as dt

from harness.checks import limited, unknown
from harness.model import Case, Check, Gate, Outcome

KIND, ROWS_MIN = ("gpu-check", 1), 512
SIZES = {1 << power for power in range(11)}  # the batches that the engine has a graph for


def judge(case: Case) -> tuple[Check, ...]:
    """A recent document of the kind known; FP32 in and out; every golden answer within tolerance; fast at each size."""
    facts, limits = case.evidence["gpu"].facts, case.plan.gpu
    found = facts["found"]
    if (kind := (found["kind"], found["schema"])) != KIND:
        return (unknown("document", f"kind and schema are {kind}; this version judges {KIND}"),)
    age = dt.datetime.fromisoformat(facts["as_of"]) - dt.datetime.fromisoformat(found["taken"])
    if not dt.timedelta(0) <= age <= dt.timedelta(days=limits.age_days_max):
        words = f"it was taken on {found['taken'][:10]}, {age.days} days before; {limits.age_days_max:g} are allowed"
        return (unknown("age", words),)
    agreement, n = found["agreement"], found["agreement"]["rows"]
    compared, timed = set(agreement["batch_sizes"]), {item["rows"] for item in found["speed"]}
    if n < ROWS_MIN or not compared & timed >= SIZES:
        return (
            unknown("answers", f"{n} golden rows; {ROWS_MIN} are needed, compared and timed in every size of batch"),
        )
    off = float("nan") if agreement["difference_max"] is None else agreement["difference_max"]
    words = f"on {found['gpu']['name']} answers are off by at most {off:.2g}; {limits.answer_tolerance:g} allowed"
    answers = limited("answers", off, limits.answer_tolerance, "probability", reason=words, n=n)
    return (answers, _types(found["io"]), _latency(found["speed"], limits.latency_ms_p99))


def _types(io: dict[str, str]) -> Check:
    outcome = Outcome.PASS if sorted(io.values()) == ["FLOAT", "FLOAT"] else Outcome.FAIL
    words = ", ".join(f"{name} is {kind}" for name, kind in sorted(io.items()))
    return Check(name="types", outcome=outcome, reason=f"{words}; FLOAT is what the service takes and gives")


def _latency(speed: list[dict[str, dict[str, float]]], limit_ms: float) -> Check:
    """The slowest size of batch."""
    p99_ms, rows = max((item["tensorrt"]["latency_ms_p99"], item["rows"]) for item in speed)
    if p99_ms <= 0:
        raise ValueError("a latency of zero or less")
    words = f"99 % of batches of {rows} took at most {p99_ms:.3g} ms; {limit_ms:g} ms allowed"
    return limited("latency_p99", p99_ms, limit_ms, "ms", reason=words)


GATE = Gate(
    id="gpu_engine",
    area="Reality check",
    title="On the GPU the model answers as accepted",
    failure_title="On the GPU the model does not answer as accepted",
    why="An engine that was never run on the hardware it is for may be wrong, or slower than the processor beside it.",
    advice="Run reference-service check-gpu on the GPU, name its file in gpu.evidence, and read what differs.",
    requires=("gpu",),
    judge=judge,
)
