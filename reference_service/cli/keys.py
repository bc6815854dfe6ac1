"""The command `reference-service keys`: make, list and revoke API keys.

Rule: a key is printed once, when it is made; the file keeps digests only, and is replaced whole under a lock.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reference_service.cli.terminal import Refusal, refusing

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_OPTION = click.option(
    "--file", "path", type=click.Path(path_type=Path), required=True, help="JSON file of keys; holds digests only."
)


@click.group()
def keys() -> None:
    """Make, list and revoke API keys. A running service sees the change within a second."""


@keys.command()
@FILE_OPTION
@click.option("--client", required=True, help="Whose key it is: named in quotas, metrics and logs.")
@click.option("--scope", "scopes", type=click.Choice(["infer", "admin"]), multiple=True, default=["infer"])
@click.option("--days", type=click.IntRange(1, 366), default=90, show_default=True, help="Days until it expires.")
@refusing
def create(*, path: Path, client: str, scopes: tuple[str, ...], days: int) -> None:
    """Add a key, and print it: it can't be shown again."""
    from reference_service.auth.caller import is_client  # noqa: PLC0415 - with its package
    from reference_service.auth.keys import new_key  # noqa: PLC0415 - heavy

    if not is_client(client):
        raise Refusal("--client: expected visible ASCII without spaces, 128 characters at most")
    with _changing(path) as entries:
        key, entry = new_key(client, scopes, dt.datetime.now(dt.UTC) + dt.timedelta(days=days))
        entries.append(entry)
    click.echo(key)


@keys.command("list")
@FILE_OPTION
@refusing
def list_keys(path: Path) -> None:
    """A line for each key: id, client, scopes, when it expires, and whether it was revoked."""
    for entry in _read(path):
        state = "revoked" if entry.get("revoked") else f"expires {entry['expires']}"
        click.echo(f"{entry['id']}  {entry['client']}  {','.join(entry['scopes'])}  {state}")


@keys.command()
@FILE_OPTION
@click.argument("identity", metavar="ID")
@refusing
def revoke(path: Path, identity: str) -> None:
    """Make a key worthless from now on; other keys of its client stay."""
    with _changing(path) as entries:
        found = [entry for entry in entries if entry["id"] == identity]
        if not found:
            raise Refusal(f"{path} has no key {identity!r}: see `reference-service keys list`")
        found[0]["revoked"] = True


def _read(path: Path) -> list[dict[str, Any]]:
    from reference_service.auth.keys import KeyFileError, parse_keys  # noqa: PLC0415 - heavy

    try:
        content = path.read_bytes()
        parse_keys(content)
    except FileNotFoundError as error:
        raise Refusal(f"{path} does not exist: `reference-service keys create` makes it") from error
    except (OSError, KeyFileError) as error:
        raise Refusal(f"{path} can't be used: {error}") from error
    entries: list[dict[str, Any]] = json.loads(content)["keys"]
    return entries


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The entries of the file, written back at the end; one writer at a time."""
    try:
        with path.with_name(path.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = _read(path) if path.exists() else []
            yield entries
            fresh = path.with_name(path.name + ".new")
            fresh.write_text(json.dumps({"keys": entries}, indent=1) + "\n")
            fresh.replace(path)
    except OSError as error:
        raise Refusal(f"{path} can't be written: {error.strerror}") from error
