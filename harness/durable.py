"""Writes files that survive a power cut: content and the folder's entry are on the disk before anyone goes on.

Rule: standard library only. A new file is never written over another; who wants to replace one renames onto it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE = 0o700


def write_synced(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a new file, and its folders if need be; it is on the disk when this returns. Raises OSError."""
    path.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(directory: Path) -> None:
    """Bring the entries of `directory` to the disk. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folders(root: Path) -> None:
    """Bring the entries of a folder and of all folders below it to the disk. Raises OSError."""
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
        sync(folder)
