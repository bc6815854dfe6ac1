"""What a server has served before: so that an old release can't be passed off as a new one, and a rollback works.

Rule: a version that this server has not served must be signed later than every one it has; a version that it has served
may come back, with the manifest it had and a signature no older. The record is replaced in one step, under a lock, so
that servers may share it and a crash leaves the old one.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from reference_service.errors import StartError
from reference_service.manifest import encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reference_service.signing import Statement

    Models = dict[str, dict[str, "Seen"]]

SCHEMA = 1


class ReplayError(Exception):
    """The signature is good, but older than what this server has served, or for other content."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A version that was served: the SHA-256 of its manifest, and the highest counter it was signed with."""

    manifest_sha256: str
    counter: int


class History:
    """The versions served, by model; kept in the file `path`, or only in memory without one.

    Who can delete the file makes the server forget: keep it where only the service may write.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._memory: Models = {}

    def check(self, statement: Statement) -> None:
        """Return if the version may be served after what was; raises ReplayError, or StartError for the file."""
        versions = self._read().get(statement.name, {})
        before = versions.get(statement.version)
        highest = max((seen.counter for seen in versions.values()), default=0)
        if before is None and statement.counter < highest:
            raise ReplayError(
                f"it is an older release that this server never served: its counter is {statement.counter}, and "
                f"{highest} was served already. If it is meant, sign it again, which raises its counter"
            )
        if before and before.manifest_sha256 != statement.manifest_sha256:
            raise ReplayError(
                "this server has served other content under the same version, and a version never changes: "
                "release it as a new version"
            )
        if before and statement.counter < before.counter:
            raise ReplayError(
                f"its signature is an older one: its counter is {statement.counter}, and this server has seen it "
                f"with {before.counter}. Restore the newer signature, or sign it again"
            )

    def record(self, statement: Statement) -> None:
        """Remember that the version is served.

        Raises:
            StartError: The file can't be written: a server that can't remember must not go on.
        """
        with self._locked():
            models = self._read()
            models.setdefault(statement.name, {})[statement.version] = Seen(
                statement.manifest_sha256, statement.counter
            )
            self._write(models)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._path is None:
            yield
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = self._path.with_name(self._path.name + ".lock").open("ab")
        except OSError as error:
            raise self._unwritable(error) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # held for one small write by whoever has it
            yield

    def _read(self) -> Models:
        if self._path is None:
            return self._memory
        try:
            return _decoded(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise StartError(
                f"{self._path}, the record of the versions served, can't be read ({error}): restore it, or delete it, "
                "which lets every older release in once more"
            ) from error

    def _write(self, models: Models) -> None:
        if self._path is None:
            self._memory = models
            return
        document = {
            name: {version: asdict(seen) for version, seen in versions.items()} for name, versions in models.items()
        }
        waiting = self._path.with_name(self._path.name + ".new")
        try:
            with waiting.open("wb") as file:
                file.write(encode({"schema": SCHEMA, "models": document}))
                file.flush()
                os.fsync(file.fileno())
            waiting.replace(self._path)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StartError:
        return StartError(f"{self._path}, the record of the versions served, can't be written: {error.strerror}")


def _decoded(content: bytes) -> Models:
    document = json.loads(content)
    if document["schema"] != SCHEMA:
        raise ValueError(f"its schema is {document['schema']!r}, this service reads {SCHEMA}")
    return {
        name: {version: Seen(**seen) for version, seen in versions.items()}
        for name, versions in document["models"].items()
    }
