"""Finds how much traffic the service carries, from rates that were each held for a while: what held, and the knee.

Rule: pure. A rate counts only if it and every lower one held; whatever did not hold, for whichever reason, ends what is
shown. So no step that gets worse can raise the capacity. A search asks only for rates above what held so far, so that
the last of its steps can be lost without raising it either; one lost between others is missed by its number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.checks import P99, latency, proportion
from harness.model import Case, Outcome, worst
from harness.slices import Requests, block_counts, requests, scenario_facts
from harness.stats import lower_bound, quantile_of
from harness.validity import BLAME, STAIRCASE, failure_budget, objections, other_versions, seeks_capacity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.plan_types import Plan

GROWTH = 1.5
"""By how much a search goes up while everything holds: three steps more than treble the rate."""
WIDTH_MAX = 0.1
"""A search ends when what held and what did not are a tenth apart: one machine differs by more from day to day."""
WHOLE_RPS_MIN = 10.0
"""From here on a search asks for whole rates, which people can read."""


class Stop(StrEnum):
    """What kept a higher rate from being shown. Only by the service is the capacity more than a lower bound."""

    SERVICE = "the service"
    GENERATOR = "the generator"
    UNPROVEN = "too little evidence"
    UNTRIED = "nothing higher was tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rate and whether the service held its objectives there; `reason` says why not.

    `valid` is False when the generator, or other work on the machine, kept the step from saying anything. Times are
    None where they can't be told.
    """

    rate_rps: float
    outcome: Outcome
    reason: str
    valid: bool = True
    p50_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What `steps`, in order of their rates, show: all up to `held_rps` held (0 when none did).

    `stopped_rps` is the lowest rate that did not hold, for whichever reason; `failed_rps` the lowest at which it was
    shown that the service does not hold.
    """

    steps: tuple[Step, ...]
    held_rps: float
    stop: Stop
    reason: str
    stopped_rps: float | None
    failed_rps: float | None
    knee_rps: float | None

    @property
    def interval_rps(self) -> tuple[float, float] | None:
        """Between which rates the capacity lies, each bound at the Plan's confidence; None where one is missing."""
        return (self.held_rps, self.failed_rps) if self.held_rps and self.failed_rps else None

    @property
    def words(self) -> str:
        """The capacity in a few words."""
        if self.stop is Stop.SERVICE:
            return f"carries {self.held_rps:g} req/s, not {self.stopped_rps:g}"
        ends = {Stop.GENERATOR: "the generator gives out there", Stop.UNTRIED: "no higher rate was tried"}
        why = ends.get(self.stop, f"what was measured at {self.stopped_rps or 0:g} proves too little")
        return f"carries at least {self.held_rps:g} req/s ({why})"


def capacity(steps: Iterable[Step], refused: str = "") -> Capacity:
    """The capacity that `steps` show. `refused` is why no higher rate was asked of the generator, if that is so."""
    ordered = tuple(sorted(steps, key=lambda step: step.rate_rps))
    stopping = next((step for step in ordered if step.outcome is not Outcome.PASS), None)
    below = [step.rate_rps for step in ordered if stopping is None or step.rate_rps < stopping.rate_rps]
    if stopping is None:
        stop, reason = (Stop.GENERATOR, refused) if refused else (Stop.UNTRIED, "no higher rate was tried")
    else:
        failed = stopping.outcome is Outcome.FAIL
        stop = Stop.SERVICE if failed else Stop.UNPROVEN if stopping.valid else Stop.GENERATOR
        reason = f"at {stopping.rate_rps:g}: {stopping.reason}"
    return Capacity(
        steps=ordered,
        held_rps=max(below, default=0.0),
        stop=stop,
        reason=reason,
        stopped_rps=None if stopping is None else stopping.rate_rps,
        failed_rps=min((step.rate_rps for step in ordered if step.outcome is Outcome.FAIL), default=None),
        knee_rps=knee(ordered),
    )


def knee(steps: Iterable[Step]) -> float | None:
    """The rate from which on more load costs more than it brings: where rate / median response time is greatest.

    That quotient is Kleinrock's "power" ("Power and deterministic rules of thumb for probabilistic problems in computer
    communications", ICC 1979). It rises while response time is flat and falls once response time grows faster than the
    rate; of an M/M/1 queue it is greatest at half load, where response time is twice the idle one. It is also where a
    line from the origin touches the curve (Millsap, "Thinking clearly about performance, part 2", CACM 53(10), 2010).
    A maximum needs no threshold and no slope, so that five steps are enough and noise in the flat part moves nothing;
    the median, because the p99 of some hundred requests is too restless. None when it still rises at the highest rate,
    for then the knee lies beyond. Information, never judged.
    """
    power = [(step.rate_rps / step.p50_ms, step.rate_rps) for step in steps if step.valid and step.p50_ms]
    highest = max((rate for _, rate in power), default=0.0)
    best = max(power, default=(0.0, highest))[1]
    return best if best < highest else None


