"""Runs one Chaos Toolkit file by the real `chaos run`, in a process of its own, and ends it when it must end.

Rule: rollbacks always play, also of a run that is ended early: by SIGINT, which all versions honour, and once only, for
a second one would cut them short. Its exit code is recorded and decides nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.catalogue import EXPERIMENT_FOLDER
from harness.fleet.tether import tethered
from harness.journal import SAFEGUARD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

POLL_S = 0.25
"""How often the safeguard looks: what fails meanwhile is the most that it can be late by."""
ROLLBACK_LIMIT_S = 30.0
"""Rollbacks play within this; restarting a zone, the slowest of them, may take 20 s."""
INTERRUPT_GRACE_S = 3.0
"""The same when this process itself is being ended; the fleet then goes down, which heals everything that is left."""
ROLLING_BACK = b"Let's rollback..."
"""What Chaos Toolkit logs before the first rollback, in every version."""

ITSELF, TIME_LIMIT = "itself", "time limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosRun:
    """One file to run: what it leaves lies in `work` under `name`; `variables` are its environment's additions."""

    name: str
    path: Path
    work: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """What Chaos Toolkit logs."""
        return self.work / f"{self.name}.chaos.log"

    @property
    def journal(self) -> Path:
        """The journal that it writes at its end."""
        return self.work / f"{self.name}.journal.json"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its exit code, and who ended it."""

    exit_code: int
    by: str


def run_chaos(run: ChaosRun, *, limit_s: float, spent: Callable[[], bool] = lambda: False) -> Ended:
    """Run it to its end, or until `spent` says that enough has failed, or for `limit_s`; rollbacks always play."""
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--settings", str(run.work / "chaos.yaml")]
    command += ["--log-file", str(run.log), "run", "--rollback-strategy", "always"]
    command += ["--journal-path", str(run.journal), str(run.path)]
    with (run.work / f"{run.name}.chaos.out").open("wb") as output:
        process = subprocess.Popen(
            tethered(command),
            stdout=output,
            stderr=output,
            env=experiment_environment(run.variables),
            start_new_session=True,
        )
        try:
            by = _watch(process, run, time.monotonic() + limit_s, spent)
        finally:
            _interrupt(process, INTERRUPT_GRACE_S)
    return Ended(process.returncode, by)


def experiment_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with `variables`, in which the experiments' own modules are found."""
    path = os.pathsep.join(filter(None, [str(EXPERIMENT_FOLDER.parent), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, **variables}


def read_journal(run: ChaosRun, ended: Ended) -> tuple[dict[str, Any] | None, str]:
    """What the run wrote of itself without the name of this machine, or None and why not."""
    try:
        journal = json.loads(run.journal.read_bytes(), parse_constant=str)
        return {key: value for key, value in journal.items() if key != "node"}, ""
    except FileNotFoundError:
        return None, f"no journal: chaos run left none (exit code {ended.exit_code})"
    except (OSError, ValueError, AttributeError) as error:
        return None, f"journal truncated (exit code {ended.exit_code}): {error}"


def _watch(process: subprocess.Popen[bytes], run: ChaosRun, deadline: float, spent: Callable[[], bool]) -> str:
    """Wait for the end, whoever brings it; a run that is healing already is left to it."""
    while True:
        try:
            process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            by = SAFEGUARD if spent() else TIME_LIMIT if time.monotonic() > deadline else ""
            if not by:
                continue
            if _rolls_back(run):
                _wait(process, ROLLBACK_LIMIT_S)
            _interrupt(process, ROLLBACK_LIMIT_S)
            return by
        return ITSELF


def _rolls_back(run: ChaosRun) -> bool:
    return run.log.exists() and ROLLING_BACK in run.log.read_bytes()


def _interrupt(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """End a run that has not ended: SIGINT, `grace_s` for its rollbacks, then SIGKILL."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    _wait(process, grace_s)
    if process.poll() is None:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], limit_s: float) -> None:
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return
