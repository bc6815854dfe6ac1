"""Ends processes that outlived the one that they belong to.

Rule: only what carries our own mark in its environment, of an owner that this machine's process table shows to be
dead, is ended; it is first given the time to end by itself. What can't be read is not ours.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from harness.process_identity import OWNER_VARIABLE, Life, ProcessIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAVE_S = 5.0
"""A supervisor whose lease broke has killed its fleet and removed its secrets long before."""
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Orphan:
    """A process that had to be killed, and how it was called."""

    pid: int
    command: str


def end_orphans(limit_s: float = LEAVE_S) -> list[Orphan]:
    """Wait until every process whose owner is dead has ended, and kill those that have not within `limit_s`."""
    deadline = time.monotonic() + limit_s
    while (left := _orphans()) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    killed = []
    for process in left:
        with contextlib.suppress(psutil.Error):
            killed.append(Orphan(process.pid, " ".join(process.cmdline()[:6])))
            process.kill()
    psutil.wait_procs(left, timeout=limit_s)
    return killed


def _orphans() -> list[psutil.Process]:
    found = psutil.process_iter(["environ", "status"])
    return [item for item in found if item.info["status"] != psutil.STATUS_ZOMBIE and _is_orphan(item.info["environ"])]


def _is_orphan(environment: Mapping[str, str] | None) -> bool:
    try:
        return ProcessIdentity.parse((environment or {})[OWNER_VARIABLE]).life() is Life.DEAD
    except (KeyError, ValueError):
        return False
