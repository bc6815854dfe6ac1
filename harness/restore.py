"""Restores from a backup what was lost, after proving that the backup is what it was when it was taken.

Rule: every byte is checked before the first one is written, and again as it is written: what was checked is what is
restored. Nothing that is still there is overwritten. A refusal says why, and leaves no file behind.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

from harness.artifact import ArtifactError, load_artifact
from harness.backup import (
    FILES,
    KIND,
    MANIFEST,
    REGISTRY,
    SCHEMA,
    STATE,
    BackupError,
    Manifest,
    name_of,
)
from harness.durable import sync, sync_folders, write_synced

if TYPE_CHECKING:
    from pathlib import Path


def verify(folder: Path, *, service: str = "", subject: str = "") -> Manifest:
    """What the backup in `folder` holds, every byte of it checked; raises BackupError where anything is off.

    With `service` and `subject` it must be of that service, of that version.
    """
    try:
        manifest = _manifest(folder)
        found = {path.relative_to(folder / FILES).as_posix() for path in (folder / FILES).rglob("*") if path.is_file()}
        if found != set(manifest.files):
            odd = sorted(found ^ set(manifest.files))
            raise _refused(folder, f"its files are not those of its manifest: {', '.join(odd[:3])}")
        for name in manifest.files:
            _checked(folder, manifest, name)
        artifact = load_artifact(folder / FILES / REGISTRY, manifest.model, manifest.version)
    except OSError as error:
        raise _refused(folder, f"it is incomplete: {error}") from error
    except ArtifactError as error:
        raise _refused(folder, f"its model can't be used: {error}") from error
    if artifact.subject != manifest.subject:
        raise _refused(folder, f"its model is {artifact.subject}, not {manifest.subject} as its manifest says")
    _refuse_others(folder, manifest, service, subject)
    return manifest


def restore(
    folder: Path, *, state: Path, registry: Path | None = None, service: str = "", subject: str = ""
) -> Manifest:
    """Bring the zones' state back to `state`, and the models to `registry` if that is given; returns what was restored.

    Raises BackupError. That the backup must not be used, or that something is still there, is found before anything is
    written. When the disk fails in between, each of the two is whole or not there: state may be, and the models not.
    """
    manifest = verify(folder, service=service, subject=subject)
    wanted = {STATE: state} | ({} if registry is None else {REGISTRY: registry})
    for place in wanted.values():
        if place.exists() and not (place.is_dir() and not any(place.iterdir())):
            raise BackupError(f"{place} is not empty: move away what is left, nothing is overwritten")
    fresh = {kind: place.with_name(f".{place.name}.restoring") for kind, place in wanted.items()}
    try:
        for name in manifest.files:
            kind, _, rest = name.partition("/")
            if kind in wanted:
                mode = (folder / FILES / name).stat().st_mode & 0o777
                write_synced(fresh[kind] / rest, _checked(folder, manifest, name), mode)
        for kind, place in wanted.items():
            sync_folders(fresh[kind])
            fresh[kind].replace(place)
            sync(place.parent)
    except OSError as error:
        raise BackupError(f"not restored: {error}") from error
    finally:
        for place in fresh.values():
            shutil.rmtree(place, ignore_errors=True)
    return manifest


def _manifest(folder: Path) -> Manifest:
    content = (folder / MANIFEST).read_bytes()
    try:
        document: dict[str, Any] = json.loads(content)
        manifest = Manifest(**document)
        named = name_of(manifest.taken, content)
    except (ValueError, TypeError) as error:
        raise _refused(folder, f"its manifest can't be read: {error}") from error
    if (manifest.kind, manifest.schema) != (KIND, SCHEMA):
        raise _refused(
            folder, f"it is of kind {manifest.kind!r}, schema {manifest.schema}; this version reads {SCHEMA}"
        )
    if folder.resolve().name != named:
        raise _refused(folder, "its manifest is not the one that its name was made from")
    return manifest


def _checked(folder: Path, manifest: Manifest, name: str) -> bytes:
    """The bytes of one file, which are those that were backed up."""
    content = (folder / FILES / name).read_bytes()
    fact = manifest.files[name]
    if len(content) != fact["bytes"] or hashlib.sha256(content).hexdigest() != fact["sha256"]:
        raise _refused(folder, f"{name} is not the file that was backed up: its SHA-256 differs")
    return content


def _refuse_others(folder: Path, manifest: Manifest, service: str, subject: str) -> None:
    if service and manifest.service != service:
        raise _refused(folder, f"it is of the service {manifest.service!r}, not of {service!r}")
    if subject and manifest.subject != subject:
        raise _refused(folder, f"it is of {manifest.subject}, not of {subject}")


def _refused(folder: Path, why: str) -> BackupError:
    return BackupError(f"backup {folder.name} is refused: {why}; use another one")
