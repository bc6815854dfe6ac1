"""The commands `reference-service registry export-oms` and `import-oms`.

Rule: prints what it did and nothing else; what the user can put right is a `Refusal`, in one line.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from reference_service.cli.terminal import MODEL_OPTION, VERSION_OPTION, refusing

_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path))
_BUNDLE = click.option("--bundle", type=click.Path(path_type=Path), required=True, help="The bundle's file.")


@click.command("export-oms")
@_DIRECTORY
@MODEL_OPTION
@VERSION_OPTION
@_BUNDLE
@click.option("--key", "reference", required=True, help="Reference to an elliptic-curve private key, like file:PATH.")
@click.option("--trust", type=click.Path(path_type=Path), help="Trust file; default: this release's own.")
@refusing
def export_oms(*, directory: Path, model: str, version: str, bundle: Path, reference: str, trust: Path | None) -> None:
    """Sign a version that is trusted here for tools of OpenSSF's model signing (needs the extra `oms`)."""
    from reference_service.oms import export_bundle  # noqa: PLC0415 - heavy
    from reference_service.registry import load_version  # noqa: PLC0415 - heavy
    from reference_service.trust import open_trust, utc_now  # noqa: PLC0415 - heavy

    found = load_version(directory, model, version, open_trust(trust, None, clock=utc_now))
    export_bundle(found, reference, bundle)
    click.echo(f"exported {found.subject}: {bundle}")


@click.command("import-oms")
@_DIRECTORY
@MODEL_OPTION
@VERSION_OPTION
@_BUNDLE
@click.option("--public-key", type=click.Path(path_type=Path), required=True, help="PEM of the key it is signed with.")
@click.option("--key", "reference", required=True, help="Reference to your own Ed25519 private key, like file:PATH.")
@click.option("--days", type=click.IntRange(1), default=90, show_default=True, help="Days that your signature lasts.")
@refusing
def import_oms(
    *, directory: Path, model: str, version: str, bundle: Path, public_key: Path, reference: str, days: int
) -> None:
    """Vouch yourself for a version that a bundle vouches for, so that your servers take it (needs the extra `oms`)."""
    from reference_service.oms import check_bundle  # noqa: PLC0415 - heavy
    from reference_service.publishing import sign_version, signing_key  # noqa: PLC0415 - heavy
    from reference_service.registry import load_version  # noqa: PLC0415 - heavy
    from reference_service.trust import UNSIGNED_ALLOWED, utc_now  # noqa: PLC0415 - heavy

    key, now = signing_key(reference), utc_now().replace(microsecond=0)
    found = load_version(directory, model, version, UNSIGNED_ALLOWED)
    check_bundle(found, public_key, bundle)
    signed = sign_version(found, key, issued=now, expires=now + dt.timedelta(days=days))
    click.echo(f"imported {found.subject} (counter {signed.counter}, key {signed.key_id})")
