"""Breaks the target on purpose: a zone's crash, the switch of versions, and every other experiment of the Plan.

Rule: one experiment after the other, each under a load of its own; one that fails stops no other, and is on record
with what became of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.collectors import CollectError, Collector, Context
from harness.collectors.breaking import RESTART_S, Trial, run_trial
from harness.model import Evidence
from harness.plan_experiments import ROLLBACK, ZONE_CRASH

if TYPE_CHECKING:
    from harness.plan_types import Plan
    from harness.profiles import Profile


def collect_zone_crash(context: Context) -> tuple[Evidence, ...]:
    """Crash the second zone of the Plan under the launch rate."""
    trial = Trial(name=ZONE_CRASH, pauses_s=_fault_pauses_s(context.profile))
    return (_own(context, trial, context.plan.target.zones[1]),)


def collect_rollback(context: Context) -> tuple[Evidence, ...]:
    """Switch all traffic to the candidate and back under the launch rate."""
    profile = context.profile
    pauses_s = (profile.switch_before_s, profile.switch_hold_s, profile.switch_after_s)
    return (_own(context, Trial(name=ROLLBACK, pauses_s=pauses_s, restart_s=0), ""),)


def collect_catalogue(context: Context) -> tuple[Evidence, ...]:
    """Run every other experiment of the Plan as often as it asks."""
    plan, profile = context.plan, context.profile
    if not plan.catalogue:
        raise CollectError("the Plan names no experiment of the catalogue")
    if not profile.catalogue:
        raise CollectError(f"profile {profile.name} leaves the catalogue out")
    _ = context.breakable
    pauses_s = _fault_pauses_s(profile)
    runs = [
        _recorded(context, Trial(name=name, repeat=repeat, pauses_s=pauses_s, restart_s=_restart_s(plan)))
        for name in plan.catalogue
        for repeat in range(1, plan.experiments[name].repeats + 1)
    ]
    subject = context.run.info.subject
    return (Evidence(id="experiments", collector="chaos", subject=subject, facts={"runs": runs}),)


def _own(context: Context, trial: Trial, target_zone: str) -> Evidence:
    """The evidence of an experiment with a gate of its own. Raises CollectError."""
    if trial.name not in context.plan.experiments:
        raise CollectError(f"the Plan names no experiment {trial.name}; add [experiments.{trial.name}] to judge it")
    facts = _tried(context, trial)
    if facts["journal"] is None:
        raise CollectError(facts["error"])
    facts["target_zone"] = target_zone
    return Evidence(id=trial.name, collector="chaos", subject=context.run.info.subject, facts=facts)


def _recorded(context: Context, trial: Trial) -> dict[str, Any]:
    """What became of one run of the catalogue; what prevented it is on record too."""
    try:
        return _tried(context, trial)
    except CollectError as error:
        context.load_errors.setdefault(trial.scenario, str(error))
        named = {"experiment": trial.name, "repeat": trial.repeat, "scenario": trial.scenario}
        return {**named, "journal": None, "error": str(error)}


def _tried(context: Context, trial: Trial) -> dict[str, Any]:
    title = f"Chaos: {trial.scenario.replace('_', ' ')} under load"
    context.progress.step(title, trial.length_s + 3)
    return run_trial(context, trial)


def _restart_s(plan: Plan) -> float:
    """How long making and undoing a fault may take; on Google Cloud each is an operation and a reading of its own."""
    return RESTART_S if plan.target.gcp is None else 4 * plan.target.gcp.limit_s


def _fault_pauses_s(profile: Profile) -> tuple[float, float, float]:
    return profile.fault_before_s, profile.fault_hold_s, profile.fault_after_s


COLLECTORS = (
    Collector(ids=(ZONE_CRASH,), order=60, collect=collect_zone_crash, needs_control=True),
    Collector(ids=(ROLLBACK,), order=70, collect=collect_rollback, needs_control=True),
    Collector(ids=("experiments",), order=80, collect=collect_catalogue, needs_control=True, faults_only=True),
)
