"""Says whether the load generator did its part, so that what was measured is the service.

Rule: pure. An objection here makes a latency, capacity or availability claim UNKNOWN, whichever way it pointed: load
at another rate than the Plan's, late or incomplete load, a machine busy or unwatched. A service that stalls and fills
the cap (status −2, pacing good) raises no objection: that failure is its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.model import Case, Evidence, Status
from harness.slices import MS_NS, Requests, largest_gap_s, scenario_facts
from harness.stats import quantile_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.plan_types import Plan
    from harness.stats import Reals

LAG_MS_MIN = 1.0
"""Lag below this is never held against the generator: its event loop paces by polling, and grains are below 1 ms."""
LAG_SHARE_MAX = 0.05
"""Lag may take this share of the SLO, so that it can't decide what the service is judged for."""
UNSENT_SHARE_MAX = 0.1
"""Rows the generator failed to send may take this share of the strictest error budget judged."""
FOREIGN_CORES_MAX = 0.25
"""Other work on the machine, median over a scenario: an eighth of the smallest machine supported (2 cores), so that it
can't take more than an eighth of the capacity away from what is measured."""
SAMPLE_GAP_S_MAX = 2.0
"""The machine is read every 0.5 s; four readings missing in a row could hide the work that spoiled a measurement."""
COUNT_SIGMAS_MAX = 5
"""A Poisson schedule strays further than this many standard deviations from its rate once in 1.7 million phases."""
LATENCY_BUDGET = 0.01
"""The error budget of a p99 limit: one request in a hundred may be over it."""

BLAME = "the generator, not the service"
STAIRCASE = "staircase"
SEARCH = "search-"
SPIKE = "spike"
PEAK = "peak"
"""The phase of a spike that has the spike's rate, in an experiment's load too."""


def failure_budget(plan: Plan) -> float:
    """The share of requests that may fail."""
    return round(1 - plan.slo.availability, 12)


def lag_limit_ms(plan: Plan, scenario: str, phase: str = "") -> float:
    """How late the generator may send at the 99th percentile, for the SLO in force in `scenario`, or a phase of it."""
    in_spike = scenario == SPIKE or phase == PEAK
    return max(LAG_MS_MIN, LAG_SHARE_MAX * (plan.slo.spike_latency_ms_p99 if in_spike else plan.slo.latency_ms_p99))


def slo_ms(plan: Plan, rows: Requests) -> Reals:
    """The limit of response time in force for each of an experiment's rows: in a spike it is the spike's."""
    slo = plan.slo
    return np.where(np.asarray(rows.phase == PEAK), float(slo.spike_latency_ms_p99), float(slo.latency_ms_p99))


def promised_rps(plan: Plan) -> float:
    """The greatest rate the service must carry; the search for its capacity goes on beyond it."""
    return max(plan.traffic.spike_rps, plan.traffic.six_months_rps)


def seeks_capacity(scenario: str) -> bool:
    """Whether a search chooses the rates of this scenario, not the Plan: the staircase, and each step of the search."""
    return scenario == STAIRCASE or scenario.startswith(SEARCH)


def beyond_promise(case: Case) -> set[tuple[str, str]]:
    """Phases above what is promised, driven to find the capacity: they count neither as availability nor as pacing."""
    scenarios, promised = case.evidence["ledger"].facts["scenarios"], promised_rps(case.plan)
    return {
        (name, str(phase["name"]))
        for name in scenarios
        if seeks_capacity(name)
        for phase in scenarios[name]["phases"]
        if phase["rate_rps"] > promised
    }


def objections(
    case: Case, ledger: Requests, scenario: str, phases: Sequence[str] | None = None, *, budget: float = LATENCY_BUDGET
) -> tuple[str, ...]:
    """Why the generator's work in `scenario` (or only in `phases` of it) can't carry a claim; empty when it can.

    `ledger` are its rows; `budget` is the share of bad requests that the claim allows. Of a search's step, `phases` may
    be empty, because all of them are beyond the promise: then only what holds for the whole of it is asked. Needs the
    evidence "ledger" and "machine".
    """
    rows = ledger.of(scenario)
    facts = scenario_facts(case.evidence["ledger"], scenario)
    whole = (*_completeness(facts, rows, scenario), *_rates(case.plan, scenario, facts["phases"]))
    judged = rows if phases is None else rows.where(rows.place(scenario, phases))
    if not len(judged):
        none_promised = seeks_capacity(scenario) and len(rows) and not phases
        return whole if whole or none_promised else (f"{scenario} has no requests to judge",)
    paced = pacing(case.plan, scenario, judged, budget)
    return (*whole, *paced, *_foreign_work(case.plan, case.evidence["machine"], judged))


def diagnosis(facts: Mapping[str, Any]) -> str:
    """What a load's processes say of themselves, to be told and never held against the load.

    CPU is no objection: that a generator was at its end shows in its lag (sending and receiving share one loop), and a
    punctual load from a busy core proves what it measured. Load tools go by CPU where they can't see lag (Locust warns
    from 90 %). Requests still open at the end are the service's: they are rows, and count as failed.
    """
    share, open_left = facts.get("cpu_share"), facts.get("drained") is False
    cpu = "" if share is None else f"; its busiest worker used {100 * share:.0f} % of a core"
    return cpu + ("; requests were still open at its end and count as failed" if open_left else "")


