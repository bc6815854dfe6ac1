"""Judges a run: every gate on the evidence it requires, then one decision for the stage.

Rule: pure. Whatever is missing, broken or raises is UNKNOWN with its reason, never a pass and never a crash; the same
Plan, run and evidence always give the same verdict.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness import stages
from harness.experiment_series import experiment_series
from harness.gates import all_gates
from harness.model import Case, Check, Decision, Gate, Outcome, Result, Verdict, worst
from harness.profiles import runs_catalogue
from harness.series import series
from harness.slices import read_once
from harness.stages import check_gates
from harness.summary import headline, limits_of_evidence, next_action, weakest_area

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model import Evidence
    from harness.plan_types import Declaration, Plan, Waiver

__all__ = ["RunFacts", "check_gates", "judge"]

SCHEMA = 1
GO, FAILED, NOT_KNOWN = 0, 1, 3
"""Exit codes of a verdict; 2, between them, is for input that can't be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What the judge must know of a run beside its evidence; expiry is judged on the date of `as_of` (ISO)."""

    run_id: str
    as_of: str
    profile: str
    subject: str
    reproduce: str
    interrupted: bool = False


def judge(
    plan: Plan, run: RunFacts, evidence: Mapping[str, Evidence], gates: Mapping[str, Gate] | None = None
) -> Verdict:
    """The verdict of `run`. `gates` stands in for the gates of the package in tests; an empty set is an error."""
    known, evidence = all_gates() if gates is None else gates, _read_ledger(evidence)
    if not known:
        raise ValueError("no gates to judge by: without a gate nothing is proven")
    today = dt.datetime.fromisoformat(run.as_of).date()
    names = stages.selected(plan, runs_catalogue=runs_catalogue(run.profile))
    results = tuple(_waive(_result(known.get(name), name, plan, run, evidence), plan, today) for name in names)
    not_judged = tuple(_left_out(gate, plan, run) for name, gate in sorted(known.items()) if name not in names)
    unjudged = [stages.name_not_judged(item["gate"], plan, run.profile) for item in not_judged]
    blocking = [result for result in results if result.blocks]
    environment = evidence["environment"].facts if "environment" in evidence else {}
    return Verdict(
        schema=SCHEMA,
        run_id=run.run_id,
        decision=Decision.NO_GO if blocking or run.interrupted else Decision.GO,
        headline=headline(plan.launch.stage, results, unjudged, interrupted=run.interrupted),
        stage=plan.launch.stage,
        exit_code=_exit_code(blocking, interrupted=run.interrupted),
        as_of=run.as_of,
        profile=run.profile,
        service={"name": plan.service.name, "owner": plan.service.owner, "description": plan.service.description},
        subject=run.subject,
        results=results,
        not_judged=not_judged,
        waivers=tuple(_waiver(item, today) for item in plan.waivers),
        declarations=tuple(_declaration(name, item, today) for name, item in sorted(plan.declarations.items())),
        weakest_area=weakest_area(results),
        next_action=next_action(results, interrupted=run.interrupted),
        limits_of_evidence=limits_of_evidence(plan, environment, _origin(evidence)),
        environment=environment,
        series=_series(evidence, plan, results),
    )


def _read_ledger(evidence: Mapping[str, Evidence]) -> Mapping[str, Evidence]:
    """The ledger read once for all gates; one that can't be read stays as it is, so that each gate says why."""
    try:
        return {**evidence, "ledger": read_once(evidence["ledger"])}
    except Exception:  # noqa: BLE001 - whatever is wrong with it, each gate that reads it will be UNKNOWN for that
        return evidence


def _exit_code(blocking: list[Result], *, interrupted: bool) -> int:
    if any(result.outcome is Outcome.FAIL for result in blocking):
        return FAILED
    return NOT_KNOWN if blocking or interrupted else GO


def _origin(evidence: Mapping[str, Evidence]) -> str:
    """Where the requests of the load came from, "" where nothing says."""
    return str(evidence["ledger"].facts.get("requests", "")) if "ledger" in evidence else ""


