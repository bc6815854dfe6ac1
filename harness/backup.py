"""Takes backups of what a service must not lose: the state of its zones and its models.

Rule: a backup is whole or not there, and its name is its content's: the folder is synced under another name, then
renamed to the time and the digest of its manifest, which names every file by SHA-256. What shrank or is gone since the
last backup is not backed up, and then no older one is removed: after a loss the last good copy must not be rotated out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import fcntl
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from harness.artifact import load_artifact
from harness.durable import PRIVATE, sync, sync_folders, write_synced
from reference_service.protocol.audit import SEGMENT_GLOB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.plan import LoadedPlan

KIND, SCHEMA = "gonogo-backup", 1
MANIFEST, FILES = "manifest.json", "files"
STATE, REGISTRY = "state", "registry"
"""Folders below `files`: one folder a zone, one a model."""
DIGEST_CHARACTERS = 16
_UNFINISHED = ".unfinished"


class BackupError(Exception):
    """A backup can't be taken, or must not be used; the text says which, why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is backed up. `subject` is the service version; `state` has a folder for each zone."""

    service: str
    subject: str
    model: str
    versions: tuple[str, ...]
    zones: tuple[str, ...]
    state: Path
    registry: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself: `files` has for each path below `files` its "sha256" and its "bytes"."""

    service: str
    subject: str
    model: str
    version: str
    taken: str
    files: Mapping[str, Mapping[str, Any]]
    kind: str = KIND
    schema: int = SCHEMA

    def encode(self) -> bytes:
        """The manifest's own bytes."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, indent=1).encode() + b"\n"


def source_of(loaded: LoadedPlan, state: Path, registry: Path | None = None) -> Source:
    """What the Plan's service must not lose. Raises ArtifactError when the registry can't be read."""
    target = loaded.plan.target
    place = loaded.resolve(target.registry) if registry is None else registry
    return Source(
        service=loaded.plan.service.name,
        subject=load_artifact(place, target.model, target.version).subject,
        model=target.model,
        versions=(target.version, *filter(None, [target.candidate])),
        zones=target.zones,
        state=state,
        registry=place,
    )


def backups(directory: Path) -> list[Path]:
    """Every backup in `directory`, the newest first, whatever it is worth."""
    return sorted((path for path in directory.glob("2*Z-*") if path.is_dir()), reverse=True)


def name_of(taken: str, manifest: bytes) -> str:
    """How the folder of a backup with this manifest is called."""
    stamp = dt.datetime.fromisoformat(taken)
    digest = hashlib.sha256(manifest).hexdigest()[:DIGEST_CHARACTERS]
    return f"{stamp:%Y%m%dT%H%M%S}.{stamp.microsecond // 1000:03d}Z-{digest}"


def take(source: Source, directory: Path, *, now: dt.datetime, keep: int) -> tuple[Path, Manifest]:
    """Back `source` up into a new folder of `directory`, of which `keep` stay; raises BackupError, and changes nothing.

    Nothing of the state that the newest backup there has of this service may be gone or shorter now.
    """
    try:
        directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        with _alone(directory):
            shutil.rmtree(directory / _UNFINISHED, ignore_errors=True)  # of one that was killed
            folder, manifest = _write(source, directory, now)
            for old in backups(directory)[keep:]:
                shutil.rmtree(old)
    except OSError as error:
        raise BackupError(f"not backed up: {error}") from error
    return folder, manifest


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise BackupError(f"another backup is being taken in {directory}") from error
    finally:
        os.close(descriptor)


def _write(source: Source, directory: Path, now: dt.datetime) -> tuple[Path, Manifest]:
    unfinished = directory / _UNFINISHED
    files: dict[str, dict[str, Any]] = {}
    for name, path in _wanted(source):
        content = _content(name, path)
        write_synced(unfinished / FILES / name, content, path.stat().st_mode & 0o777)
        files[name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    _refuse_shrunk(files, _newest(source, directory))
    taken = now.astimezone(dt.UTC).isoformat(timespec="milliseconds")
    manifest = Manifest(
        service=source.service,
        subject=source.subject,
        model=source.model,
        version=source.versions[0],
        taken=taken,
        files=files,
    )
    write_synced(unfinished / MANIFEST, manifest.encode())
    sync_folders(unfinished)
    folder = directory / name_of(taken, manifest.encode())
    unfinished.rename(folder)
    sync(directory)
    return folder, manifest


def _wanted(source: Source) -> Iterator[tuple[str, Path]]:
    """Every file to copy with its name in the backup. Raises BackupError where a zone or a version is not there."""
    folders = {f"{STATE}/{zone}": source.state / zone for zone in source.zones}
    folders |= {f"{REGISTRY}/{source.model}/{item}": source.registry / source.model / item for item in source.versions}
    for name, folder in folders.items():
        if not folder.is_dir():
            raise BackupError(f"not backed up: {folder} is gone; restore it, the backups that there are stay")
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield f"{name}/{path.relative_to(folder).as_posix()}", path


def _content(name: str, path: Path) -> bytes:
    """The bytes to keep: of the audit journal, which is being written, up to the last whole record."""
    content = path.read_bytes()
    return content[: content.rfind(b"\n") + 1] if PurePosixPath(name).match(SEGMENT_GLOB) else content


def _newest(source: Source, directory: Path) -> Manifest | None:
    """What the newest readable backup of this service says of itself, whoever took it; None where there is none."""
    for folder in backups(directory):
        try:
            manifest = Manifest(**json.loads((folder / MANIFEST).read_bytes()))
        except (OSError, ValueError, TypeError):
            continue
        if manifest.service == source.service:
            return manifest
    return None


def _refuse_shrunk(files: Mapping[str, Mapping[str, Any]], previous: Manifest | None) -> None:
    for name, fact in ({} if previous is None else previous.files).items():
        if name.startswith(f"{STATE}/") and files.get(name, {"bytes": -1})["bytes"] < fact["bytes"]:
            raise BackupError(
                f"not backed up: {name} is shorter than in the last backup or gone, which an append-only journal never "
                "is; restore it, or back up what is left to another folder: the backups that there are stay"
            )
