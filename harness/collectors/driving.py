"""Starts and finishes one Locust scenario against the run's target, for every collector that needs load.

Rule: a scenario is in `Context.loads` from the moment it starts or is refused, so that all that it should have sent is
accounted for whatever happens.
"""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.calibration import refusal
from harness.collectors import CollectError, Context
from harness.fleet.tether import tethered
from harness.load.ledger import complete
from harness.load.process import SCENARIOS, WORKERS_LIMIT_S, Scenario, ScenarioError, start_scenario
from harness.load.spec import MODEL_INFER, LoadSpec, Phase
from harness.load.streams import LedgerError
from harness.model import Evidence
from harness.slices import Requests, requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

START_LIMIT_S = 30.0 + WORKERS_LIMIT_S
POLL_S = 0.05


def load_spec(context: Context, scenario: str, phases: tuple[Phase, ...]) -> LoadSpec:
    """The load of one scenario against the run's target; its seed follows from the service's name and the scenario."""
    target, access = context.plan.target, context.access
    return LoadSpec(
        scenario=scenario,
        scenario_index=len(context.loads),
        target=context.address,
        protocol="http" if target.protocol == "http" else "grpc",
        method=target.method or MODEL_INFER,
        metadata=access.metadata,
        tls=access.tls,
        requests=str(context.requests),
        phases=phases,
        seed=zlib.crc32(f"{context.plan.service.name}/{scenario}".encode()),
        timeout_s=context.plan.slo.timeout_s,
        drain_s=context.plan.slo.timeout_s + 1.0,
        zero_ns=context.run.info.zero_ns,
        ledger=str(context.run.work / f"{scenario}.arrow"),
        timeline=str(context.run.timeline.path),
        workers=context.workers,
    )


def start(context: Context, spec: LoadSpec, file: str) -> Scenario:
    """Start one scenario by the Locust file of that name. Raises CollectError when the generator can't do its rates."""
    context.loads.append((spec, Path(spec.ledger)))
    asked_rps = max(max(phase.rate_rps, phase.last_rate_rps) for phase in spec.phases)
    if refused := refusal(context.able_rps, asked_rps):
        context.refused[spec.scenario] = refused
        raise CollectError(refused)
    where = context.placement
    return start_scenario(spec, context.run.work, tethered=tethered, file=SCENARIOS / file, placement=where)


def wait_started(context: Context, running: Scenario) -> None:
    """Wait until the schedule of a scenario has begun. Raises CollectError."""
    deadline = time.monotonic() + START_LIMIT_S
    while ("scenario_started", running.spec.scenario) not in _events(context):
        if running.process.poll() is not None or time.monotonic() > deadline:
            finish(running, limit_s=0.1)
            raise CollectError(f"{running.spec.scenario} ended before its load began; see {running.log.name}")
        time.sleep(POLL_S)


def finish(running: Scenario, limit_s: float | None = None) -> None:
    """Wait for the end of a scenario: its schedule, its drain, and no longer. Raises CollectError."""
    try:
        running.wait(limit_s)
    except ScenarioError as error:
        raise CollectError(str(error)) from error
    finally:
        running.stop()


def recorded(spec: LoadSpec) -> tuple[Requests, Mapping[str, Any]]:
    """The rows of a load that has ended, and what its ledger says of it. Raises CollectError when it left none."""
    try:
        table, facts = complete(spec, Path(spec.ledger))
    except LedgerError as error:
        raise CollectError(str(error)) from error
    return requests(Evidence(id="ledger", collector="ledger", subject="", tables={"requests": table})), facts


def _events(context: Context) -> Iterator[tuple[str, str]]:
    path = context.run.timeline.path
    for line in path.read_text().splitlines() if path.exists() else ():
        event = json.loads(line)
        yield event["event"], event["subject"]
