"""Runs a command and says what it cost, as JSON: `python -m tests.benchmarks.measured COMMAND...`.

Rule: standard library only, and a process of its own: Linux counts the memory of whoever starts a process in that
process's peak, so it must be started by something small.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Cost:
    """What one run of a command took, from its start to its end."""

    exit_code: int
    wall_s: float
    cpu_s: float
    peak_bytes: int


def cost_of(*command: str) -> Cost:
    """Run `command` from the root of the tree until it ends."""
    wrapped = [sys.executable, "-S", __file__, *command]
    done = subprocess.run(wrapped, cwd=ROOT, capture_output=True, text=True, check=True, timeout=200)
    return Cost(**json.loads(done.stdout))


def _measure(command: list[str]) -> dict[str, float]:
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    return {
        "exit_code": os.waitstatus_to_exitcode(status),
        "wall_s": time.perf_counter() - begun,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure(sys.argv[1:])))
