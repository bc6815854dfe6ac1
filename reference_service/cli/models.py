"""The command `reference-service models`: what a running server serves, and changing it.

Rule: prints what it did and nothing else; what the user can put right is a `Refusal`, in one line.
"""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reference_service.cli.terminal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_service.admin_client import AdminClient

_VERSION = click.argument("version")
_MODEL = click.option("--model", required=True, help="Name of the model.")


@click.group()
def models() -> None:
    """Load, promote and roll back the versions of a running server (scope admin)."""


def _asking(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command a client of the server that the user names."""

    @click.option("--address", default="127.0.0.1:9000", show_default=True, help="HOST:PORT of the server.")
    @click.option("--ca", type=click.Path(path_type=Path), help="Certificate authority of the server: TLS.")
    @click.option("--key-reference", help="Reference to the API key, such as file:PATH or env:NAME.")
    @wraps(command)
    def run(address: str, ca: Path | None, key_reference: str | None, **options: str) -> None:
        from reference_service.admin_client import AdminClient, AdminError  # noqa: PLC0415 - imports grpc

        try:
            with AdminClient(address, key_reference=key_reference, ca=ca) as client:
                command(client, **options)
        except AdminError as error:
            raise Refusal(str(error)) from error

    return run


@models.command("list")
@_asking
def list_command(client: AdminClient) -> None:
    """Name every version in the server's registry, its state, and which is current."""
    for found in client.versions():
        click.echo(f"{found.model}@{found.version}  {found.state}  {found.note}".rstrip())


@models.command()
@_VERSION
@_MODEL
@_asking
def load(client: AdminClient, version: str, model: str) -> None:
    """Load VERSION beside the current one; requests that name it are answered by it."""
    client.load(model, version, promote=False)
    click.echo(f"loaded {model}@{version}")


@models.command()
@_VERSION
@_MODEL
@_asking
def promote(client: AdminClient, version: str, model: str) -> None:
    """Make VERSION current, loading it first if need be; the one before it stays warm."""
    client.load(model, version, promote=True)
    click.echo(f"promoted {model}@{version}")


@models.command()
@_MODEL
@_asking
def rollback(client: AdminClient, model: str) -> None:
    """Make the version current that was so before the last promotion, at once and once."""
    client.rollback(model)
    current = [found.version for found in client.versions() if found.note == "current"]
    click.echo(f"rolled back to {model}@{', '.join(current)}")


@models.command()
@_VERSION
@_MODEL
@_asking
def unload(client: AdminClient, version: str, model: str) -> None:
    """Forget VERSION, which must not be current."""
    client.unload(model, version)
    click.echo(f"unloaded {model}@{version}")