def _completeness(facts: Mapping[str, Any], rows: Requests, scenario: str) -> list[str]:
    found = []
    if facts["finished"] is not True:
        if facts.get("refused"):
            return [str(facts["refused"])]
        found.append("the load did not run to its end")
    if facts["workers_lost"] != 0:
        found.append(f"{facts['workers_lost']} load workers were lost")
    if facts["gaps"]:
        found.append("the ledger has gaps")
    if facts["scheduled"] != len(rows):
        found.append(f"the ledger has {len(rows)} of {facts['scheduled']} scheduled requests")
    return found + _unscheduled(facts["phases"], rows, scenario)


def _unscheduled(scheduled: Sequence[Mapping[str, Any]], rows: Requests, scenario: str) -> list[str]:
    """The schedule's phases against the rows: a step left out, or a rate never offered, is no evidence of it."""
    if [name for _, name in rows.phases()] != sorted(str(phase["name"]) for phase in scheduled):
        return ["the ledger's phases are not the schedule's"]
    found = []
    for phase in scheduled:
        rates = (phase["rate_rps"], phase["rate_rps"] if phase["end_rate_rps"] is None else phase["end_rate_rps"])
        due = sum(rates) / 2 * phase["duration_s"]
        n = len(rows.where(rows.place(scenario, [phase["name"]])))
        if not abs(n - due) <= COUNT_SIGMAS_MAX * math.sqrt(due) + 1:
            found.append(f"{phase['name']} has {n} requests; its rate asks for about {due:.0f}")
    return found


def _rates(plan: Plan, scenario: str, phases: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rates driven against the Plan's; a search's are its own to choose. Each phase holds one rate."""
    found = []
    for phase in phases:
        name, rate, end = f"{scenario}/{phase['name']}", phase["rate_rps"], phase["end_rate_rps"]
        wanted = rate if seeks_capacity(scenario) else _wanted_rps(plan, phase["name"])
        if end is not None:
            found.append(f"{name} was driven at {rate:g} to {end:g} req/s; a phase holds one rate")
        elif not math.isclose(rate, wanted):
            found.append(f"{name} was driven at {rate:g} req/s; the Plan wants {wanted:g}")
    return found


def _wanted_rps(plan: Plan, phase: str) -> float:
    return plan.traffic.spike_rps if phase == PEAK else plan.traffic.launch_rps


def other_versions(plan: Plan, rows: Requests) -> str:
    """Why `rows` don't speak about the version to launch; empty when they do.

    Each good answer must name that version. A service that gonogo did not start may leave it out; one that the Plan
    gives no version may answer as any.
    """
    target = plan.target
    if not target.version:
        return ""
    known = {target.version, ""} if target.provider != "local" else {target.version}
    others = sorted(set(rows.model_version[rows.answered()].unique()) - known)
    if not others:
        return ""
    return f"version {', '.join(name or 'unnamed' for name in others)} answered, version {target.version} is to launch"


def pacing(plan: Plan, scenario: str, rows: Requests, budget: float = LATENCY_BUDGET) -> list[str]:
    """What was sent late, or not at all, in the phases of `scenario` that `rows` are of."""
    found = []
    for _, name in rows.phases():
        phase = rows.of(scenario, name)
        limit_ms, lag_ms = lag_limit_ms(plan, scenario, name), lag_ms_p99(phase)
        if lag_ms is not None and lag_ms > limit_ms:
            found.append(f"{scenario}/{name} was sent {lag_ms:.1f} ms late at p99 ({limit_ms:g} ms allowed)")
        unsent = int(np.sum(phase.status == Status.GENERATOR_LATE))
        if unsent > UNSENT_SHARE_MAX * budget * len(phase):
            found.append(f"{unsent} requests of {scenario}/{name} were never sent")
    return found


def lag_ms_p99(rows: Requests) -> float | None:
    """99th percentile of sent − intended over the rows sent; None when none was."""
    lag_ns = (rows.sent_ns - rows.intended_ns)[np.isfinite(rows.sent_ns)]
    return quantile_of(lag_ns, 0.99) / MS_NS if len(lag_ns) else None


def _foreign_work(plan: Plan, machine: Evidence, rows: Requests) -> list[str]:
    if _shares_machine_unseen(plan):
        return []
    start, end = float(rows.intended_ns.min()), float(rows.intended_ns.max())
    stamps = machine.tables["cpu"]["t_ns"]
    stamps = stamps[stamps.between(start, end)].to_numpy(dtype=np.float64)
    cores = foreign_cores(machine, rows)
    if cores is None or not largest_gap_s(stamps, start, end) <= SAMPLE_GAP_S_MAX:
        return ["the machine's load was not measured meanwhile"]
    if not cores <= FOREIGN_CORES_MAX:
        return [f"the machine was busy with other work ({cores:.2f} cores; {FOREIGN_CORES_MAX:g} allowed)"]
    return []


def foreign_cores(machine: Evidence, rows: Requests) -> float | None:
    """Median of the cores busy with what is not this run, while `rows` were due; None without a sample."""
    table = machine.tables["cpu"]
    span = table[table["t_ns"].between(rows.intended_ns.min(), rows.intended_ns.max())]
    foreign = (span["busy_cores"] - span["own_cores"]).to_numpy(dtype=np.float64)
    return float(np.median(foreign)) if len(foreign) else None


def _shares_machine_unseen(plan: Plan) -> bool:
    """An attached service on this machine works outside the run's processes: its own work would look foreign."""
    host = plan.target.address.rpartition(":")[0]
    return plan.target.provider != "local" and host in {"127.0.0.1", "localhost", "[::1]"}
