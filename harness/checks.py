"""Builds checks: the comparisons that gates are made of, with their reasons in plain words.

Rule: pure. A gate decides what to compare; how a comparison is judged and told is decided here, once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.fault_windows import outside, switched_window
from harness.model import Case, Check, Outcome
from harness.plan_experiments import ROLLBACK
from harness.slices import Requests, block_counts, events
from harness.stats import Counts, Reals, Ruling, judge_proportion, quantile, quantile_interval
from harness.validity import BLAME, LATENCY_BUDGET, objections, other_versions

if TYPE_CHECKING:
    from collections.abc import Sequence

P99 = 1 - LATENCY_BUDGET
SEVERITY = (Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL)


def unknown(name: str, reason: str) -> Check:
    """A check that could not be made."""
    return Check(name=name, outcome=Outcome.UNKNOWN, reason=reason)


def worst_check(checks: Sequence[Check]) -> Check:
    """The worst of several: by outcome, then by how far what was observed is on the bad side."""

    def badness(check: Check) -> tuple[int, float]:
        if check.observed is None:
            return SEVERITY.index(check.outcome), float("inf")
        return SEVERITY.index(check.outcome), -check.observed if check.comparison == "≥" else check.observed

    return max(checks, key=badness)


def blame_generator(name: str, objections: Sequence[str]) -> tuple[Check, ...]:
    """One UNKNOWN naming what the generator did wrong."""
    return (unknown(name, f"{BLAME}: {'; '.join(objections)}"),)


def inadmissible(
    name: str,
    case: Case,
    ledger: Requests,
    scenario: str,
    phases: Sequence[str] | None = None,
    *,
    budget: float = LATENCY_BUDGET,
) -> tuple[Check, ...]:
    """One UNKNOWN when the load of `scenario` can't carry a claim about the version to launch; empty when it can.

    In a rollback the candidate answers too, by design; its gate reads the versions itself. So may it in the fault's
    window of an experiment of the catalogue that breaks something else than zones. The arguments are those of
    `validity.objections`.
    """
    if found := objections(case, ledger, scenario, phases, budget=budget):
        return blame_generator(name, found)
    rows = ledger.of(scenario)
    if scenario.partition("#")[0] in case.plan.catalogue:
        windows = switched_window(events(case.evidence["timeline"]), scenario, case.plan.target.zones)
        rows = rows.where(outside(rows.intended_ns, windows))
    if scenario != ROLLBACK and (others := other_versions(case.plan, rows)):
        return (unknown(name, f"{scenario}: {others}"),)
    return ()


def latency(name: str, rows: Requests, limit_ms: float, confidence: float) -> Check:
    """p99 of response time against its limit; a request without a good answer is over any limit."""
    served, times_ms = rows.speak_of_the_service(), rows.response_ms()
    blocks = block_counts(rows, times_ms > limit_ms, served)
    return latency_of(name, times_ms[served], blocks, limit_ms, confidence)


def latency_of(name: str, times_ms: Reals, blocks: tuple[Counts, Counts], limit_ms: float, confidence: float) -> Check:
    """p99 of `times_ms` against its limit, judged on the counts over the limit in `blocks`."""
    ruling = judge_proportion(*blocks, LATENCY_BUDGET, confidence)
    times_ms = np.sort(times_ms)
    p99_ms = quantile(times_ms, P99) if len(times_ms) else math.inf
    words = f"{_share(ruling.ratio)} of {ruling.n:,} took longer than {limit_ms:g} ms or got no good answer"
    if ruling.outcome is Outcome.PASS:
        words = f"99 % of {ruling.n:,} were answered within {_brief(p99_ms)} ms; {limit_ms:g} ms allowed"
    return Check(
        name=name,
        outcome=ruling.outcome,
        reason=words + shortage(ruling),
        observed=p99_ms if math.isfinite(p99_ms) else None,
        limit=float(limit_ms),
        unit="ms",
        interval=quantile_interval(times_ms, P99, confidence, ruling.design_effect),
        n=ruling.n,
    )


def proportion(name: str, blocks: tuple[Counts, Counts], ratio_max: float, confidence: float, *, what: str) -> Check:
    """The share of bad ones against the share allowed; `what` says what a bad one is, as in "requests failed".

    The interval is a pair of exact one-sided bounds, each at `confidence`, on counts divided by the design effect: PASS
    has its upper end at most at the limit, FAIL its lower end at least there.
    """
    ruling = judge_proportion(*blocks, ratio_max, confidence)
    return Check(
        name=name,
        outcome=ruling.outcome,
        reason=f"{ruling.over:,} of {ruling.n:,} {what}; {_share(ratio_max)} allowed" + shortage(ruling),
        observed=ruling.ratio if ruling.n else None,
        limit=ratio_max,
        unit="ratio",
        interval=(ruling.lower, ruling.upper),
        n=ruling.n,
    )


def limited(name: str, observed: float, limit: float, unit: str, *, reason: str, n: int | None = None) -> Check:
    """A plain comparison: at most the limit passes, more fails. NaN fails."""
    outcome = Outcome.PASS if observed <= limit else Outcome.FAIL
    value = float(observed) if math.isfinite(observed) else None
    return Check(name=name, outcome=outcome, reason=reason, observed=value, limit=float(limit), unit=unit, n=n)


def shortage(ruling: Ruling) -> str:
    """What an UNKNOWN lacks, to be added to its reason."""
    if ruling.outcome is not Outcome.UNKNOWN:
        return ""
    return f": too few to be sure; at least {ruling.needed:,} more are needed, none of them bad"


def experiment_limit(case: Case, name: str, key: str) -> float:
    """A limit of the Plan's experiment `name`; raises ValueError when the Plan sets none."""
    experiment = case.plan.experiments.get(name)
    limit = None if experiment is None else getattr(experiment, key)
    if limit is None:
        raise ValueError(f"the Plan sets no experiments.{name}.{key}")
    return float(limit)


def _brief(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def _share(ratio: float) -> str:
    return f"{100 * ratio:.3g} %"
