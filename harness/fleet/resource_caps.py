"""Takes a resource away from running processes of a zone: memory, or the writing of files, by prlimit(2).

Rule: only the soft limit is lowered, so that it can be raised again without privilege. What the kernel says is the
truth: a process is capped where its soft limit is not the supervisor's own, with which it was started.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = {"memory_cap": resource.RLIMIT_DATA, "disk_full": resource.RLIMIT_FSIZE}
"""Memory: what a process may write to and shares with nobody; RLIMIT_AS would count gigabytes that it only reserved.
Disk: the size of files, so that every write fails with EFBIG, as beyond a quota."""


def cap(kind: str, pids: Iterable[int]) -> dict[int, int]:
    """Cap each process; returns the limit in bytes by pid. Raises OSError, or KeyError for an unknown kind."""
    return {pid: _cap(kind, pid) for pid in pids}


def uncap(kind: str, pids: Iterable[int]) -> None:
    """Give each process back what it was started with; a process that is gone needs nothing. Raises OSError."""
    own = resource.getrlimit(KINDS[kind])[0]
    for pid in pids:
        try:
            resource.prlimit(pid, KINDS[kind], (own, resource.prlimit(pid, KINDS[kind])[1]))
        except ProcessLookupError:
            continue


def capped(pids: Iterable[int]) -> dict[str, int]:
    """The caps in force on any of these processes, in bytes by kind."""
    found = {}
    for pid in pids:
        for kind, limit in KINDS.items():
            try:
                soft = resource.prlimit(pid, limit)[0]
            except ProcessLookupError:
                continue
            if soft != resource.getrlimit(limit)[0]:
                found[kind] = soft
    return found


def _cap(kind: str, pid: int) -> int:
    """Memory at what is in use now, files at no size; a process that is capped already stays so."""
    limit = KINDS[kind]
    soft, hard = resource.prlimit(pid, limit)
    if soft == resource.getrlimit(limit)[0]:
        soft = 0 if kind == "disk_full" else psutil.Process(pid).memory_info().data
        resource.prlimit(pid, limit, (soft, hard))
    return soft