def _result(gate: Gate | None, name: str, plan: Plan, run: RunFacts, evidence: Mapping[str, Evidence]) -> Result:
    """One gate's result, on no more than the evidence it requires."""
    gate = _not_built(name) if gate is None else gate
    checks = _checks(gate, plan, run, evidence)
    outcome = worst(tuple(check.outcome for check in checks))
    reasons = [check.reason for check in checks if check.outcome is outcome]
    return Result(
        gate=gate.id,
        area=gate.area,
        title=gate.title if outcome is Outcome.PASS else gate.failure_title if outcome is Outcome.FAIL else gate.title,
        why=gate.why,
        outcome=outcome,
        reason=reasons[0],
        checks=checks,
        evidence=gate.requires,
        advice=gate.advice,
        reproduce=run.reproduce,
        required=True,
    )


def _checks(gate: Gate, plan: Plan, run: RunFacts, evidence: Mapping[str, Evidence]) -> tuple[Check, ...]:
    if missing := _missing(gate, run, evidence):
        return (Check(name="evidence", outcome=Outcome.UNKNOWN, reason=missing),)
    try:
        checks = tuple(gate.judge(Case(plan, {name: evidence[name] for name in gate.requires})))
        worst(tuple(check.outcome for check in checks))  # raises when there is none
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a gate is UNKNOWN, never a crash or a pass
        reason = f"could not be judged ({type(error).__name__}: {error})"
        return (Check(name="gate", outcome=Outcome.UNKNOWN, reason=reason),)
    return checks


def _missing(gate: Gate, run: RunFacts, evidence: Mapping[str, Evidence]) -> str:
    """Why the evidence can't be judged, for the first that can't; empty when all can."""
    for name in gate.requires:
        item = evidence.get(name)
        if item is None:
            return f"the evidence “{name}” was not collected"
        if item.error is not None:
            return f"the evidence “{name}” could not be used: {item.error}"
        if item.subject != run.subject:
            return f"the evidence “{name}” is of {item.subject or 'nothing named'}, not of {run.subject}"
    return ""


def _not_built(name: str) -> Gate:
    area, title = stages.NOT_BUILT.get(name, ("Operations", name))
    reason = "not built yet in this version"
    return Gate(
        id=name,
        area=area,
        title=title,
        failure_title=title,
        why="The stage requires it.",
        advice="Launch at an earlier stage, or have its owner waive it by name and date.",
        requires=(),
        judge=lambda _: (Check(name="gate", outcome=Outcome.UNKNOWN, reason=reason),),
    )


def _waive(result: Result, plan: Plan, today: dt.date) -> Result:
    """The result with the Plan's waiver, if one is in date; one out of date is told and changes nothing."""
    if result.outcome is Outcome.PASS:
        return result
    waivers = [item for item in plan.waivers if item.gate == result.gate]
    for item in waivers:
        if item.granted <= today <= item.expires:
            return replace(result, waiver=f"{item.owner} until {item.expires}: {item.reason}")
    notes = [f"; the waiver of {item.owner} {_out_of_date(item, today)}" for item in waivers]
    return replace(result, reason=result.reason + "".join(notes))


def _out_of_date(item: Waiver, today: dt.date) -> str:
    return f"expired on {item.expires}" if item.expires < today else f"begins only on {item.granted}"


def _left_out(gate: Gate, plan: Plan, run: RunFacts) -> dict[str, str]:
    reason = stages.why_not_judged(gate.id, plan, run.profile)
    return {"gate": gate.id, "title": gate.title, "reason": reason}


def _waiver(item: Waiver, today: dt.date) -> dict[str, str]:
    state = "in date" if item.granted <= today <= item.expires else _out_of_date(item, today)
    dates = {"granted": item.granted.isoformat(), "expires": item.expires.isoformat()}
    return {"gate": item.gate, "owner": item.owner, "reason": item.reason, "state": state} | dates


def _declaration(name: str, item: Declaration, today: dt.date) -> dict[str, str]:
    state = "in date" if item.declared <= today <= item.expires else "out of date"
    dates = {"declared": item.declared.isoformat(), "expires": item.expires.isoformat()}
    return {"name": name, "statement": item.statement, "owner": item.owner, "state": state} | dates


def _series(evidence: Mapping[str, Evidence], plan: Plan, results: tuple[Result, ...]) -> Mapping[str, Any]:
    try:
        return {**series(evidence, plan), "experiments": experiment_series(Case(plan, evidence), results)}
    except Exception as error:  # noqa: BLE001 - broken evidence leaves a report without charts, with the reason
        return {"error": f"no charts: {type(error).__name__}: {error}"}