def next_rate(found: Capacity, ceiling_rps: float) -> float | None:
    """The rate at which a search goes on, at most `ceiling_rps`; None when it is at its end.

    Up by GROWTH while everything holds, then halfway between what held and what did not, until WIDTH_MAX apart.
    """
    low, high = found.held_rps, found.stopped_rps
    if not low and found.stop is not Stop.SERVICE:
        return None  # what kept the lowest rate from showing anything would keep a lower one from it too
    if high is None:
        rate = min(low * GROWTH, ceiling_rps)
        ended = rate <= low * (1 + WIDTH_MAX)
    else:
        rate = (low + high) / 2
        ended = high - low <= WIDTH_MAX * high or rate > ceiling_rps
    if ended:
        return None
    return float(math.floor(rate)) if rate >= WHOLE_RPS_MIN else round(rate, 2)


def held(plan: Plan, rows: Requests) -> tuple[Outcome, str]:
    """Whether the objectives for latency and failures held over the requests of one rate, and why or why not.

    For a PASS, p99 must be proven by the sample rule. Failures need not be, because a single rate is never held for
    long enough (the gate of availability judges them over the whole run): they only must not be more than the budget
    explains by chance if each came alone. That is stricter than the sample rule's FAIL, which allows for bursts, and
    unlike it can only get worse when more requests fail.
    """
    slo = plan.slo
    bad = np.asarray(rows.response_ms() > slo.timeout_s * 1000)
    counts = block_counts(rows, bad, rows.speak_of_the_service())
    failed, n = (int(count.sum()) for count in counts)
    failures = proportion("failed", counts, failure_budget(plan), slo.confidence, what="requests failed")
    by_chance = lower_bound(failed, n, slo.confidence) < failure_budget(plan)
    spared = failures.outcome is Outcome.UNKNOWN and by_chance
    checks = [latency("p99", rows, slo.latency_ms_p99, slo.confidence), *([] if spared else [failures])]
    outcome = worst(tuple(check.outcome for check in checks))
    return outcome, next(check.reason for check in checks if check.outcome is outcome)


def step(plan: Plan, rate_rps: float, rows: Requests, objections_to: tuple[str, ...] = ()) -> Step:
    """One rate judged by its requests; `objections_to` are those to the generator's work."""
    times_ms = rows.response_ms()[rows.speak_of_the_service()]
    p50_ms, p99_ms = (_finite(quantile_of(times_ms, share)) if len(times_ms) else None for share in (0.5, P99))
    valid = not objections_to
    outcome, reason = held(plan, rows) if valid else (Outcome.UNKNOWN, f"{BLAME}: {'; '.join(objections_to)}")
    return Step(rate_rps=rate_rps, outcome=outcome, reason=reason, valid=valid, p50_ms=p50_ms, p99_ms=p99_ms)


def measured(case: Case) -> Capacity:
    """The capacity that the ledger shows: the staircase's steps and those of the search after it.

    Without a staircase there are no steps. Needs the evidence "ledger" and "machine". Raises ValueError when a step of
    the search is missing.
    """
    ledger = case.evidence["ledger"]
    rows, climb = requests(ledger), scenario_facts(ledger, STAIRCASE)
    if not climb["phases"]:
        return capacity(())  # a search without the steps that it went on from would leave the lower rates unseen
    searched = {name for name in ledger.facts["scenarios"] if seeks_capacity(name)} - {STAIRCASE}
    expected = [search_name(number) for number in range(1, len(searched) + 1)]
    recorded = {name for name, _ in rows.phases() if seeks_capacity(name)} - {STAIRCASE}
    if not recorded == searched == set(expected):
        raise ValueError(f"steps of the search for capacity are missing: there are {', '.join(sorted(recorded))}")
    steps = [item for name in (STAIRCASE, *expected) for item in _steps(case, rows, name)]
    return capacity(steps, str(climb.get("refused", "")))


def search_name(number: int) -> str:
    """The scenario of a search's step, counted from 1."""
    return f"search-{number}"


def chart_series(found: Capacity, plan: Plan) -> dict[str, Any]:
    """What a chart of the capacity needs, in plain values."""
    names = ("rate_rps", "p50_ms", "p99_ms")
    times = [{name: _rounded(getattr(item, name)) for name in names} for item in found.steps]
    return {
        "steps": [{**drawn, "outcome": str(item.outcome)} for drawn, item in zip(times, found.steps, strict=True)],
        "held_rps": found.held_rps,
        "failed_rps": found.failed_rps,
        "knee_rps": found.knee_rps,
        "words": found.words,
        "limit_ms": plan.slo.latency_ms_p99,
    }


def _steps(case: Case, rows: Requests, scenario: str) -> Iterator[Step]:
    mine = rows.of(scenario)
    others = other_versions(case.plan, mine)
    for phase in scenario_facts(case.evidence["ledger"], scenario)["phases"]:
        name, rate_rps = str(phase["name"]), float(phase["rate_rps"])
        found = step(case.plan, rate_rps, mine.of(scenario, name), objections(case, mine, scenario, [name]))
        if others and found.valid:
            found = Step(rate_rps=rate_rps, outcome=Outcome.UNKNOWN, reason=f"{scenario}: {others}")
        yield found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
