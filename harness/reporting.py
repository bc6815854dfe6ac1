"""Joins the halves: loads a run, hands it to the judge, stores the verdict, renders it.

Rule: the thin edge between the store and the pure half; decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.gates import all_gates
from harness.judge import RunFacts, check_gates
from harness.judge import judge as judge_evidence
from harness.plan import PlanError
from harness.store import RunError, load_run, write_whole
from harness.verdict_json import from_json, to_json
from reports.render import render

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model import Verdict
    from harness.plan import LoadedPlan

VERDICT, REPORT = "verdict.json", "report.html"


def check_plan(loaded: LoadedPlan) -> None:
    """What needs the gates to be checked in a Plan. Raises PlanError."""
    mistakes = check_gates(loaded.plan, all_gates())
    if mistakes:
        raise PlanError("\n".join(f"{loaded.path.name}: {mistake}" for mistake in mistakes))


def judge_run(folder: Path) -> Verdict:
    """Judge the run at `folder` and write its verdict.json. Raises RunError, PlanError."""
    for name in (VERDICT, REPORT):  # a judgement that fails must not leave an older one behind
        (folder / name).unlink(missing_ok=True)
    run = load_run(folder)
    check_plan(run.plan)
    facts = RunFacts(
        run_id=run.info.id,
        as_of=run.info.as_of,
        profile=run.info.profile,
        subject=run.info.subject,
        reproduce=f"gonogo judge {run.info.root}/{run.info.id}",
        interrupted=not run.evidence,
    )
    verdict = judge_evidence(run.plan.plan, facts, run.evidence)
    write_whole(folder / VERDICT, to_json(verdict))
    return verdict


def render_run(folder: Path) -> Path:
    """Render the verdict of the run at `folder` and return the page's path. Raises RunError."""
    try:
        verdict = from_json((folder / VERDICT).read_bytes())
    except FileNotFoundError as error:
        raise RunError(f"{folder}: not judged yet; judge it with: gonogo judge {folder}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder / VERDICT}: not a verdict ({error}); judge again with: gonogo judge") from error
    page = folder / REPORT
    write_whole(page, render(verdict).encode())
    return page
