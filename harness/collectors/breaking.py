"""Runs one experiment under a load of its own, and writes down all that became of it.

Rule: the load runs outside Chaos Toolkit, starts before it and outlasts it; the journal is kept verbatim. When faults
are open after an experiment, they are on record and are healed, so that the next one meets a whole service.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.budget import failures_max
from harness.catalogue import CatalogueError, ExperimentFile, read_experiment
from harness.collectors import CollectError, Context
from harness.collectors.chaos_run import ChaosRun, Ended, experiment_environment, read_journal, run_chaos
from harness.collectors.driving import finish, load_spec, start, wait_started
from harness.collectors.safeguard import Safeguard
from harness.extension import SPIKE
from harness.fault_journal import FaultJournal, FaultJournalError, journal_directory
from harness.fleet.commands import SOCKET_VARIABLE
from harness.fleet.tether import tethered
from harness.load.phases import spike
from harness.load.spec import Phase
from harness.plan_gcp import ALLOW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.plan_types import Plan

CHAOS_START_S = 3.0
"""Measured 1.5 to 2.5 s on two busy cores: `chaos run` imports, validates, reads its steady state."""
RESTART_S = 3.0
"""A zone's processes start again and the edge takes them back within this, or the recovery is not fully observed."""
OVERTIME_S = 30.0
"""How much longer than planned an experiment may take: each of its readings waits for 20 s at most."""
HEAL_LIMIT_S = 120.0
"""Each undo, and the look at the zones after it, has a limit of its own of some 20 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run of the Plan's experiment `name`: which repeat, and its pauses before, while and after the fault holds."""

    name: str
    repeat: int = 1
    pauses_s: tuple[float, float, float]
    restart_s: float = RESTART_S

    @property
    def scenario(self) -> str:
        """What its load and its files are called."""
        return self.name if self.repeat == 1 else f"{self.name}#{self.repeat}"

    @property
    def length_s(self) -> float:
        """How long its load lasts, if its fault takes no longer than most: from before Chaos Toolkit starts."""
        return CHAOS_START_S + sum(self.pauses_s) + self.restart_s


def run_trial(context: Context, trial: Trial) -> dict[str, Any]:
    """Break the target under load; returns what the evidence says of this run.

    Raises CollectError when there was no load, or no file to run; what went wrong later is in the facts.
    """
    made_to = context.breakable
    variables = {**_settings(context.plan, trial), **made_to}
    experiment = context.plan.experiments[trial.name]
    file = _file(experiment.file_of(trial.name), variables)
    spec = load_spec(context, trial.scenario, _phases(context, trial, file))
    timeline = context.run.timeline
    variables |= timeline.environment()
    chaos = ChaosRun(name=trial.scenario, path=file.path, work=context.run.work, variables=variables)
    load = start(context, spec, "sustained.py")
    try:
        wait_started(context, load)
        safeguard = Safeguard(spec, failures_max(context.plan, experiment))
        timeline.add("experiment_started", trial.scenario, subjects=list(file.extension.subjects))
        ended = run_chaos(chaos, limit_s=spec.duration_s + OVERTIME_S, spent=safeguard.spent)
        timeline.add("experiment_ended", trial.scenario, exit_code=ended.exit_code, ended_by=ended.by)
        left = heal_after(made_to, variables)
        finish(load)
    finally:
        load.stop()
    return {**_named(trial, experiment.file_of(trial.name), file), **run_facts(chaos, ended), **left}


def _settings(plan: Plan, trial: Trial) -> dict[str, str]:
    """What the files leave to the run: the zones to break, where a second one is broken too, and the pauses."""
    named = dict(zip(("GONOGO_ZONE", "GONOGO_OTHER_ZONE"), plan.target.zones[1:], strict=False))
    before, hold, after = (str(pause) for pause in trial.pauses_s)
    return {**named, "GONOGO_BEFORE_S": before, "GONOGO_HOLD_S": hold, "GONOGO_AFTER_S": after}


def run_facts(chaos: ChaosRun, ended: Ended) -> dict[str, Any]:
    """How `chaos run` ended and what it wrote of itself; "error" says why there is no journal."""
    journal, error = read_journal(chaos, ended)
    return {"exit_code": ended.exit_code, "ended_by": ended.by, "journal": journal, "error": error}


def heal_after(made_to: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, Any]:
    """Which faults of what `made_to` names an experiment left open, and whether they are healed now."""
    open_faults = _open_faults(made_to)
    if open_faults:
        command = tethered([sys.executable, "-m", "experiments.heal"])
        try:
            subprocess.run(
                command, env=experiment_environment(variables), timeout=HEAL_LIMIT_S, capture_output=True, check=False
            )
        except subprocess.TimeoutExpired:
            return {"open_faults": open_faults, "healed": False}
    return {"open_faults": open_faults, "healed": not (open_faults and _open_faults(made_to))}


def _open_faults(made_to: Mapping[str, str]) -> list[str]:
    """Those made under the same socket of a fleet, or the same allow-list of Google Cloud."""
    names = [name for name in (SOCKET_VARIABLE, ALLOW) if name in made_to]
    try:
        pending = FaultJournal(journal_directory()).pending()
    except FaultJournalError as error:
        return [str(error)]
    mine = [entry for entry in pending if all(entry.environment.get(name) == made_to[name] for name in names)]
    return [f"{entry.fault} of {entry.subject}" for entry in mine]


def _file(file: str, variables: Mapping[str, str]) -> ExperimentFile:
    try:
        return read_experiment(file, {**os.environ, **variables})
    except CatalogueError as error:
        raise CollectError(str(error)) from error


def _named(trial: Trial, file: str, found: ExperimentFile) -> dict[str, Any]:
    named = {"experiment": trial.name, "repeat": trial.repeat, "scenario": trial.scenario}
    return {**named, "file": file, "file_sha256": found.sha256, "extension": found.extension.facts()}


def _phases(context: Context, trial: Trial, file: ExperimentFile) -> tuple[Phase, ...]:
    """The launch rate all along; or the spike's, from before the fault is made to about when it is undone."""
    traffic, (before_s, hold_s, after_s) = context.plan.traffic, trial.pauses_s
    longer_s = trial.restart_s + file.extension.longer_s
    if file.extension.load != SPIKE:
        return (Phase("load", traffic.launch_rps, CHAOS_START_S + before_s + hold_s + longer_s + after_s),)
    return spike(traffic.launch_rps, traffic.spike_rps, CHAOS_START_S, before_s + hold_s + longer_s, after_s)
