"""Keeps the original of a file that an experiment is about to change, and puts it back byte for byte.

Rule: the original is on the disk, whole, under a name that says its SHA-256, before the file is touched. Putting it
back is one rename, checked by that digest, and may be called at any time, again and again, also after a kill half-way.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from chaoslib.exceptions import ActivityFailed

from harness.durable import sync, write_synced

if TYPE_CHECKING:
    from pathlib import Path

_PREFIX = ".original-"


def keep(path: Path, beside: Path) -> str:
    """Keep the content of `path` in the folder `beside`; returns its SHA-256. Raises ActivityFailed if one is kept."""
    if (kept := _kept(path, beside)) is not None:
        raise ActivityFailed(f"{path} was changed before and its original still lies at {kept}: undo that first")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    place = beside / f"{_PREFIX}{digest}-{path.name}"
    part = place.with_suffix(".part")
    part.unlink(missing_ok=True)  # of one who was killed here
    write_synced(part, content, path.stat().st_mode & 0o777)
    part.replace(place)
    sync(beside)
    return digest


def put_back(path: Path, beside: Path) -> bool:
    """Make `path` its original again; returns whether one was kept. Raises ActivityFailed if that is not itself."""
    kept = _kept(path, beside)
    if kept is None:
        return False
    stated = kept.name.removeprefix(_PREFIX)[:64]
    if digest_of(kept) != stated:
        raise ActivityFailed(f"{kept} is not the file that was kept: its SHA-256 is another; restore {path} by hand")
    kept.replace(path)
    return True


def forget(path: Path, beside: Path) -> None:
    """Let go of the original: what is there now is meant to stay."""
    if (kept := _kept(path, beside)) is not None:
        kept.unlink()


def replace(path: Path, content: bytes) -> None:
    """Write `path` anew in one step, so that whoever reads it sees the old content or the new."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _kept(path: Path, beside: Path) -> Path | None:
    return next(iter(sorted(beside.glob(f"{_PREFIX}{'?' * 64}-{path.name}"))), None)
