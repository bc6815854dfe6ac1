"""Says what the latest drill on record is worth for a launch: in date, of this version, of this definition, and passed.

Rule: pure. The drill is judged anew, from its own evidence, by the targets that the Plan has now. What is overdue, was
not finished or was changed proves nothing, and never lets an older drill speak in its place.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.checks import unknown
from harness.drill_checks import judge_drill
from harness.model import Check, Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.plan_types import Plan

WHOLE = "whole"


def standing(name: str, plan: Plan, drills: Evidence) -> tuple[Check, ...]:
    """The checks of the latest drill `name`, each called by the drill's name, or one UNKNOWN that says what to run."""
    targets = plan.drills.get(name)  # type: ignore[call-overload]  # the keys are the names
    if targets is None:
        return (unknown(name, f"the Plan names no drill {name}; add [drills.{name}] with its rto_s_max"),)
    found = drills.facts["drills"][name]
    latest = found["latest"]
    if latest is None:
        return (unknown(name, f"overdue: run gonogo drill {name} ({_none(found['others'])})"),)
    if (latest["subject"], latest["definition"]) != (drills.subject, found["definition"]) and latest["state"] == WHOLE:
        return (unknown(name, f"overdue: run gonogo drill {name} (the latest is of another version or definition)"),)
    age = dt.datetime.fromisoformat(drills.facts["as_of"]) - dt.datetime.fromisoformat(latest["as_of"])
    if not dt.timedelta(0) <= age <= dt.timedelta(days=targets.expires_days):
        told = f"the latest, {latest['id']}, is {age.days} days old; {targets.expires_days:g} are allowed"
        return (unknown(name, f"overdue: run gonogo drill {name} ({told})"),)
    if latest["state"] != WHOLE:
        return (unknown(name, f"the drill {latest['id']} proves nothing: {latest['why']}; run gonogo drill {name}"),)
    checks = judge_drill(name, plan, targets, _evidence(name, latest["documents"], drills))
    return tuple(replace(item, name=f"{name}_{item.name}", reason=f"{name}: {item.reason}") for item in checks)


def _none(others: Mapping[str, int]) -> str:
    """Why there is none that counts."""
    said = [f"{count} of another {what}" for what, count in sorted(others.items()) if count]
    return "none on record" + (f" but {' and '.join(said)}" if said else "")


def _evidence(name: str, documents: Mapping[str, Any], drills: Evidence) -> dict[str, Evidence]:
    """The drill's own evidence, as it lay in its folder."""
    return {
        evidence_id: Evidence(
            id=evidence_id,
            collector=item["collector"],
            subject=drills.subject,
            facts=item["facts"],
            tables={table: drills.tables[f"{name}.{evidence_id}.{table}"] for table in item["tables"]},
            error=item["error"],
        )
        for evidence_id, item in documents.items()
    }
