"""Judges one disaster-recovery drill on its evidence: was it one, was what came back right, how soon, what is missing.

Rule: pure, and the same for whoever asks, the drill itself or a launch that relies on it later. Lateness of the
generator and other work on the machine only lengthen a recovery: a PASS stands in spite of them, a FAIL of the time
does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.checks import limited, unknown, worst_check
from harness.drill_measures import (
    LOADS,
    Missing,
    Moments,
    baseline,
    excuse,
    incomplete,
    load_of,
    missing,
    moments,
    other_rate,
    watched,
)
from harness.fault_checks import ROUNDING_S, idle_before
from harness.journal import deviated
from harness.journal import objections as journal_objections
from harness.model import Case, Check, Evidence, Outcome
from harness.recovery import switch_s, ttr_s
from harness.slices import SECOND_NS, SETTLE_S, Requests, events, first_event, requests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.plan_drills import Drill
    from harness.plan_types import Plan

RESTORING = ("data_loss", "bad_backup", "region_loss")
"""Drills after which the service must come back from a backup."""
GOLDEN_ROWS_MIN = 512


@dataclass(frozen=True, slots=True)
class _Scene:
    """What is judged: a drill by name, its targets, the rows of its load, when the disaster was, all evidence."""

    name: str
    plan: Plan
    targets: Drill
    rows: Requests
    at: Moments
    evidence: Mapping[str, Evidence]


def judge_drill(name: str, plan: Plan, targets: Drill, evidence: Mapping[str, Evidence]) -> tuple[Check, ...]:
    """Every check on the drill `name`, at least one; what can't be judged is UNKNOWN, with the reason."""
    for item in evidence.values():
        if item.error is not None:
            return (unknown(item.id, f"the evidence “{item.id}” could not be used: {item.error}"),)
    try:
        return _judged(name, plan, targets, evidence)
    except Exception as error:  # noqa: BLE001 - evidence that lacks something, or is broken, proves nothing
        return (unknown("evidence", f"could not be judged ({type(error).__name__}: {error})"),)


def _judged(name: str, plan: Plan, targets: Drill, evidence: Mapping[str, Evidence]) -> tuple[Check, ...]:
    at = moments(name, events(evidence["timeline"]))
    if isinstance(at, str):
        return (unknown("disaster", at),)
    if undone := _undone(name, plan, evidence):
        return (unknown("disaster", undone),)
    all_rows = requests(evidence["ledger"]).of(load_of(name))
    rows = watched(all_rows, events(evidence["timeline"]), load_of(name))
    scene = _Scene(name, plan, targets, rows, at, evidence)
    if idle := other_rate(plan, evidence["ledger"], load_of(name)) or baseline(scene.rows, at) or _idle(scene):
        return (unknown("baseline", idle),)
    restored = _restored(scene) if name in RESTORING else ()
    if any(check.name in {"restore", "start"} and check.outcome is Outcome.FAIL for check in restored):
        return (*restored, _never_back(targets), _rpo(scene))
    if broken := incomplete(evidence["ledger"], all_rows, scene.rows, load_of(name)):
        return (*restored, unknown("load", broken))
    return (*restored, _rto(scene), _rpo(scene))


def _undone(name: str, plan: Plan, evidence: Mapping[str, Evidence]) -> str:
    """Why the experiment that a drill rehearses is not on record as done; empty when it is, and for other drills."""
    if name not in LOADS:
        return ""
    facts = evidence[LOADS[name]].facts
    found = journal_objections(plan, facts, LOADS[name])
    return "; ".join(found) or ("the steady state was not there again after it" if deviated(facts) else "")


def _idle(scene: _Scene) -> str:
    """Why losing a zone tested nothing: it was not in use; empty when it was, and where no single zone is lost."""
    if scene.name != "zone_failure":
        return ""
    case, zone = Case(scene.plan, scene.evidence), str(scene.evidence[LOADS[scene.name]].facts["target_zone"])
    return idle_before(case, scene.rows, zone, scene.at.requested_ns)


def _restored(scene: _Scene) -> tuple[Check, ...]:
    drill = scene.evidence["drill"]
    facts = drill.facts["restore"]
    refused: Sequence[Mapping[str, str]] = facts["refused"]
    told = f"; refused: {', '.join(item['backup'] for item in refused)}" if refused else ""
    spoiled = _spoiled(facts) if scene.name == "bad_backup" else ()
    if not facts["backup"]:
        reason = f"nothing to restore from: {facts['why']}{told}"
        return (*spoiled, Check(name="restore", outcome=Outcome.FAIL, reason=reason))
    restore = Check(name="restore", outcome=Outcome.PASS, reason=f"restored from {facts['backup']}{told}")
    found = (*spoiled, restore, _digest(facts, drill.subject))
    if facts["start_error"]:
        reason = f"the service did not start from what was restored: {facts['start_error'].splitlines()[0]}"
        return (*found, Check(name="start", outcome=Outcome.FAIL, reason=reason))
    return (*found, _golden(scene.plan, scene.evidence["quality"]))


def _spoiled(facts: Mapping[str, Any]) -> tuple[Check, ...]:
    """A byte of the newest backup was flipped: it must be refused, by its digest, and leave nothing behind."""
    name = facts["spoiled"]
    if not name:
        return (unknown("refusal", "no backup was spoiled, so none had to be refused"),)
    by_digest = [item for item in facts["refused"] if item["backup"] == name and "SHA-256" in item["why"]]
    if facts["backup"] == name or not by_digest or facts["left_behind"]:
        reason = f"the backup {name}, in which a byte was flipped, was not refused, or left files behind"
        return (Check(name="refusal", outcome=Outcome.FAIL, reason=reason),)
    return (Check(name="refusal", outcome=Outcome.PASS, reason=f"refused: {by_digest[0]['why']}"),)


