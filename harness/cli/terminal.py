"""What every command of the command line shares: its arguments, and how it speaks.

Rule: with the commands beside it, the only place that prints.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from harness.artifact import ArtifactError
from harness.fleet.client import FleetError
from harness.healing import HealError, heal
from harness.plan import LoadedPlan, PlanError, load_plan
from harness.profiles import PROFILES
from harness.store import RunError

EXIT_USAGE, EXIT_BUG, EXIT_INTERRUPTED = 2, 70, 130
FORESEEN = (PlanError, RunError, ArtifactError, FleetError, HealError)
"""What the Plan, the call or the machine is to blame for; anything else is a bug of ours."""

plan_argument = click.argument("plan", type=click.Path(path_type=Path), default="readiness.toml", required=False)
run_argument = click.argument("run", type=click.Path(path_type=Path), default="runs", required=False)
runs_option = click.option(
    "--runs", type=click.Path(path_type=Path), default="runs", show_default=True, help="Folder that holds the runs."
)
profile_option = click.option(
    "--profile", type=click.Choice(sorted(PROFILES)), default="quick", show_default=True, help="How long to test."
)
workers_option = click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Locust workers that share the load."
)
master_option = click.option(
    "--master",
    metavar="HOST:PORT",
    default="",
    help="Listen there for --workers workers on other machines, instead of starting them on this one.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")


def load(plan: Path) -> LoadedPlan:
    """The Plan at `plan`, checked against the gates that there are. Raises PlanError."""
    from harness.reporting import check_plan  # noqa: PLC0415 - gates are slow to import

    loaded = load_plan(plan)
    check_plan(loaded)
    return loaded


def address(text: str, option: str) -> tuple[str, int]:
    """The host and the port in `text`. Raises click.BadParameter, naming `option`."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65536):  # noqa: PLR2004 - ports have 16 bits
        raise click.BadParameter(f"{text!r} is not HOST:PORT, like 10.0.0.5:5557", param_hint=option)
    return host, int(port)


def say(document: Any, text: str, *, as_json: bool) -> None:
    """Print `document` where a program asked for JSON, else `text`."""
    click.echo(json.dumps(document, indent=1, sort_keys=True) if as_json else text)


def complain(text: str) -> None:
    """Print `text` to standard error."""
    click.echo(f"gonogo: {text}", err=True)


def heal_first() -> None:
    """Undo what a killed command left broken, and say so in one line. Raises HealError when it stays broken."""
    healed = heal()
    if line := healed.line():
        complain(f"healed first: {line}")
    healed.require()


def relative(path: Path) -> str:
    """`path` as somebody in this folder would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
