"""Which gates each stage of a launch requires; fixed here, in the product, so that no Plan can leave one out unseen.

Rule: pure data. A gate may be required before it is built: then it is UNKNOWN, and the stage can't be reached by
accident.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Stage

if TYPE_CHECKING:
    from collections.abc import Collection

    from harness.plan_types import Plan

_LOAD = ("load_generator", "sustained_latency", "availability", "spike_latency", "capacity")
_INTERNAL = (
    "baseline_latency",
    "model_quality",
    *_LOAD,
    "first_attempts",
    "zone_failure",
    "rollback",
    "shadow_agreement",
)
_BETA = (*_INTERNAL, "security", "canary", "alerting")
_GA = (*_BETA, "disaster_recovery", "soak", "cost", "declarations")

REQUIRED: dict[Stage, tuple[str, ...]] = {
    Stage.LOAD: _LOAD,
    Stage.INTERNAL: _INTERNAL,
    Stage.BETA: _BETA,
    Stage.GA: _GA,
}

NOT_BUILT: dict[str, tuple[str, str]] = {
    "security": ("Operations", "Only who may call it can, and limits hold"),
    "canary": ("Release", "A canary stops a bad version by itself"),
    "alerting": ("Operations", "Alerts fire when they must"),
    "soak": ("Testing", "It runs for hours without wearing out"),
    "cost": ("Reality check", "What it costs is known and accepted"),
    "declarations": ("Reality check", "People have stated what only they can"),
}
"""Area and title of the gates that a stage requires and this version has not: each is UNKNOWN."""


CATALOGUE = "fault_tolerance"
"""Judged whenever the Plan names experiments of the catalogue and the profile runs them; no stage requires it."""
DRILLS = "disaster_recovery"
"""Judged whenever the Plan names drills; the later stages require it."""


def selected(plan: Plan, *, runs_catalogue: bool) -> tuple[str, ...]:
    """The gates that decide: the stage's own, then what the Plan adds."""
    named = (*((CATALOGUE,) if plan.catalogue and runs_catalogue else ()), *((DRILLS,) if plan.drills else ()))
    return tuple(dict.fromkeys((*REQUIRED[plan.launch.stage], *(plan.launch.gates or ()), *named)))


def why_not_judged(gate: str, plan: Plan, profile: str) -> str:
    """Why a gate that was not selected was not."""
    if gate == CATALOGUE and plan.catalogue:
        return f"profile {profile} leaves the catalogue of experiments out"
    if gate == CATALOGUE:
        return "the Plan names no experiment of the catalogue"
    if gate == DRILLS:
        return f"the Plan names no drill, and stage {plan.launch.stage} does not require it"
    return f"stage {plan.launch.stage} does not require it"


def name_not_judged(gate: str, plan: Plan, profile: str) -> str:
    """What a headline calls a gate that was not selected: what the profile left out is no matter of the stage."""
    return f"the catalogue (profile {profile})" if gate == CATALOGUE and plan.catalogue else gate


def check_gates(plan: Plan, known: Collection[str]) -> tuple[str, ...]:
    """What is wrong with the Plan's choice of gates and its waivers, one message a mistake; empty when nothing is.

    `known` are the ids of the gates that exist. A Plan that lists gates must list the stage's own too; one that it
    leaves out needs a waiver, and is judged and shown nevertheless.
    """
    required, waived = REQUIRED[plan.launch.stage], {waiver.gate for waiver in plan.waivers}
    all_known = {*known, *required}
    found = [f"launch.gates: there is no gate {name!r}" for name in plan.launch.gates or () if name not in all_known]
    found += [f"waivers: there is no gate {name!r}" for name in sorted(waived) if name not in {*all_known, *NOT_BUILT}]
    if plan.launch.gates is not None:
        left_out = [name for name in required if name not in plan.launch.gates and name not in waived]
        found += [f"launch.gates: stage {plan.launch.stage} requires {name!r}; add it or waive it" for name in left_out]
    return tuple(found)
