"""The commands for Google Cloud.

Rule: nothing that writes is sent from here; experiments are run by `chaos run`, alone or by `gonogo run`.
"""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.terminal import json_option, say


@click.group(short_help="What experiments on Google Cloud would do.")
def gcp() -> None:
    """Experiments on Google Cloud, looked at before they are run; docs/gcp.md says how to run them."""


@gcp.command("dry-run")
@click.argument("experiment", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--allow",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True),
    help="The allow-list; by default the file that GONOGO_GCP_ALLOW names.",
)
@json_option
def dry_run(experiment: Path, *, allow: Path | None, as_json: bool) -> int:
    """Show every call that EXPERIMENT would make to Google Cloud, reading what it reads and writing nothing.

    Ends with 1 when it would be refused or could not run to its end.
    """
    from harness import dry_run as running  # noqa: PLC0415 - only needed here

    try:
        report = running.dry_run(experiment, allow)
    except running.DryRunError as error:
        raise click.ClickException(str(error)) from error
    say(report, running.text(report), as_json=as_json)
    return 0 if report["would_run"] else 1
