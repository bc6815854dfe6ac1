"""The commands before a run: is the Plan valid, is this machine ready?

Rule: nothing is started and nothing is changed.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from harness import doctor as machine
from harness.answers import finding_line
from harness.cli.terminal import json_option, load, plan_argument, say

if TYPE_CHECKING:
    from pathlib import Path


@click.command(short_help="Check a Plan without running anything.")
@plan_argument
@json_option
def check(plan: Path, *, as_json: bool) -> None:
    """Check PLAN without running anything."""
    loaded = load(plan)
    name, stage = loaded.plan.service.name, loaded.plan.launch.stage.value
    text = f"{plan}: a valid Plan of {name} for stage {stage}"
    say({"plan": str(plan), "stage": stage, "service": name, "ok": True}, text, as_json=as_json)


@click.command(short_help="Say what this machine lacks.")
@json_option
def doctor(*, as_json: bool) -> int:
    """Say what this machine lacks to run gonogo; exit 1 when something required is missing."""
    findings = machine.examine()
    lines = [finding_line(item) for item in findings]
    say([asdict(item) for item in findings], "\n".join(lines), as_json=as_json)
    return 0 if all(item.ok or not item.required for item in findings) else 1
