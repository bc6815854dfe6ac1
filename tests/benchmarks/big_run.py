"""Writes a healthy run of about a given number of requests: `python -m tests.benchmarks.big_run FOLDER ROWS`.

Rule: through the real schedule and the real store, from a fixed seed. A few requests are slow, fail, or are never sent,
within what the Plan allows, because a ledger without any is easier to judge than a real one.
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.calibration import facts as calibration_facts
from harness.load.phases import spike, staircase, sustained
from harness.load.schedule import phase_starts_ns, schedule
from harness.load.spec import LoadSpec
from harness.model import Evidence, Status
from harness.plan import load_plan
from harness.store import create_run
from tests.builders import a_trial

if TYPE_CHECKING:
    from harness.load.spec import Phase

SUBJECT = "big@1"
RPS = 5000
SECOND_NS = 1_000_000_000
ZONES = ("zone-a", "zone-b", "zone-c")
FAILED_EVERY, UNSENT_EVERY = 20_000, 50_000
PLAN = f"""
[service]
name = "big"
owner = "tests"

[launch]
stage = "load"

[target]
provider = "attached"
address = "service.example:443"
model = "big"
version = "1"

[slo]
availability = 0.999
latency_ms_p99 = 50
spike_latency_ms_p99 = 100

[traffic]
launch_rps = {RPS}
spike_rps = {2 * RPS}
six_months_rps = {1.5 * RPS}
one_year_rps = {2 * RPS}
"""


def write_big_run(root: Path, rows: int, latency_ms: float = 4.0) -> Path:
    """A sealed run of about `rows` requests under `root`, answered within `latency_ms` (median); returns its folder."""
    plan = root / "readiness.toml"
    plan.write_text(PLAN)
    now = dt.datetime(2025, 3, 1, 12, tzinfo=dt.UTC)
    run = create_run(root / "runs", load_plan(plan), profile="standard", subject=SUBJECT, now=now)
    requests, scenarios, end_ns = _ledger(rows, latency_ms)
    starts = [(facts["phases"][0]["start_ns"], "scenario_started", name, "{}") for name, facts in scenarios.items()]
    events = pd.DataFrame(starts, columns=["t_ns", "event", "subject", "detail"])
    polls = np.arange(0, end_ns + SECOND_NS, SECOND_NS // 2)
    cpu = pd.DataFrame({"t_ns": polls, "busy_cores": 1.2, "own_cores": 1.1})
    run.write(_evidence("timeline", {}, events=events))
    run.write(_evidence("machine", {"cpu_count": 2}, cpu=cpu))
    run.write(_evidence("calibration", calibration_facts([a_trial(rate_rps=2.5 * RPS)], 2 * RPS, 2.5, 1)))
    run.write(_evidence("ledger", {"scenarios": scenarios, "requests": ""}, requests=requests))
    run.seal()
    return run.folder


def _evidence(name: str, facts: dict[str, Any], **tables: pd.DataFrame) -> Evidence:
    return Evidence(id=name, collector=name, subject=SUBJECT, facts=facts, tables=tables)


def _scenarios(rows: int) -> dict[str, tuple[Phase, ...]]:
    """Six tenths of the requests in sustained, two in spike, two in the staircase, at the Plan's rates."""
    second = rows / RPS
    return {
        "sustained": sustained(RPS, 0.55 * second, 0.05 * second),
        "spike": spike(RPS, 2 * RPS, 0.04 * second, 0.06 * second, 0.04 * second),
        "staircase": staircase(RPS, 2 * RPS, 5, 0.2 * second / 5 / 1.5),
    }


def _ledger(rows: int, latency_ms: float) -> tuple[pd.DataFrame, dict[str, Any], int]:
    """The requests in order of intent, the facts of each scenario, and when the load ended."""
    columns, facts, start_ns = [], {}, 10 * SECOND_NS
    for index, (name, phases) in enumerate(_scenarios(rows).items()):
        spec = LoadSpec(
            scenario=name, target="", phases=phases, requests="", ledger="", zero_ns=0, scenario_index=index, seed=index
        )
        columns.append(_columns(spec, start_ns, latency_ms))
        facts[name] = _facts(spec, start_ns, len(columns[-1]["status"]))
        start_ns = facts[name]["phases"][-1]["end_ns"] + SECOND_NS
    joined = {name: np.concatenate([part.pop(name) for part in columns]) for name in list(columns[0])}
    return _table(joined), facts, start_ns


def _columns(spec: LoadSpec, start_ns: int, latency_ms: float) -> dict[str, Any]:
    due = schedule(spec)
    rng, n = np.random.default_rng(spec.seed), len(due)
    sent = due.intended_ns + start_ns + rng.integers(20_000, 200_000, n)
    status = np.zeros(n, np.int16)
    status[FAILED_EVERY - 1 :: FAILED_EVERY] = 14
    status[UNSENT_EVERY // 2 :: UNSENT_EVERY] = Status.GENERATOR_LATE
    names = [phase.name for phase in spec.phases]
    return {
        "request_id": due.sequence.astype(np.uint64) | np.uint64(spec.request_id(0)),
        "scenario": np.full(n, spec.scenario_index, np.int8),
        "phase": np.array([_PHASES.index(name) for name in names], np.int8)[due.phase],
        "intended_ns": due.intended_ns + start_ns,
        "sent_ns": sent,
        "done_ns": sent + (latency_ms * 1e6 * rng.lognormal(0, 0.5, n)).astype(np.int64),
        "status": status,
        "zone": rng.integers(0, len(ZONES), n, np.int8),
    }


_NAMES = tuple(_scenarios(1_000_000))
_PHASES = tuple(dict.fromkeys(phase.name for phases in _scenarios(1_000_000).values() for phase in phases))


def _table(columns: dict[str, Any]) -> pd.DataFrame:
    status = columns["status"]
    unsent, failed = status == Status.GENERATOR_LATE, status != Status.OK
    named = {"zone": ZONES, "model_version": ("1",)}
    codes = {"zone": columns["zone"], "model_version": np.zeros(len(status), np.int8)}
    answers = {
        name: pd.Categorical.from_codes(np.where(failed, len(values), codes[name]), [*values, ""])
        for name, values in named.items()
    }
    return pd.DataFrame(
        {
            "request_id": columns["request_id"],
            "scenario": pd.Categorical.from_codes(columns["scenario"], _NAMES),
            "phase": pd.Categorical.from_codes(columns["phase"], _PHASES),
            "intended_ns": columns["intended_ns"],
            "sent_ns": pd.arrays.IntegerArray(columns["sent_ns"], unsent),
            "done_ns": pd.arrays.IntegerArray(columns["done_ns"], unsent.copy()),
            "status": status,
            **answers,
            "worker": np.zeros(len(status), np.int16),
            "response_bytes": np.full(len(status), 64, np.int32),
        },
        copy=False,
    )


def _facts(spec: LoadSpec, start_ns: int, n: int) -> dict[str, Any]:
    edges = [start_ns + edge for edge in phase_starts_ns(spec)]
    phases = [
        {"name": phase.name, "rate_rps": phase.rate_rps, "end_rate_rps": None, "duration_s": phase.duration_s}
        | {"start_ns": start, "end_ns": end}
        for phase, start, end in zip(spec.phases, edges[:-1], edges[1:], strict=True)
    ]
    counts = {"scheduled": n, "recorded": n, "workers": 1, "workers_lost": 0, "gaps": 0}
    return {**counts, "finished": True, "drained": True, "phases": phases}


if __name__ == "__main__":
    sys.stdout.write(f"{write_big_run(Path(sys.argv[1]), int(sys.argv[2]))}\n")
