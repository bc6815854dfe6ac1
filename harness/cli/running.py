"""The commands of a run: collect, judge, report, and all three at once.

Rule: an exit code is the verdict's; everything else that can happen is handled by `harness.cli`.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import click

from harness.answers import verdict_facts
from harness.cli.telling import tell, telling_failure
from harness.cli.terminal import (
    address,
    heal_first,
    json_option,
    load,
    master_option,
    plan_argument,
    profile_option,
    relative,
    run_argument,
    runs_option,
    say,
    workers_option,
)
from harness.cli.worker import serve_as_worker
from harness.notices import of_verdict
from harness.profiles import PROFILES
from harness.store import find_run

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model import Verdict
    from harness.plan import LoadedPlan


@click.command(short_help="Collect, judge and report; the exit code is the verdict.")
@plan_argument
@profile_option
@runs_option
@workers_option
@master_option
@click.option("--worker", metavar="HOST:PORT", default="", help="Only send load, for the run whose master is there.")
@json_option
def run(plan: Path, profile: str, runs: Path, *, workers: int, master: str, worker: str, as_json: bool) -> int:
    r"""Collect evidence for PLAN, judge it, write the report; the exit code is the verdict.

    \b
    0  GO
    1  NO-GO: a required gate failed
    3  NO-GO: something required is unknown
    2  the Plan or the call is wrong          70  a bug of gonogo's

    A load too great for one process is shared: --workers 4 starts four here. To send it from other machines, on a
    network that nobody else can reach, run with --master 0.0.0.0:5557 --workers 4 here, and on each of them
    gonogo run --worker THIS-MACHINE:5557.
    """
    if worker:
        return serve_as_worker(address(worker, "--worker"))
    loaded = load(plan)
    with telling_failure(loaded):
        folder = _collect(loaded, profile, runs, workers, master, as_json=as_json)
        verdict = _judge_and_report(folder, as_json=as_json)
    tell(loaded, of_verdict(verdict, str(folder)), folder)
    return verdict.exit_code


@click.command(short_help="Collect evidence without judging it.")
@plan_argument
@profile_option
@runs_option
@workers_option
@master_option
@json_option
def collect(plan: Path, profile: str, runs: Path, *, workers: int, master: str, as_json: bool) -> None:
    """Collect evidence for PLAN without judging it, and name the run."""
    folder = _collect(load(plan), profile, runs, workers, master, as_json=as_json)
    say(
        {"run": str(folder)},
        f"collected: {relative(folder)}\njudge it with: gonogo judge {relative(folder)}",
        as_json=as_json,
    )


@click.command(short_help="Judge a run again from its evidence.")
@run_argument
@json_option
def judge(run: Path, *, as_json: bool) -> int:
    """Judge RUN (default: the latest) from its evidence alone, and write its verdict and report anew."""
    return _judge_and_report(find_run(run), as_json=as_json).exit_code


@click.command(short_help="Render a run's report again.")
@run_argument
@json_option
def report(run: Path, *, as_json: bool) -> None:
    """Render the report of RUN (default: the latest) from its verdict.json."""
    from harness.reporting import render_run  # noqa: PLC0415 - charts are slow to import

    page = render_run(find_run(run))
    say({"report": str(page)}, f"report: {relative(page)}", as_json=as_json)


def _collect(loaded: LoadedPlan, profile: str, runs: Path, workers: int, master: str, *, as_json: bool) -> Path:
    from rich.console import Console  # noqa: PLC0415 - judging needs neither this nor what follows

    from harness.collect import collect as collect_run  # noqa: PLC0415 - collectors are slow to import
    from harness.load.process import Placement  # noqa: PLC0415 - the same
    from harness.progress import progress_on  # noqa: PLC0415 - the same

    heal_first()
    placement = Placement("{}:{}".format(*address(master, "--master")) if master else "")
    with progress_on(Console(stderr=as_json)) as progress:
        if master:
            progress.step(f"Load: by {workers} workers that join at {master}", 0)
        return collect_run(
            loaded,
            runs,
            profile=PROFILES[profile],
            progress=progress,
            now=dt.datetime.now(tz=dt.UTC),
            workers=workers,
            placement=placement,
        ).folder


def _judge_and_report(folder: Path, *, as_json: bool) -> Verdict:
    from harness.reporting import judge_run, render_run  # noqa: PLC0415 - charts are slow to import
    from reports.summary import summary_lines  # noqa: PLC0415

    verdict = judge_run(folder)
    page = render_run(folder)
    text = "\n".join([*summary_lines(verdict), "", f"report: {relative(page)}"])
    say(verdict_facts(verdict, page), text, as_json=as_json)
    return verdict
