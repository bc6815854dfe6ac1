"""Latency of the model alone, in one process, before any infrastructure: is the target possible at all?

Rule: measured by the service's own engine through its own command, so that what is measured is what is served.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pandas as pd

from harness.collectors import CollectError, Collector, Context
from harness.fleet.tether import tethered
from harness.model import Evidence

START_LIMIT_S = 60.0


def collect(context: Context) -> tuple[Evidence, ...]:
    """Run `reference-service bench` and keep every single latency."""
    seconds = context.profile.baseline_s
    context.progress.step("Baseline: the model alone, in process", seconds + 1)
    output = context.run.work / "baseline.json"
    target = context.plan.target
    command = [sys.executable, "-m", "reference_service.cli", "bench"]
    command += ["--registry", str(context.loaded.resolve(target.registry)), "--model", target.model]
    command += ["--version", target.version, "--seconds", str(seconds), "--output", str(output)]
    _run(command, seconds + START_LIMIT_S)
    facts: dict[str, Any] = json.loads(output.read_bytes())
    table = pd.DataFrame({"latency_ns": facts.pop("latencies_ns")})
    subject = f"{facts['model']}@{facts['version']} sha256:{facts['digest'][:16]}"  # as the bench read it
    return (Evidence(id="baseline", collector="baseline", subject=subject, facts=facts, tables={"latencies": table}),)


def _run(command: list[str], limit_s: float) -> None:
    try:
        done = subprocess.run(tethered(command), capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise CollectError(f"the engine benchmark did not end within {limit_s:.0f} s") from error
    if done.returncode != 0:
        raise CollectError(f"the engine benchmark failed (exit {done.returncode}): {done.stderr.strip()[-500:]}")


COLLECTORS = (Collector(ids=("baseline",), order=10, collect=collect, phase="before", needs_control=True),)
