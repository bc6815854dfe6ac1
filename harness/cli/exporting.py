"""The commands that write for other tools: a run's ledger for HdrHistogram, a load for Kubernetes.

Rule: they read a run or their options, and start nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.terminal import json_option, relative, run_argument, say
from harness.store import find_run

pair_type = "NAME=VALUE"


@click.command(short_help="Write a run's ledger for other tools.")
@run_argument
@click.option("--format", "kind", type=click.Choice(["hlog"]), default="hlog", show_default=True, help="What to write.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file; by default ledger.hlog in the run.")
@json_option
def export(run: Path, *, kind: str, output: Path | None, as_json: bool) -> None:
    """Write the ledger of RUN (default: the latest) as a HdrHistogram log.

    Response times of good answers in microseconds, a histogram for each second of each phase. What failed or was not
    sent is in no histogram; comments count it by its cause.
    """
    from harness.export import export_hlog  # noqa: PLC0415 - pandas and the ledger are slow to load

    file = export_hlog(find_run(run), output)
    say({"format": kind, "file": str(file)}, f"written: {relative(file)}", as_json=as_json)


@click.command(short_help="Print Kubernetes manifests of a distributed load.")
@click.option("--scenario", required=True, help="A scenario by its name, like sustained.")
@click.option("--host", "target", required=True, metavar="HOST:PORT", help="The service, as the cluster reaches it.")
@click.option("--image", required=True, help="The image that holds gonogo; scenarios/deploy has its Dockerfile.")
@click.option("--workers", type=int, default=3, show_default=True, help="Workers that share the load.")
@click.option("--option", "options", multiple=True, metavar=pair_type, help="An option of the scenario, as rate=500.")
@click.option("--name", default="gonogo-load", show_default=True, help="What everything is called.")
@click.option("--namespace", default="default", show_default=True, help="Where it goes.")
@click.option("--cpu", default="1", show_default=True, help="Cores of each process, as Kubernetes writes them.")
@click.option("--memory", default="1Gi", show_default=True, help="Memory of each, the same.")
@click.option("--deadline", "deadline_s", type=int, default=3600, show_default=True, help="Seconds until all is ended.")
@click.option("--secret", default="", metavar="NAME", help="A Secret whose key api-key the workers get as API_KEY.")
@click.option("--ledger-claim", default="", metavar="NAME", help="A PersistentVolumeClaim for the ledger.")
@click.option("--away-from", multiple=True, metavar=pair_type, help="A label of pods whose nodes the workers avoid.")
@click.option("--web-ui", is_flag=True, help="Serve Locust's web page while the load runs.")
def manifests(options: tuple[str, ...], away_from: tuple[str, ...], **fields: Any) -> None:
    """Print the manifests of one scenario with a Locust master and its workers: kubectl apply -f takes them.

    scenarios/deploy/README.md tells how to build the image and fetch the ledger.
    """
    from harness.deploy import Deployment, DeploymentError, pairs  # noqa: PLC0415 - Jinja, only needed here
    from harness.deploy import manifests as rendered  # noqa: PLC0415 - with it

    try:
        text = rendered(Deployment(options=pairs(options), away_from=pairs(away_from), **fields))
    except DeploymentError as error:
        raise click.UsageError(str(error)) from error
    click.echo(text)
