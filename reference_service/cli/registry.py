"""The command `reference-service registry`.

Rule: prints what it did and nothing else; what the user can put right is a `Refusal`, in one line. A private key is
written to a file of its owner's and read by reference; it is never on a command line.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reference_service.cli.exchanging import export_oms, import_oms
from reference_service.cli.terminal import TRUST_OPTION, UNSIGNED_OPTION, refusing

if TYPE_CHECKING:
    from reference_service.registry import ModelVersion
    from reference_service.trust import Trust

_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path))


@click.group()
def registry() -> None:
    """Look into a folder of model versions, sign them, check them."""


for command in (export_oms, import_oms):
    registry.add_command(command)


@registry.command("list")
@_DIRECTORY
@refusing
def list_command(directory: Path) -> None:
    """Name every version, without checking it."""
    from reference_service.registry import list_versions  # noqa: PLC0415 - heavy

    for name, version in list_versions(directory):
        click.echo(f"{name}@{version}")


@registry.command("verify")
@_DIRECTORY
@TRUST_OPTION
@UNSIGNED_OPTION
@refusing
def verify_command(directory: Path, trust_path: Path | None, *, allow_unsigned: bool) -> None:
    """Check signature and files of every version; exit code 1 if one is refused."""
    from reference_service.registry import RegistryError, list_versions  # noqa: PLC0415 - heavy
    from reference_service.trust import open_trust, utc_now  # noqa: PLC0415 - heavy

    trust = open_trust(trust_path, None, clock=utc_now, allow_unsigned=allow_unsigned)
    broken = 0
    for name, version in list_versions(directory):
        try:
            click.echo(f"ok      {_described(_verified(directory, name, version, trust))}")
        except RegistryError as error:
            broken += 1
            click.echo(f"broken  {name}@{version}: {error}")
    raise SystemExit(1 if broken else 0)


def _verified(directory: Path, name: str, version: str, trust: Trust) -> ModelVersion:
    from reference_service.registry import load_golden, load_version  # noqa: PLC0415 - heavy

    found = load_version(directory, name, version, trust)
    load_golden(found)
    return found


def _described(version: ModelVersion) -> str:
    by = version.signed
    signed = f"counter {by.counter}, key {by.key_id}, until {by.expires:%Y-%m-%d}" if by else "signature not looked at"
    return f"{version.subject} ({signed})"


@registry.command("keygen")
@click.option("--private", type=click.Path(path_type=Path), required=True, help="New file for the private key.")
@click.option("--trust", type=click.Path(path_type=Path), required=True, help="Trust file that the key is added to.")
@click.option("--model", "models", multiple=True, required=True, help="Model that the key may sign; may be repeated.")
@click.option("--about", default="", help="For people: whose key this is, and for what.")
@refusing
def keygen(private: Path, trust: Path, models: tuple[str, ...], about: str) -> None:
    """Make a signing key: the private half in a file that only you can read, the public half trusted."""
    from reference_service.publishing import make_key  # noqa: PLC0415 - heavy

    click.echo(make_key(private, trust, models, about))


@registry.command("sign")
@_DIRECTORY
@click.option("--key", "reference", required=True, help="Reference to the private key, such as file:PATH or env:NAME.")
@click.option("--model", help="Only this model; default: every one.")
@click.option("--version", help="Only this version; default: every one, in their order.")
@click.option("--counter", type=click.IntRange(1), help="Default: one above the highest on any version of the model.")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="Day, UTC, from which it no longer counts.")
@click.option("--days", type=click.IntRange(1), default=90, show_default=True, help="Without --expires: days to last.")
@refusing
def sign(
    *,
    directory: Path,
    reference: str,
    model: str | None,
    version: str | None,
    counter: int | None,
    expires: dt.datetime | None,
    days: int,
) -> None:
    """Vouch for versions as they lie there now; a signature that is there already is replaced by a newer one."""
    from reference_service.publishing import sign_version, signing_key  # noqa: PLC0415 - heavy
    from reference_service.registry import RegistryError, list_versions, load_version  # noqa: PLC0415 - heavy
    from reference_service.trust import UNSIGNED_ALLOWED, utc_now  # noqa: PLC0415 - heavy

    key, now = signing_key(reference), utc_now().replace(microsecond=0)
    until = expires.replace(tzinfo=dt.UTC) if expires else now + dt.timedelta(days=days)
    chosen = [item for item in list_versions(directory) if item == (model or item[0], version or item[1])]
    if not chosen:
        raise RegistryError(f"{directory} holds no such version: reference-service registry list {directory} names all")
    for name, found in chosen:
        loaded = load_version(directory, name, found, UNSIGNED_ALLOWED)
        signed = sign_version(loaded, key, issued=now, expires=until, counter=counter)
        click.echo(f"signed  {loaded.subject} (counter {signed.counter}, key {signed.key_id}, until {until:%Y-%m-%d})")
