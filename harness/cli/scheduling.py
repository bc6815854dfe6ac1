"""The command that has gonogo run again and again, by whichever scheduler is there.

Rule: prints manifests, and starts nothing.
"""

from __future__ import annotations

from typing import Any

import click

from harness.profiles import PROFILES

FORMATS = ("cron", "systemd", "github", "gitlab", "k8s")


@click.command(short_help="Print what makes a scheduler run gonogo again and again.")
@click.option("--cron", required=True, metavar="EXPRESSION", help='When, as five fields: "0 3 * * 1" is Mondays at 3.')
@click.option("--format", "kind", type=click.Choice(FORMATS), required=True, help="For which scheduler.")
@click.option("--command", type=click.Choice(["run", "drill"]), default="run", show_default=True, help="What to run.")
@click.option("--name", "drill", default="", metavar="NAME", help="Which drill, with --command drill.")
@click.option("--plan", default="readiness.toml", show_default=True, help="The Plan, as seen from the folder.")
@click.option("--profile", type=click.Choice(sorted(PROFILES)), help="How long to test; by default standard.")
@click.option("--directory", default="/srv/gonogo", show_default=True, help="Folder to run in (cron, systemd).")
@click.option("--executable", default="gonogo", show_default=True, help="Name or path of gonogo (cron, systemd).")
@click.option("--image", default="", help="Image that holds gonogo (github, gitlab, k8s); see scenarios/deploy.")
@click.option("--namespace", default="default", show_default=True, help="Where it goes (k8s).")
@click.option("--cpu", default="2", show_default=True, help="Cores (k8s).")
@click.option("--memory", default="4Gi", show_default=True, help="Memory (k8s).")
@click.option("--claim", default="", metavar="NAME", help="PersistentVolumeClaim that keeps the runs (k8s).")
@click.option(
    "--variable", "variables", multiple=True, metavar="NAME", help="A secret that the environment must bring."
)
@click.option("--limit", "limit_min", type=int, default=60, show_default=True, help="Minutes until it is ended.")
def schedule(kind: str, command: str, drill: str, plan: str, profile: str | None, **fields: Any) -> None:
    r"""Print ready manifests that run gonogo by --cron. A NO-GO is a failed job there.

    \b
    cron     a line for crontab -e
    systemd  a service and a timer
    github   a workflow; secrets of the repository come as --variable
    gitlab   a job, and how to make its pipeline schedule
    k8s      a CronJob; --variable comes from the Secret of its name
    """
    from harness.schedules import Schedule, ScheduleError, render  # noqa: PLC0415 - Jinja, only needed here

    if bool(drill) != (command == "drill"):
        raise click.UsageError("--name says which drill; give it with --command drill, and only then")
    if drill and profile:
        raise click.UsageError("a drill has no profile; leave --profile out")
    words = ("drill", drill, plan) if drill else ("run", plan, "--profile", profile or "standard")
    name = f"gonogo-{command}" + f"-{drill}".replace("_", "-") * bool(drill)
    try:
        text = render(Schedule(command=words, name=name, **fields), kind)
    except ScheduleError as error:
        raise click.UsageError(str(error)) from error
    click.echo(text, nl=False)
