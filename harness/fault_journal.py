"""Remembers on disk every fault that is about to be made, so that whoever comes next can undo it.

Rule: standard library only. An entry is on the disk, synced, before the fault is made, and goes only when the fault is
proven gone; who is killed between the two leaves it behind. What can't be read is an error, never an empty journal.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from harness.durable import PRIVATE, sync, write_synced
from harness.process_identity import Life, ProcessIdentity, own_identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FAULTS_VARIABLE = "GONOGO_FAULTS"
"""Environment variable naming the journal's directory; without it, it is the user's own."""
LOCK_POLL_S = 0.05


class FaultJournalError(Exception):
    """The journal can't be written or read; the text says what and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFault:
    """A fault that was requested and not proven gone. `undo` is the "module:function" that removes it, by `arguments`.

    `environment` are the variables under which it was made, which name what it was made to. `maker` is the process that
    made it, `fleet` the supervisor of the zones it was made to ("" if there are none); each a ProcessIdentity as text.
    """

    id: str
    fault: str
    subject: str
    undo: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    fleet: str = ""
    maker: str = field(default_factory=lambda: str(own_identity()))
    opened_unix_s: float = field(default_factory=time.time)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """The entry in `path`. Raises FaultJournalError."""
        try:
            entry = cls(**json.loads(path.read_text()))
            _ = [ProcessIdentity.parse(text) for text in (entry.maker, entry.fleet) if text]
        except (OSError, ValueError, TypeError) as error:
            raise FaultJournalError(f"{path} can't be read: {error}; undo its fault by hand, then delete it") from error
        return entry

    def made_by(self) -> Life:
        """Whether its maker, who undoes it in time if nothing happens to him, still lives."""
        return ProcessIdentity.parse(self.maker).life()

    def fleet_lives(self) -> bool:
        """Whether what it was made to may still be there: its fleet's supervisor lives, or it is of no fleet."""
        return not self.fleet or ProcessIdentity.parse(self.fleet).life() is not Life.DEAD


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
        self,
        fault: str,
        subject: str,
        undo: str,
        arguments: Mapping[str, Any],
        environment: Mapping[str, str],
        *,
        fleet: str = "",
    ) -> OpenFault:
        """Write an entry; it survives a power cut once this returns. Raises FaultJournalError: then make no fault."""
        entry = OpenFault(
            id=f"{time.time_ns()}-{secrets.token_hex(4)}",
            fault=fault,
            subject=subject,
            undo=undo,
            arguments=arguments,
            environment=environment,
            fleet=fleet,
        )
        path = self.path(entry)
        try:
            self.directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            write_synced(path.with_suffix(".part"), json.dumps(dataclasses.asdict(entry), indent=1).encode())
            path.with_suffix(".part").replace(path)
            sync(self.directory)
        except OSError as error:
            raise FaultJournalError(f"the fault can't be written down in {self.directory}: {error}") from error
        return entry

    def close(self, entry: OpenFault) -> None:
        """Forget a fault that is proven gone; nothing happens to one that is forgotten already."""
        self.path(entry).unlink(missing_ok=True)

    def pending(self) -> list[OpenFault]:
        """Every open fault, the latest first: they are undone in this order. Raises FaultJournalError."""
        paths = sorted(self.directory.glob("*.json"), reverse=True)
        found = [_read(path) for path in paths]
        return [entry for entry in found if entry is not None]

    def abandoned(self) -> list[OpenFault]:
        """Every open fault whose maker is dead, the latest first. Raises FaultJournalError."""
        return [entry for entry in self.pending() if entry.made_by() is Life.DEAD]

    def path(self, entry: OpenFault) -> Path:
        """The file of an entry."""
        return self.directory / f"{entry.id}.json"

    @contextlib.contextmanager
    def locked(self, limit_s: float) -> Iterator[None]:
        """Alone among those who heal. Raises FaultJournalError when somebody else still heals after `limit_s`."""
        self.directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        deadline = time.monotonic() + limit_s
        try:
            while not _lock(descriptor):
                if time.monotonic() > deadline:
                    raise FaultJournalError(
                        f"another command has been healing for {limit_s:g} s; wait for it, then retry"
                    )
                time.sleep(LOCK_POLL_S)
            yield
        finally:
            os.close(descriptor)


def _read(path: Path) -> OpenFault | None:
    """The entry in `path`; None when it was closed a moment ago."""
    try:
        return OpenFault.from_file(path)
    except FaultJournalError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
