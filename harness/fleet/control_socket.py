"""The supervisor's end of the control socket: a private directory, locked for the life of the supervisor.

Rule: whoever can write to the socket can kill and start processes, so only the same user can reach it. The lock, not
the socket's file, says whether a fleet is up there: the kernel frees it when the supervisor dies, however it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from typing import TYPE_CHECKING, Self

from harness.fleet.client import FleetError

if TYPE_CHECKING:
    from pathlib import Path


SECRETS = "secrets"
"""Name of the directory of keys and certificates, beside the sockets."""


class ControlSocket:
    """A context in which `path` is ours alone; leaving it removes the socket and its directory, if that is empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = -1

    def __enter__(self) -> Self:
        directory = self._path.parent
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        refuse_if_not_private(directory)
        self._lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise FleetError(f"a fleet is already up at {self._path}") from error
        return self

    def listen(self) -> socket.socket:
        """The socket, in place of one that a killed supervisor may have left."""
        self._path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(self._path))
        self._path.chmod(0o600)
        return listening

    def __exit__(self, *exception: object) -> None:
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody keeps other files there
            self._path.parent.rmdir()
        os.close(self._lock)


def refuse_if_not_private(directory: Path) -> None:
    """Raise FleetError unless `directory` is a real one that belongs to this user and is closed to all others."""
    facts = directory.lstat()
    private = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o077
    if not private:
        raise FleetError(f"{directory} is not a directory that only this user can enter")
