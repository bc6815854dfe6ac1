"""The command `reference-service registry`.

Rule: prints what it did and nothing else; what the user can put right is a `Refusal`, in one line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reference_service.cli.terminal import refusing

if TYPE_CHECKING:
    from reference_service.registry import ModelVersion


@click.group()
def registry() -> None:
    """Look into a folder of model versions."""


@registry.command("list")
@click.argument("directory", type=click.Path(path_type=Path))
@refusing
def list_command(directory: Path) -> None:
    """Name every version, without checking it."""
    from reference_service.registry import list_versions  # noqa: PLC0415 - heavy

    for name, version in list_versions(directory):
        click.echo(f"{name}@{version}")


@registry.command("verify")
@click.argument("directory", type=click.Path(path_type=Path))
@refusing
def verify_command(directory: Path) -> None:
    """Check every file of every version against its manifest; exit code 1 if one differs."""
    from reference_service.registry import RegistryError, list_versions  # noqa: PLC0415 - heavy

    broken = 0
    for name, version in list_versions(directory):
        try:
            click.echo(f"ok      {_verified(directory, name, version).subject}")
        except RegistryError as error:
            broken += 1
            click.echo(f"broken  {name}@{version}: {error}")
    raise SystemExit(1 if broken else 0)


def _verified(directory: Path, name: str, version: str) -> ModelVersion:
    from reference_service.registry import load_golden, load_version  # noqa: PLC0415 - heavy

    found = load_version(directory, name, version)
    load_golden(found)
    return found
