"""Start the command line as a user does, and see what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
PLAN = ROOT / "reference_service" / "readiness.toml"


def start_short_run(runs: Path, log: Path, plan: Path = PLAN) -> subprocess.Popen[bytes]:
    """A short run in a process group of its own, as a shell would start it."""
    command = [sys.executable, "-m", "tests.integration.short_run", "run", str(plan), "--runs", str(runs)]
    with log.open("wb") as output:
        return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)


def wait_for(condition: Callable[[], Any], limit_s: float, what: str) -> Any:
    """The first true value of `condition`, asked ten times a second; fails the test after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"not within {limit_s} s: {what}")


def events(runs: Path) -> list[dict[str, Any]]:
    """The timeline of the latest run so far."""
    path = runs / "latest" / "work" / "timeline.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def has_event(runs: Path, event: str, subject: str) -> bool:
    """Whether the latest run has come to this event."""
    return any((item["event"], item["subject"]) == (event, subject) for item in events(runs))


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Every process below `process`, itself not included."""
    return psutil.Process(process.pid).children(recursive=True)


def alive(processes: list[psutil.Process]) -> list[str]:
    """Command lines of those that still run; zombies do not."""
    return [
        " ".join(item.cmdline()[:4])
        for item in processes
        if item.is_running() and item.status() != psutil.STATUS_ZOMBIE
    ]
