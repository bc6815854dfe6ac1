"""Removes what a killed supervisor could not: its sockets, and the keys and certificates of its fleet.

Rule: only in a directory that is this user's alone, and only where the lock says that no supervisor lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.fleet.client import FleetError
from harness.fleet.control_socket import SECRETS, refuse_if_not_private

if TYPE_CHECKING:
    from collections.abc import Iterable

TEMPORARY = "gonogo-*"
"""What the directories of fleets without a socket of their own are called, and that of this user's one by hand."""


def remove_leftovers(named: Iterable[Path] = ()) -> list[Path]:
    """The directories, of those `named` and of the temporary ones, out of which a dead fleet's secrets were removed."""
    directories = {*named, *Path(tempfile.gettempdir()).glob(TEMPORARY)}
    return [directory for directory in sorted(directories) if _cleared(directory)]


def _cleared(directory: Path) -> bool:
    if not (directory / SECRETS).is_dir():
        return False
    with contextlib.suppress(FleetError, OSError):
        refuse_if_not_private(directory)
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _clear(directory)
        finally:
            os.close(lock)
        return True
    return False


def _clear(directory: Path) -> None:
    shutil.rmtree(directory / SECRETS)
    for socket in directory.glob("*.sock"):
        socket.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody keeps other files there
        directory.rmdir()
