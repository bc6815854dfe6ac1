"""Says of a process whether it still lives, long after it was noted and even if its number was given to another.

Rule: standard library only, and Linux's process table only. A process of another machine, container or namespace can't
be seen from here; it counts as neither alive nor dead, and whoever asks leaves it alone.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

OWNER_VARIABLE = "GONOGO_OWNER"
"""Environment variable naming the process that this one must not outlive."""
_PROC = Path("/proc")
_DEAD = frozenset("ZXx")
"""A zombie only waits for its parent to look (proc(5))."""
_STATE, _STARTED = 0, 19
"""Fields 3 and 22 of /proc/PID/stat, counted from the end of the name, which may hold spaces and brackets."""


class Life(StrEnum):
    """What the process table here says of a process."""

    ALIVE = "alive"
    DEAD = "dead"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, by its number, when it began (clock ticks since boot), and where that number means it."""

    host: str
    namespace: str
    boot: str
    started_ticks: int
    pid: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """The process `pid` as it is now. Raises ProcessLookupError when there is none."""
        fields = _stat(pid)
        if fields is None:
            raise ProcessLookupError(f"no process {pid}")
        return cls(*_here(), int(fields[_STARTED]), pid)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The identity that `str` wrote. Raises ValueError."""
        host, namespace, boot, started, pid = text.rsplit("/", 4)
        return cls(host, namespace, boot, int(started), int(pid))

    def __str__(self) -> str:
        return f"{self.host}/{self.namespace}/{self.boot}/{self.started_ticks}/{self.pid}"

    def life(self) -> Life:
        """Whether it lives. One from before the last boot of this host is dead."""
        host, namespace, boot = _here()
        if self.host != host:
            return Life.ELSEWHERE
        if self.boot != boot:
            return Life.DEAD
        if self.namespace != namespace:
            return Life.ELSEWHERE
        fields = _stat(self.pid)
        lives = fields is not None and int(fields[_STARTED]) == self.started_ticks and fields[_STATE] not in _DEAD
        return Life.ALIVE if lives else Life.DEAD


def own_identity() -> ProcessIdentity:
    """This process."""
    return ProcessIdentity.of(os.getpid())


def _here() -> tuple[str, str, str]:
    namespace = (_PROC / "self/ns/pid").readlink().name
    return socket.gethostname(), namespace, (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> list[str] | None:
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
