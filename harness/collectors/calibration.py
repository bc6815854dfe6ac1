"""Finds out, before the target is under load, whether this generator can send here what the run will ask of it.

Rule: the same Locust process, engine, workers, protocol and requests as any load, on a server that costs next to
nothing; by plain connections, so what encryption costs is not in it. A rate that it can't do is not asked of it later.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from harness.calibration import Trial, facts, next_trial_rps
from harness.capacity import GROWTH
from harness.collectors import CollectError, Collector, Context
from harness.collectors.driving import finish, load_spec, recorded
from harness.fleet.tether import tethered
from harness.load.null_server import OWN, null_server
from harness.load.process import SCENARIOS, start_scenario
from harness.load.spec import Phase
from harness.model import Evidence, Status
from harness.validity import lag_limit_ms, lag_ms_p99

if TYPE_CHECKING:
    from harness.load.spec import LoadSpec
    from harness.plan_types import Traffic
    from harness.profiles import Profile

TRIAL_S = 2.0
START_S = 2.0
"""About how long Locust takes around it."""


def collect(context: Context) -> tuple[Evidence, ...]:
    """Try the highest rate that the run may ask for, and lower ones only if it can't be done."""
    asked_rps = highest_rps(context.plan.traffic, context.profile)
    limit_ms = lag_limit_ms(context.plan, "sustained")
    context.progress.step(f"Calibration: can the generator do {asked_rps:.0f} requests a second", TRIAL_S + START_S)
    trials: list[Trial] = []
    errors: list[str] = []
    with null_server(tethered) as server:
        while (rate_rps := next_trial_rps(trials, asked_rps, limit_ms)) is not None:
            address = OWN if context.placement.bind else server.address
            spec = _spec(context, rate_rps, len(trials) + 1, address)
            trials.append(_trial(context, spec, rate_rps, errors))
    if len(errors) == len(trials):
        raise CollectError(f"no load could be sent at all: {errors[0]}")
    found = facts(trials, asked_rps, limit_ms, spec.workers)
    context.able_rps = found["valid_rps"]
    subject = context.run.info.subject
    return (Evidence(id="calibration", collector="calibration", subject=subject, facts=found),)


def highest_rps(traffic: Traffic, profile: Profile) -> float:
    """The highest rate that a run may ask for: the Plan's, and those of a search that finds everything holding."""
    searched_rps = traffic.one_year_rps * GROWTH**profile.search_steps
    return float(max(traffic.spike_rps, traffic.six_months_rps, searched_rps))


def _spec(context: Context, rate_rps: float, number: int, address: str) -> LoadSpec:
    spec = load_spec(context, f"calibration-{number}", (Phase("hold", rate_rps, TRIAL_S),))
    return dataclasses.replace(spec, target=address, tls=None, metadata=(), timeline="")


def _trial(context: Context, spec: LoadSpec, rate_rps: float, errors: list[str]) -> Trial:
    """Drive one short load. One that broke showed nothing, and is a trial that failed; `errors` tells why."""
    try:
        file, where = SCENARIOS / "sustained.py", context.placement
        finish(start_scenario(spec, context.run.work, tethered=tethered, file=file, placement=where))
        rows, told = recorded(spec)
    except CollectError as error:
        errors.append(str(error))
        return Trial(rate_rps=rate_rps, lag_ms_p99=None, unsent=0, failed=0, finished=False, drained=False)
    unsent = int(np.sum(rows.status == Status.GENERATOR_LATE))
    return Trial(
        rate_rps=rate_rps,
        lag_ms_p99=lag_ms_p99(rows),
        unsent=unsent,
        failed=int(np.sum(~rows.answered())) - unsent,
        finished=bool(told["finished"]) and not told["gaps"],
        drained=bool(told["drained"]),
        cpu_share=told["cpu_share"],
    )


COLLECTORS = (Collector(ids=("calibration",), order=25, collect=collect),)
