"""Remembers on disk every fault that is about to be made, so that whoever comes next can undo it.

Rule: standard library only. An entry is on the disk, synced, before the fault is made, and goes only when the fault is
proven gone; who is killed between the two leaves it behind. What can't be read is an error, never an empty journal.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

FAULTS_VARIABLE = "GONOGO_FAULTS"
"""Environment variable naming the journal's directory; without it, it is the user's own."""
PRIVATE = 0o700


class FaultJournalError(Exception):
    """The journal can't be written or read; the text says what and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFault:
    """A fault that was requested and not proven gone. `undo` is the "module:function" that removes it, by `arguments`.

    `environment` are the variables under which it was made, which name what it was made to; `pid` is who made it.
    """

    id: str
    fault: str
    subject: str
    undo: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    pid: int = field(default_factory=os.getpid)
    opened_unix_s: float = field(default_factory=time.time)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """The entry in `path`. Raises FaultJournalError."""
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise FaultJournalError(f"{path} can't be read: {error}; undo its fault by hand, then delete it") from error


def journal_directory() -> Path:
    """Where the environment says that the journal is, else the user's own directory of state."""
    if named := os.environ.get(FAULTS_VARIABLE):
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "gonogo" / "faults"


class FaultJournal:
    """The open faults of this user: one file each in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def open(
        self, fault: str, subject: str, undo: str, arguments: Mapping[str, Any], environment: Mapping[str, str]
    ) -> OpenFault:
        """Write an entry; it survives a power cut once this returns. Raises FaultJournalError: then make no fault."""
        entry = OpenFault(
            id=f"{time.time_ns()}-{secrets.token_hex(4)}",
            fault=fault,
            subject=subject,
            undo=undo,
            arguments=arguments,
            environment=environment,
        )
        path = self._path(entry.id)
        try:
            self.directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            _write_synced(path.with_suffix(".part"), json.dumps(dataclasses.asdict(entry), indent=1))
            path.with_suffix(".part").replace(path)
            _sync(self.directory)
        except OSError as error:
            raise FaultJournalError(f"the fault can't be written down in {self.directory}: {error}") from error
        return entry

    def close(self, entry: OpenFault) -> None:
        """Forget a fault that is proven gone; nothing happens to one that is forgotten already."""
        self._path(entry.id).unlink(missing_ok=True)

    def pending(self) -> list[OpenFault]:
        """Every open fault, the latest first: they are undone in this order. Raises FaultJournalError."""
        paths = sorted(self.directory.glob("*.json"), reverse=True)
        return [OpenFault.from_file(path) for path in paths]

    def _path(self, entry_id: str) -> Path:
        return self.directory / f"{entry_id}.json"


def _write_synced(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
