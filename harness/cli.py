"""The command line of gonogo.

Rule: the only place that prints, prompts or exits. Exit codes: 0 GO, 1 NO-GO, 3 NO-GO because something is unknown,
2 the Plan or the call is wrong, 70 a bug of gonogo's, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import signal
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Console

from harness import doctor as machine
from harness.answers import finding_line, fleet_text, verdict_facts
from harness.artifact import ArtifactError
from harness.fleet import commands as fleet_commands
from harness.fleet.client import FleetError
from harness.plan import LoadedPlan, PlanError, load_plan
from harness.profiles import PROFILES
from harness.progress import progress_on
from harness.store import RunError, find_run

if TYPE_CHECKING:
    from collections.abc import Sequence


EXIT_USAGE, EXIT_BUG, EXIT_INTERRUPTED = 2, 70, 130

plan_argument = click.argument("plan", type=click.Path(path_type=Path), default="readiness.toml", required=False)
run_argument = click.argument("run", type=click.Path(path_type=Path), default="runs", required=False)
runs_option = click.option(
    "--runs", type=click.Path(path_type=Path), default="runs", show_default=True, help="Folder that holds the runs."
)
profile_option = click.option(
    "--profile", type=click.Choice(sorted(PROFILES)), default="quick", show_default=True, help="How long to test."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gonogo")
def cli() -> None:
    """Prove that an ML inference service is ready to launch, or find out why it is not.

    gonogo loads the service, breaks it, compares its next version in shadow, rolls it back, and writes a report that
    says GO or NO-GO. Start with: gonogo run reference_service/readiness.toml
    """


@cli.command(short_help="Collect, judge and report; the exit code is the verdict.")
@plan_argument
@profile_option
@runs_option
@json_option
def run(plan: Path, profile: str, runs: Path, *, as_json: bool) -> int:
    r"""Collect evidence for PLAN, judge it, write the report; the exit code is the verdict.

    \b
    0  GO
    1  NO-GO: a required gate failed
    3  NO-GO: something required is unknown
    2  the Plan or the call is wrong          70  a bug of gonogo's
    """
    folder = _collect(plan, profile, runs, as_json=as_json)
    return _judge_and_report(folder, as_json=as_json)


@cli.command(short_help="Collect evidence without judging it.")
@plan_argument
@profile_option
@runs_option
@json_option
def collect(plan: Path, profile: str, runs: Path, *, as_json: bool) -> None:
    """Collect evidence for PLAN without judging it, and name the run."""
    folder = _collect(plan, profile, runs, as_json=as_json)
    _say(
        {"run": str(folder)},
        f"collected: {_relative(folder)}\njudge it with: gonogo judge {_relative(folder)}",
        as_json=as_json,
    )


@cli.command(short_help="Judge a run again from its evidence.")
@run_argument
@json_option
def judge(run: Path, *, as_json: bool) -> int:
    """Judge RUN (default: the latest) from its evidence alone, and write its verdict and report anew."""
    return _judge_and_report(find_run(run), as_json=as_json)


@cli.command(short_help="Render a run's report again.")
@run_argument
@json_option
def report(run: Path, *, as_json: bool) -> None:
    """Render the report of RUN (default: the latest) from its verdict.json."""
    from harness.reporting import render_run  # noqa: PLC0415 - charts are slow to import

    page = render_run(find_run(run))
    _say({"report": str(page)}, f"report: {_relative(page)}", as_json=as_json)


@cli.command(short_help="Check a Plan without running anything.")
@plan_argument
@json_option
def check(plan: Path, *, as_json: bool) -> None:
    """Check PLAN without running anything."""
    loaded = _load(plan)
    name, stage = loaded.plan.service.name, loaded.plan.launch.stage.value
    text = f"{plan}: a valid Plan of {name} for stage {stage}"
    _say({"plan": str(plan), "stage": stage, "service": name, "ok": True}, text, as_json=as_json)


@cli.command(short_help="Say what this machine lacks.")
@json_option
def doctor(*, as_json: bool) -> int:
    """Say what this machine lacks to run gonogo; exit 1 when something required is missing."""
    findings = machine.examine()
    lines = [finding_line(item) for item in findings]
    _say([asdict(item) for item in findings], "\n".join(lines), as_json=as_json)
    return 0 if all(item.ok or not item.required for item in findings) else 1


@cli.group(short_help="The local zones, to play with by hand.")
def fleet() -> None:
    """The local zones, to play with: experiments run against them with plain `chaos run`."""


@fleet.command("up")
@plan_argument
@json_option
def fleet_up(plan: Path, *, as_json: bool) -> None:
    """Start the zones of PLAN behind the edge, and leave them running."""
    from harness.collect import fleet_spec  # noqa: PLC0415 - collectors are slow to import

    status = fleet_commands.fleet_up(fleet_spec(_load(plan), fleet_commands.control_socket().parent))
    _say(status, fleet_text(status), as_json=as_json)


@fleet.command("status")
@json_option
def fleet_status(*, as_json: bool) -> None:
    """Show the zones that are up."""
    status = fleet_commands.fleet_status()
    _say(status, fleet_text(status), as_json=as_json)


@fleet.command("down")
@json_option
def fleet_down(*, as_json: bool) -> None:
    """Stop the zones and everything that belongs to them."""
    fleet_commands.fleet_down()
    _say({"down": True}, "the fleet is down", as_json=as_json)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    sys.exit(run_cli(sys.argv[1:] if arguments is None else list(arguments)))


def run_cli(arguments: list[str]) -> int:
    """Run one command and return its exit code; every way to fail ends here."""
    with contextlib.suppress(ValueError):  # not on the main thread: a test
        signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        code = cli.main(arguments, prog_name="gonogo", standalone_mode=False)
    except BaseException as error:  # noqa: BLE001 - the last line of defence: a bug must not look like a verdict
        return _exit_code(error)
    return code if isinstance(code, int) else 0


def _exit_code(error: BaseException) -> int:
    """Say what went wrong and choose the code that says whose fault it was."""
    match error:
        case SystemExit():
            _complain("the output could not be written to its end: take no verdict from it")
            return EXIT_BUG
        case KeyboardInterrupt() | click.Abort():
            _complain("interrupted: all that was started has been stopped; the run is unfinished and proves nothing")
            return EXIT_INTERRUPTED
        case click.ClickException():
            error.show()
            return EXIT_USAGE
        case PlanError() | RunError() | ArtifactError() | FleetError():
            _complain(str(error))
            return EXIT_USAGE
        case _:
            _complain("this is a bug of gonogo's, not a verdict\n" + "".join(traceback.format_exception(error)))
            return EXIT_BUG


def _collect(plan: Path, profile: str, runs: Path, *, as_json: bool) -> Path:
    from harness.collect import collect as collect_run  # noqa: PLC0415 - collectors are slow to import

    loaded = _load(plan)
    with progress_on(Console(stderr=as_json)) as progress:
        now = dt.datetime.now(tz=dt.UTC)
        return collect_run(loaded, runs, profile=PROFILES[profile], progress=progress, now=now).folder


def _judge_and_report(folder: Path, *, as_json: bool) -> int:
    from harness.reporting import judge_run, render_run  # noqa: PLC0415 - charts are slow to import
    from reports.summary import summary_lines  # noqa: PLC0415

    verdict = judge_run(folder)
    page = render_run(folder)
    text = "\n".join([*summary_lines(verdict), "", f"report: {_relative(page)}"])
    _say(verdict_facts(verdict, page), text, as_json=as_json)
    return verdict.exit_code


def _load(plan: Path) -> LoadedPlan:
    from harness.reporting import check_plan  # noqa: PLC0415 - gates are slow to import

    loaded = load_plan(plan)
    check_plan(loaded)
    return loaded


def _say(document: Any, text: str, *, as_json: bool) -> None:
    click.echo(json.dumps(document, indent=1, sort_keys=True) if as_json else text)


def _complain(text: str) -> None:
    click.echo(f"gonogo: {text}", err=True)


def _relative(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _as_interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
