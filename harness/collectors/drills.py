"""Takes over the latest drill of each kind that the Plan wants: its evidence, as it was sealed.

Rule: digests are checked before anything is believed, and everything that a verdict needs is copied, so that the run
stands alone. A drill of another version or definition is another drill; one that was not finished or was changed is
told as such, and stands before every older one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.collectors import Collector, Context
from harness.drill_definition import definition
from harness.drill_standing import WHOLE
from harness.model import Evidence, Stage
from harness.plan import PlanError
from harness.plan_drills import DEFAULTS
from harness.stages import DRILLS as GATE
from harness.stages import selected
from harness.store import RunError, is_sealed, load_run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.store import LoadedRun

DRILLS = "drills"
"""Name of the folder of drills, beside the folder of runs."""


def collect(context: Context) -> tuple[Evidence, ...]:
    """One document with the latest drill of each kind; none where neither the Plan nor the stage wants any."""
    plan = context.plan
    if GATE not in selected(plan, runs_catalogue=context.profile.catalogue):
        return ()
    names = DEFAULTS if plan.launch.stage is Stage.GA else plan.drills
    context.progress.step("Drills: the latest on record", 0)
    root, subject = context.run.folder.parent.parent / DRILLS, context.run.info.subject
    found: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    for name in names:
        wanted = definition(name, plan)
        latest, others, evidence = _latest(root, name, subject, wanted)
        found[name] = {"definition": wanted, "latest": latest, "others": others}
        tables |= {
            f"{name}.{evidence_id}.{table}": content
            for evidence_id, item in evidence.items()
            for table, content in item.tables.items()
        }
    facts = {"as_of": context.run.info.as_of, "drills": found}
    return (Evidence(id="drills", collector="drills", subject=subject, facts=facts, tables=tables),)


def _latest(
    root: Path, name: str, subject: str, wanted: str
) -> tuple[dict[str, Any] | None, dict[str, int], Mapping[str, Evidence]]:
    """The newest drill that can speak about this version and definition, how many can't, and its evidence."""
    others = {"version": 0, "definition": 0}
    for folder in sorted(root.glob(f"{name}-*"), reverse=True):
        try:
            run = load_run(folder)
        except (RunError, PlanError) as error:
            return _told(folder, "damaged", str(error)), others, {}
        if run.info.id != folder.name:
            return _told(folder, "damaged", f"it is a copy of {run.info.id}"), others, {}
        if run.info.subject != subject:
            others["version"] += 1
            continue
        if not is_sealed(folder):
            return _told(folder, "unfinished", "it was not finished", run), others, {}
        if changed := [item.error or item.id for item in run.evidence.values() if item.subject != subject]:
            return _told(folder, "damaged", f"its evidence was changed: {changed[0]}", run), others, {}
        stated = run.evidence["drill"].facts if "drill" in run.evidence else {}
        if (stated.get("name"), stated.get("definition")) != (name, wanted):
            others["definition"] += 1
            continue
        return _told(folder, WHOLE, "", run) | _documents(run, wanted), others, run.evidence
    return None, others, {}


def _told(folder: Path, state: str, why: str, run: LoadedRun | None = None) -> dict[str, Any]:
    """What is to be said of a drill on record. One whose time can't be read is as old as its name says."""
    stamp = folder.name.split("-")[-2] if folder.name.count("-") >= 2 else ""  # noqa: PLR2004 - NAME-TIME-RANDOM
    return {
        "id": folder.name,
        "as_of": run.info.as_of if run else stamp,
        "subject": run.info.subject if run else "",
        "definition": "",
        "state": state,
        "why": why,
        "documents": {},
    }


def _documents(run: LoadedRun, wanted: str) -> dict[str, Any]:
    documents = {
        evidence_id: {
            "collector": item.collector,
            "facts": dict(item.facts),
            "tables": sorted(item.tables),
            "error": item.error,
        }
        for evidence_id, item in run.evidence.items()
    }
    return {"definition": wanted, "documents": documents}


COLLECTORS = (Collector(ids=("drills",), order=16, collect=collect, phase="before"),)
