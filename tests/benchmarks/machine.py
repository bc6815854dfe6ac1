"""How busy the machine is with what is not ours, so that a measurement that other work spoiled is taken again.

Rule: other work can only be seen, never stopped; what it took stands beside every result.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TypeVar

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
FOREIGN_CORES_MAX = 0.25
"""As in harness/validity.py: more than that, and a run says too little of what was measured."""
TRIES = 3


class Machine:
    """The machine since this was made."""

    def __init__(self) -> None:
        self._begun = _reading()

    def foreign_cores(self) -> float:
        """Cores taken, on average, by processes that are no descendants of this one."""
        wall_s, busy_s, own_s = (now - then for now, then in zip(_reading(), self._begun, strict=True))
        return max(0.0, busy_s - own_s) / wall_s


def undisturbed(run: Callable[[], T]) -> T:
    """What `run` returned when other work took little of the machine, or at the third try."""
    for _ in range(TRIES):
        machine = Machine()
        found = run()
        if machine.foreign_cores() <= FOREIGN_CORES_MAX:
            break
    return found


def _reading() -> tuple[float, float, float]:
    """Now, and the seconds of processor time that everybody has used, and we and our descendants."""
    everybody, own = psutil.cpu_times(), os.times()
    living_s = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        living_s += times.user + times.system + times.children_user + times.children_system
    ours_s = own.user + own.system + own.children_user + own.children_system + living_s
    return time.monotonic(), everybody.user + everybody.nice + everybody.system, ours_s
