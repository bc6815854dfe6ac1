"""Runs Chaos Toolkit experiments under load, each by the real `chaos run` in a process of its own.

Rule: the load runs outside Chaos Toolkit, starts before it and outlasts it; rollbacks always play; the journal is kept
verbatim and its exit code is only recorded.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.collectors import CollectError, Collector, Context
from harness.collectors.driving import finish, load_spec, start, wait_started
from harness.fleet.commands import SOCKET_VARIABLE
from harness.fleet.tether import tethered
from harness.load.spec import Phase
from harness.model import Evidence

if TYPE_CHECKING:
    from harness.plan_types import Experiment

EXPERIMENT_FOLDER = Path(__file__).resolve().parents[2] / "experiments"
CHAOS_START_S = 3.0
"""Measured 1.5 to 2.5 s on two busy cores: `chaos run` imports, validates, reads its steady state."""
RESTART_S = 3.0
"""A zone's processes start again and the edge takes them back within this, or the recovery is not fully observed."""
INTERRUPT_GRACE_S = 3.0
"""Rollbacks play within this; then the fleet goes down, which heals everything that is left."""


def collect_zone_crash(context: Context) -> tuple[Evidence, ...]:
    """Crash the second zone of the Plan under the launch rate."""
    profile = context.profile
    zone = context.plan.target.zones[1]
    pauses = (profile.fault_before_s, profile.fault_hold_s, profile.fault_after_s)
    length_s = CHAOS_START_S + sum(pauses) + RESTART_S
    return (_collect(context, "zone_crash", pauses, {"GONOGO_ZONE": zone}, length_s=length_s, target_zone=zone),)


def collect_rollback(context: Context) -> tuple[Evidence, ...]:
    """Switch all traffic to the candidate and back under the launch rate."""
    profile = context.profile
    pauses = (profile.switch_before_s, profile.switch_hold_s, profile.switch_after_s)
    return (_collect(context, "rollback", pauses, {}, length_s=CHAOS_START_S + sum(pauses), target_zone=""),)


def _collect(
    context: Context,
    name: str,
    pauses: tuple[float, float, float],
    variables: dict[str, str],
    *,
    length_s: float,
    target_zone: str,
) -> Evidence:
    experiment = context.plan.experiments.get(name)  # type: ignore[call-overload]  # the two names are the keys
    if experiment is None:
        raise CollectError(f"the Plan names no experiment {name}; add [experiments.{name}] to judge it")
    context.require_fleet()
    context.progress.step(f"Chaos: {name.replace('_', ' ')} under load", length_s + 3)
    before, hold, after = (str(pause) for pause in pauses)
    variables = variables | {"GONOGO_BEFORE_S": before, "GONOGO_HOLD_S": hold, "GONOGO_AFTER_S": after}
    spec = load_spec(context, name, (Phase("load", context.plan.traffic.launch_rps, length_s),))
    load = start(context, spec, "sustained.py")
    try:
        wait_started(context, load)
        context.run.timeline.add("experiment_started", name)
        exit_code = _run_chaos(context, name, experiment, variables, limit_s=length_s + 60)
        context.run.timeline.add("experiment_ended", name, exit_code=exit_code)
        finish(load)
    finally:
        load.stop()
    return _evidence(context, name, experiment, exit_code, target_zone)


def _run_chaos(
    context: Context, name: str, experiment: Experiment, variables: dict[str, str], *, limit_s: float
) -> int:
    work = context.run.work
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--settings", str(work / "chaos.yaml")]
    command += ["--log-file", str(work / f"{name}.chaos.log"), "run", "--rollback-strategy", "always"]
    command += ["--journal-path", str(_journal_path(context, name)), str(EXPERIMENT_FOLDER / experiment.file)]
    environment = os.environ | variables | context.run.timeline.environment()
    environment[SOCKET_VARIABLE] = str(context.require_fleet().client.socket_path)
    environment["PYTHONPATH"] = os.pathsep.join([str(EXPERIMENT_FOLDER.parent), environment.get("PYTHONPATH", "")])
    with (work / f"{name}.chaos.out").open("wb") as output:
        process = subprocess.Popen(
            tethered(command), stdout=output, stderr=output, env=environment, start_new_session=True
        )
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise CollectError(f"chaos run of {name} did not end within {limit_s:.0f} s") from error
        finally:
            _interrupt(process)


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """End a `chaos run` so that its rollbacks still play: SIGINT, which all its versions honour, then SIGKILL."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(INTERRUPT_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _evidence(context: Context, name: str, experiment: Experiment, exit_code: int, target_zone: str) -> Evidence:
    try:
        journal: dict[str, Any] = json.loads(_journal_path(context, name).read_bytes())
    except (OSError, ValueError) as error:
        raise CollectError(f"chaos run of {name} left no journal (exit {exit_code}): {error}") from error
    content = (EXPERIMENT_FOLDER / experiment.file).read_bytes()
    facts = {
        "experiment": name,
        "file": experiment.file,
        "file_sha256": hashlib.sha256(content).hexdigest(),
        "exit_code": exit_code,
        "target_zone": target_zone,
        "journal": {key: value for key, value in journal.items() if key != "node"},
    }
    return Evidence(id=name, collector="chaos", subject=context.run.info.subject, facts=facts)


def _journal_path(context: Context, name: str) -> Path:
    return context.run.work / f"{name}.journal.json"


COLLECTORS = (
    Collector(ids=("zone_crash",), order=60, collect=collect_zone_crash, needs_control=True),
    Collector(ids=("rollback",), order=70, collect=collect_rollback, needs_control=True),
)
