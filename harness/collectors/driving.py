"""Starts and finishes one Locust scenario against the run's target, for every collector that needs load.

Rule: a scenario is in `Context.loads` from the moment it starts, so that its ledger is completed whatever happens.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from harness.collectors import CollectError, Context
from harness.load.run import LoadError, start_scenario
from harness.load.spec import LoadSpec, Phase

if TYPE_CHECKING:
    from harness.load.run import RunningScenario

SCENARIO_FOLDER = Path(__file__).resolve().parents[2] / "scenarios"
IN_FLIGHT_MAX = 512
LATE_LIMIT_S = 0.25
START_LIMIT_S = 30.0


def load_spec(context: Context, scenario: str, phases: tuple[Phase, ...]) -> LoadSpec:
    """The load of one scenario against the run's target."""
    return LoadSpec(
        scenario=scenario,
        scenario_index=len(context.loads),
        target=context.address,
        requests=str(context.requests),
        phases=phases,
        seed=zlib.crc32(f"{context.plan.service.name}/{scenario}".encode()),
        timeout_s=context.plan.slo.timeout_s,
        in_flight_max=IN_FLIGHT_MAX,
        late_limit_s=LATE_LIMIT_S,
        zero_ns=context.run.info.zero_ns,
        ledger=str(context.run.work / f"{scenario}.arrow"),
        timeline=str(context.run.timeline.path),
    )


def start(context: Context, spec: LoadSpec, file: str) -> RunningScenario:
    """Start one scenario; it is in `context.loads` from now on, so that its ledger is completed whatever happens."""
    context.loads.append((spec, Path(spec.ledger)))
    return start_scenario(spec, SCENARIO_FOLDER / file, context.run.work)


def duration_s(spec: LoadSpec) -> float:
    """Length of the schedule."""
    return sum(phase.duration_s for phase in spec.phases)


def finish(running: RunningScenario, spec: LoadSpec) -> None:
    """Wait for the end of a scenario: its schedule, its drain, and no longer. Raises CollectError."""
    try:
        running.wait(duration_s(spec) + spec.timeout_s + START_LIMIT_S)
    except LoadError as error:
        raise CollectError(str(error)) from error
