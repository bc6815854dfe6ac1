"""The command `reference-service train`.

Rule: prints what it did and nothing else; what the user can put right is a `Refusal`, in one line.
"""

from __future__ import annotations

from pathlib import Path

import click

from reference_service.cli.terminal import VERSION_OPTION, Refusal, refusing


@click.command()
@VERSION_OPTION
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Registry folder to write into.")
@refusing
def train(version: str, output: Path) -> None:
    """Train a version of the flight-delay model (needs the extra `train`)."""
    try:
        from reference_service.training import data, train  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise Refusal(f"training needs {error.name}: install gonogo with the extra `train`") from error

    try:
        written = train.train(version, output, report=lambda line: click.echo(line, err=True))
    except (train.TrainingError, data.DataError) as error:
        raise Refusal(str(error)) from error
    click.echo(written.subject)