def _digest(facts: Mapping[str, Any], subject: str) -> Check:
    same = facts["subject"] == subject
    reason = f"the registry holds {facts['subject']}" + ("" if same else f"; {subject} was lost")
    return Check(name="digest", outcome=Outcome.PASS if same else Outcome.FAIL, reason=reason)


def _golden(plan: Plan, quality: Evidence) -> Check:
    """The golden answers, asked of the running service once it was back; a row without an answer is off."""
    table, limit = quality.tables["answers"], plan.quality.answer_tolerance
    others = sorted(set(table.loc[table["observed"].notna(), "version"]) - {plan.target.version})
    if others:
        reason = f"version {', '.join(others)} answered after the restore, not {plan.target.version}"
        return Check(name="golden", outcome=Outcome.FAIL, reason=reason)
    if table["row"].nunique() < GOLDEN_ROWS_MIN:
        return unknown("golden", f"only {table['row'].nunique()} golden rows were asked; {GOLDEN_ROWS_MIN} are needed")
    off = (table["observed"].astype(float) - table["expected"].astype(float)).abs()
    worst = float("nan") if off.isna().any() else float(off.max())
    words = (
        f"{int(off.isna().sum())} golden rows went unanswered" if off.isna().any() else f"off by {worst:.2g} at most"
    )
    reason = f"golden answers after the restore: {words}; {limit:g} allowed"
    return limited("golden", worst, limit, "probability", reason=reason, n=len(table))


def _never_back(targets: Drill) -> Check:
    reason = f"the service did not come back; {targets.rto_s_max:g} s allowed"
    return Check(name="rto", outcome=Outcome.FAIL, reason=reason, limit=float(targets.rto_s_max), unit="s")


def _rto(scene: _Scene) -> Check:
    check = _switched_back(scene) if scene.name == "rollback" else _recovered(scene)
    if check.outcome is Outcome.FAIL and (why := excuse(scene.plan, scene.rows, scene.evidence["machine"])):
        return replace(check, outcome=Outcome.UNKNOWN, reason=f"{check.reason}; but {why}")
    return check


def _recovered(scene: _Scene) -> Check:
    """From the disaster; and where a zone comes back, from its return too, which may disturb as well: the worse."""
    at = scene.at
    checks = [_met_again(scene, (at.requested_ns, at.in_place_ns), "the disaster")]
    if at.removed_ns is not None:
        checks.append(_met_again(scene, (at.removed_ns, at.removed_ns), "the zone's return"))
    return worst_check(checks)


def _met_again(scene: _Scene, from_ns: tuple[float, float], since: str) -> Check:
    """`from_ns`: when the disturbance was asked for, and when it was there."""
    limit_s, rows = scene.targets.rto_s_max, scene.rows
    found = ttr_s(rows, *from_ns, scene.plan)
    if found is not None:
        reason = (
            f"RTO {found:.1f} s: the SLO was met again after {since}, and for {SETTLE_S:g} s on; {limit_s:g} s allowed"
        )
        return limited("rto", found, limit_s, "s", reason=reason)
    watched_s, seen_s = ((float(stamp) - from_ns[0]) / SECOND_NS for stamp in (rows.intended_ns.max(), from_ns[1]))
    if watched_s < max(limit_s, seen_s + ROUNDING_S) + SETTLE_S:
        return unknown("rto", f"the load went on for only {watched_s:.1f} s after {since}")
    reason = f"the SLO was not met again in the {watched_s:.0f} s of load after {since}; {limit_s:g} s allowed"
    return Check(name="rto", outcome=Outcome.FAIL, reason=reason, limit=float(limit_s), unit="s")


def _switched_back(scene: _Scene) -> Check:
    """Route replaced → only the version to launch answers; what led to the decision is no matter of the service."""
    plan, limit_s = scene.plan, scene.targets.rto_s_max
    back = first_event(events(scene.evidence["timeline"]), "rolled_back", "primary", scene.at.in_place_ns)
    if back is None:
        return unknown("rto", "not rolled back: nothing on the timeline says that the route was restored")
    found = switch_s(scene.rows, back, float("inf"), plan.target.version, plan.slo.timeout_s)
    if found is None:
        reason = f"version {plan.target.version} never answered alone again; {limit_s:g} s allowed"
        return Check(name="rto", outcome=Outcome.FAIL, reason=reason, limit=float(limit_s), unit="s")
    reason = f"RTO {found:.2f} s: only version {plan.target.version} answered again; {limit_s:g} s allowed"
    return limited("rto", found, limit_s, "s", reason=reason)


def _rpo(scene: _Scene) -> Check:
    found: Missing = missing(scene.rows, scene.evidence["drill"], scene.at)
    if not found.acknowledged:
        return unknown("rpo", "no request was acknowledged, so nothing could be lost")
    limit_s = scene.targets.rpo_s_max
    words = f"{found.missing:,} of {found.acknowledged:,} acknowledged requests are missing from the journal"
    if found.since:
        reason = f"RPO not met: {words}, {found.since:,} of them acknowledged after the disaster"
        return Check(name="rpo", outcome=Outcome.FAIL, reason=reason, limit=limit_s, unit="s", n=found.acknowledged)
    reason = f"RPO {found.age_s:.1f} s: {words}; {limit_s:g} s allowed"
    return limited("rpo", found.age_s, limit_s, "s", reason=reason, n=found.acknowledged)
