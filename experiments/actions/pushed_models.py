"""Pushes bad versions of the model to the fleet, and takes them away again.

Rule: see `experiments.actions`. Only the fleet's own copy of the registry is written to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from chaoslib.exceptions import ActivityFailed

from experiments import faults
from experiments.calls import ACCEPTED, load_version, ports_of, unload_version
from experiments.fleet import client, group, timeline
from experiments.probes.answers import traffic_is_answered_right
from experiments.probes.registry import version_is_gone
from experiments.pushed import GOLDEN_FILE, MODEL_FILE, answers_of, golden_file, push, version_folder, withdraw
from experiments.weights import negated
from harness.artifact import load_artifact
from harness.fleet.breakable import Breakable
from harness.fleet.spec import CANDIDATE, PRIMARY

UNLOADABLE = "unloadable_model"
TRUNCATED = "truncated"
WORSE = "worse_model"
SILENTLY_WORSE = "silently-worse"
REGISTRY = "registry"
"""What an unloadable version is made to: no zone is broken by it."""
ANSWER_TOLERANCE = 1e-4
"""As in the reference Plan: what differs by less decides no flight differently."""


def push_unloadable_model() -> dict[str, Any]:
    """Push a signed version whose digests are right and whose model ends in the middle."""
    status = client().status()
    breakable = Breakable.of(status)
    base = next(iter(status["zones"].values()))["version"]
    model = (version_folder(breakable, base) / MODEL_FILE).read_bytes()
    requested_ns = faults.request(UNLOADABLE, REGISTRY, undo=roll_back_unloadable_model)
    push(breakable, base, TRUNCATED, {MODEL_FILE: model[: len(model) // 2]})
    return {"version": TRUNCATED, "based_on": base, "requested_ns": requested_ns}


def ask_every_zone_to_load(version: str) -> dict[str, str]:
    """Ask every process of every zone to load and promote a version; what each said."""
    status = client().status()
    model = Breakable.of(status).model
    addresses = [address for zone in status["zones"].values() for address in ports_of(zone)]
    return {address: load_version(status, address, model, version) for address in addresses}


def withdraw_unloadable_model() -> dict[str, Any]:
    """Take the unloadable version out of the registry; nothing happens if it is not there."""
    withdrawn = withdraw(Breakable.of(client().status()), TRUNCATED)
    if withdrawn:
        timeline().add("fault_removal_requested", REGISTRY, fault=UNLOADABLE)
    return {"withdrawn": withdrawn}


def roll_back_unloadable_model() -> dict[str, Any]:
    """The undo: `withdraw_unloadable_model`, and the proof that it is gone, where a fault is open."""
    done = withdraw_unloadable_model()
    if faults.is_open(UNLOADABLE, REGISTRY):
        version_is_gone(TRUNCATED, UNLOADABLE)
    return done


def promote_worse_model() -> dict[str, Any]:
    """Push a signed version that agrees with its own golden set and answers wrongly; send all traffic to it."""
    fleet = client()
    status = fleet.status()
    breakable, base = Breakable.of(status), group(status, CANDIDATE)["version"]
    model, golden, changed_share = _worse(breakable, base)
    requested_ns = faults.request(WORSE, CANDIDATE, undo=roll_back_worse_model)
    push(breakable, base, SILENTLY_WORSE, {MODEL_FILE: model, GOLDEN_FILE: golden})
    for address in ports_of(group(status, CANDIDATE)):
        said = load_version(status, address, breakable.model, SILENTLY_WORSE)
        if said != ACCEPTED:
            raise ActivityFailed(f"the candidate does not load {SILENTLY_WORSE}: {said}")
    fleet.route(to=CANDIDATE, mirror=False)
    return {"version": SILENTLY_WORSE, "wrong_share": changed_share, "requested_ns": requested_ns}


def take_back_worse_model() -> dict[str, Any]:
    """Send traffic to the zones, have the candidate serve its own version, remove the worse one; may be repeated."""
    fleet = client()
    status = fleet.status()
    breakable, candidate = Breakable.of(status), group(status, CANDIDATE)
    if not version_folder(breakable, SILENTLY_WORSE).exists():
        return {"taken_back": False}
    timeline().add("fault_removal_requested", CANDIDATE, fault=WORSE)
    if status["route"]["to"] != PRIMARY:
        fleet.route(to=PRIMARY, mirror=False)
    said = [_own_version_again(status, address, breakable.model, candidate) for address in ports_of(candidate)]
    withdraw(breakable, SILENTLY_WORSE)
    return {"taken_back": True, "candidate": said}


def roll_back_worse_model() -> dict[str, Any]:
    """The undo: `take_back_worse_model`, and the proof that everything answers right, where a fault is open."""
    done = take_back_worse_model()
    if faults.is_open(WORSE, CANDIDATE):
        traffic_is_answered_right(WORSE)
    return done


def _own_version_again(status: dict[str, Any], address: str, model: str, candidate: dict[str, Any]) -> str:
    """Make one process of the candidate serve what it was started for; a process that is down starts with that."""
    said = load_version(status, address, model, candidate["version"])
    if said != ACCEPTED and candidate["state"] != "down":
        raise ActivityFailed(f"the candidate at {address} does not go back to {candidate['version']}: {said}")
    unload_version(status, address, model, SILENTLY_WORSE)  # refused if it was never loaded
    return said


def _worse(breakable: Breakable, base: str) -> tuple[bytes, bytes, float]:
    """Model and golden set of the worse version, and the share of golden rows that it answers otherwise."""
    right = load_artifact(Path(breakable.registry), breakable.model, base)
    model = negated((version_folder(breakable, base) / MODEL_FILE).read_bytes())
    expected = answers_of(model, right.inputs)
    share = float((np.abs(expected - right.expected) > ANSWER_TOLERANCE).mean())
    if share == 0:
        raise ActivityFailed("the changed model answers as the right one does: there is nothing to detect")
    return model, golden_file(right, expected), share
