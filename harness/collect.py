"""Collects the evidence of one run: brings the target up, lets every collector work, seals what they wrote.

Rule: whatever happens, nothing that was started stays behind; a run that did not finish is not sealed, and an unsealed
run proves nothing.
"""

from __future__ import annotations

import contextlib
import math
import os
from typing import TYPE_CHECKING

from harness.access import AccessError, access_of, require_grpc, require_http
from harness.artifact import ArtifactError, load_artifact
from harness.collectors import CollectError, Collector, Context, Progress, all_collectors
from harness.collectors.calibration import highest_rps
from harness.fleet.client import FleetError
from harness.fleet.lifecycle import start_fleet
from harness.fleet.spec import FleetSpec
from harness.load.pool import write_pool
from harness.load.process import Placement
from harness.load.streams import LedgerError
from harness.model import Evidence
from harness.plan import PlanError
from harness.process_identity import OWNER_VARIABLE, own_identity
from harness.requests import RequestsError, make_requests
from harness.secret import SecretError
from harness.store import Run, create_run

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable
    from pathlib import Path

    from harness.plan import LoadedPlan
    from harness.plan_types import Plan
    from harness.profiles import Profile

FLEET_START_S = 8.0
LOAD_HEADROOM = 1.25
"""No burst of a Poisson load comes near it: at 1,000 a second it is eight standard deviations of a second away."""
_WORLD = (CollectError, FleetError, ArtifactError, AccessError, SecretError, RequestsError, LedgerError)


def collect(
    loaded: LoadedPlan,
    root: Path,
    *,
    profile: Profile,
    progress: Progress,
    now: dt.datetime,
    workers: int = 1,
    placement: Placement = Placement(),  # noqa: B008 - frozen
) -> Run:
    """Collect all evidence that the Plan's target can give into a new run below `root`.

    The load is shared by `workers`, which are where `placement` says.

    1. What needs no target: the machine, the model alone. When the model alone is hopeless, nothing more is tried.
    2. The target comes up (or is reached), and samplers watch it from here on.
    3. Collectors drive load, faults, shadow and rollback, one after the other.
    4. The target goes down, what was sampled is written, the run is sealed.
    """
    os.environ[OWNER_VARIABLE] = str(own_identity())  # of whatever this process starts from here on
    run = create_run(root, loaded, profile=profile.name, subject=subject_of(loaded), now=now)
    context = Context(run=run, loaded=loaded, profile=profile, progress=progress, workers=workers, placement=placement)
    collectors = [item for item in all_collectors() if item.possible_with(loaded.plan.target.provider)]
    phases = {phase: [item for item in collectors if item.phase == phase] for phase in ("before", "during", "after")}
    before = _collect_all(context, phases["before"])
    hopeless = _hopeless(context, before)
    if hopeless:
        _write_errors(context, phases["during"] + phases["after"], hopeless)
    else:
        _collect_under_load(context, phases["during"], phases["after"])
    run.seal()
    return run


def subject_of(loaded: LoadedPlan) -> str:
    """The service version under test. Raises ArtifactError when a local one can't be read."""
    target = loaded.plan.target
    if target.provider != "local":
        return f"{target.model or target.method}@{target.version or 'unknown'} at {target.address}"
    return load_artifact(loaded.resolve(target.registry), target.model, target.version).subject


def _collect_under_load(context: Context, during: list[Collector], after: list[Collector]) -> None:
    try:
        with contextlib.ExitStack() as stack:
            _bring_up(context, stack)
            for collector in during + after:
                if collector.watch:
                    stack.enter_context(collector.watch(context))
            _collect_all(context, during)
    except _WORLD as error:
        _write_errors(context, during + after, f"the target did not come up: {error}")
    else:
        _collect_all(context, after)


def _bring_up(context: Context, stack: contextlib.ExitStack) -> None:
    """Start or reach the target, and prepare the requests that every scenario draws from."""
    target = context.plan.target
    if target.provider == "local":
        context.progress.step(f"Fleet: {len(target.zones)} zones behind the edge", FLEET_START_S)
        context.fleet = stack.enter_context(
            start_fleet(fleet_spec(context.loaded, context.profile, context.run.work / "fleet"), lease=True)
        )
        context.address = context.fleet.address
    else:
        context.progress.step(f"Target: reaching {target.address}", 1)
        context.address = target.address
        (require_http if target.protocol == "http" else require_grpc)(access_of(context.loaded, target.address))
    context.requests = context.run.work / "requests.pool"
    pool = make_requests(context.loaded, context.address)
    context.samples["requests"] = pool.origin
    write_pool(context.requests, pool.messages)


def fleet_spec(loaded: LoadedPlan, profile: Profile, directory: Path) -> FleetSpec:
    """The local zones that a Plan asks for, with their files in `directory`. Raises PlanError for another provider.

    The edge takes of any client what the launch expects in all, and of the run's own load all that the run may send.
    """
    target = loaded.plan.target
    if target.provider != "local":
        raise PlanError(f'{loaded.path.name}: target.provider is "{target.provider}"; only "local" has zones to start')
    return FleetSpec(
        zones=target.zones,
        processes_per_zone=target.processes_per_zone,
        registry=loaded.resolve(target.registry),
        model=target.model,
        version=target.version,
        candidate=target.candidate,
        directory=directory,
        route_timeout_s=loaded.plan.slo.timeout_s,
        client_rps=loaded.plan.traffic.launch_rps,
        in_flight_max=in_flight_max(loaded.plan),
        load_rps=highest_rps(loaded.plan.traffic, profile) * LOAD_HEADROOM,
    )


def in_flight_max(plan: Plan) -> int:
    """Requests in hand beyond which the latest can't be answered in time: the promised rates times the time allowed.

    By Little's law; with more in hand the mean, not only the 99th percentile, would be over the objective.
    """
    calm = max(plan.traffic.launch_rps, plan.traffic.six_months_rps, plan.traffic.one_year_rps)
    allowed = calm * plan.slo.latency_ms_p99, plan.traffic.spike_rps * plan.slo.spike_latency_ms_p99
    return math.ceil(max(allowed) / 1000)


def _collect_all(context: Context, collectors: Iterable[Collector]) -> list[Evidence]:
    written = [evidence for collector in collectors for evidence in _collect_one(context, collector)]
    for evidence in written:
        context.run.write(evidence)
    return written


def _collect_one(context: Context, collector: Collector) -> tuple[Evidence, ...]:
    try:
        return collector.collect(context)
    except _WORLD as error:
        return tuple(_errored(context, evidence_id, str(error)) for evidence_id in collector.ids)


def _write_errors(context: Context, collectors: Iterable[Collector], reason: str) -> None:
    for collector in collectors:
        for evidence_id in collector.ids:
            context.run.write(_errored(context, evidence_id, reason))


def _errored(context: Context, evidence_id: str, reason: str) -> Evidence:
    return Evidence(id=evidence_id, collector="collect", subject=context.run.info.subject, error=reason)


def _hopeless(context: Context, evidence: list[Evidence]) -> str:
    """Why going on is pointless: half of all calls to the bare model are slower than its 99th percentile may be."""
    limit_ms = context.plan.slo.baseline_latency_ms_p99
    for item in evidence:
        if item.id == "baseline" and item.error is None:
            median_ms = float(item.tables["latencies"]["latency_ns"].median()) / 1e6
            if median_ms > limit_ms:
                return (
                    f"stopped early: the model alone takes {median_ms:.1f} ms at the median, the limit is {limit_ms} ms"
                )
    return ""
