"""Mirrors live traffic to the candidate and joins both versions' logged predictions by request id.

Rule: every request that either side logged is counted; what could not be joined is reported, not dropped.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.artifact import load_artifact
from harness.collectors import CollectError, Collector, Context
from harness.collectors.driving import finish, load_spec, start
from harness.load.spec import Phase
from harness.model import Evidence

if TYPE_CHECKING:
    from harness.load.spec import LoadSpec

LOG_SETTLE_S = 3.0
"""Longest wait for both sides' buffered logs to reach the disk; they flush every 0.2 s."""


def collect(context: Context) -> tuple[Evidence, ...]:
    """Mirror for the length of one scenario, then join what was logged while it ran."""
    fleet = context.require_fleet()
    if not context.plan.target.candidate:
        raise CollectError("the Plan names no candidate version; set target.candidate")
    launch = context.plan.traffic.launch_rps
    spec = load_spec(context, "shadow", (Phase("hold", launch, context.profile.shadow_s),))
    context.progress.step("Shadow: the candidate answers a copy of the traffic", spec.duration_s + 3)
    fleet.client.route(to="primary", mirror=True)
    try:
        finish(start(context, spec, "sustained.py"))
    finally:
        fleet.client.route(to="primary", mirror=False)
    status = fleet.client.status()
    primary_logs = [Path(log) for zone in status["zones"].values() for log in zone["prediction_logs"]]
    candidate_logs = [Path(log) for log in status["candidate"]["prediction_logs"]]
    primary, candidate = _settled(spec, primary_logs, candidate_logs)
    return (_evidence(context, primary, candidate),)


def _settled(
    spec: LoadSpec, primary_logs: list[Path], candidate_logs: list[Path]
) -> tuple[dict[int, float], dict[int, float]]:
    """Both sides' predictions of this scenario once they stop growing together, or after `LOG_SETTLE_S`."""
    deadline = time.monotonic() + LOG_SETTLE_S
    while True:
        primary, candidate = (_predictions(logs, spec.scenario_index) for logs in (primary_logs, candidate_logs))
        if primary.keys() == candidate.keys() or time.monotonic() > deadline:
            return primary, candidate
        time.sleep(0.2)


def _predictions(logs: list[Path], scenario_index: int) -> dict[int, float]:
    """First output by request id, of the requests of one scenario. A half-written last line is not there yet."""
    found = {}
    for log in logs:
        for line in log.read_text().splitlines(keepends=True) if log.exists() else ():
            request_id = _scenario_request(line) if line.endswith("\n") else None
            if request_id is not None and request_id[0] >> 40 == scenario_index:
                found[request_id[0]] = request_id[1]
    return found


def _scenario_request(line: str) -> tuple[int, float] | None:
    record: dict[str, Any] = json.loads(line)
    try:
        return int(record["request_id"], 16), float(record["outputs"][0])
    except ValueError:  # a request id that is not ours: a probe of the edge or a person's call
        return None


def _evidence(context: Context, primary: dict[int, float], candidate: dict[int, float]) -> Evidence:
    target = context.plan.target
    artifact = load_artifact(context.loaded.resolve(target.registry), target.model, target.version)
    joined = sorted(primary.keys() & candidate.keys())
    pairs = pd.DataFrame(
        {
            "request_id": pd.Series(joined, dtype="uint64"),
            "primary": pd.Series([primary[key] for key in joined], dtype="float64"),
            "candidate": pd.Series([candidate[key] for key in joined], dtype="float64"),
        }
    )
    facts = {
        "primary_version": target.version,
        "candidate_version": target.candidate,
        "primary_logged": len(primary),
        "candidate_logged": len(candidate),
        "joined": len(joined),
        "unjoined_primary": len(primary.keys() - candidate.keys()),
        "unjoined_candidate": len(candidate.keys() - primary.keys()),
        "threshold": artifact.manifest["decision"]["threshold"],
    }
    subject = context.run.info.subject
    return Evidence(id="shadow", collector="shadow", subject=subject, facts=facts, tables={"pairs": pairs})


COLLECTORS = (Collector(ids=("shadow",), order=40, collect=collect, needs_control=True),)
