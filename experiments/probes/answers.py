"""Reads whether zones answer, and answer right: golden rows by direct calls past the edge.

Rule: see `experiments.probes`. Right is what the golden set of the version that a group was started for says, to the
tolerance of the reference Plan, by that version; no answer is not a right one.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from experiments import faults
from experiments.calls import ACCEPTED, Answers, answers, ports_of
from experiments.fleet import client, group, timeline
from experiments.probes.edge import traffic_goes_to
from experiments.probes.waiting import POLL_S, wait
from harness.artifact import Artifact, load_artifact
from harness.fleet.breakable import Breakable
from harness.fleet.reach import Reach

ROWS = 64
TOLERANCE = 1e-4
PAUSE_S = 0.2
"""Between two looks: a few calls a second beside a load of hundreds."""

Status = dict[str, Any]


def zones_answer_right(seconds: float = 0.0, but: str = "") -> bool:
    """Whether every process of every zone except `but` gives the golden answers, again and again for `seconds`."""
    status = client().status()
    groups = [zone for name, zone in status["zones"].items() if name != but]
    deadline = time.monotonic() + seconds
    while all(_is_right(status, zone) for zone in groups):
        if time.monotonic() >= deadline:
            return True
        time.sleep(PAUSE_S)
    return False


def worse_model_answers(version: str, fault: str, limit_s: float = 5.0) -> dict[str, Any]:
    """The candidate answers by this version and all traffic goes there; records `fault_in_place`."""
    status = client().status()
    own = _artifact(status, group(status, "candidate"))
    addresses = ports_of(group(status, "candidate"))
    wait(
        lambda: (
            traffic_goes_to("candidate") and all(answers(status, at, own, 1).version == version for at in addresses)
        ),
        limit_s,
        f"traffic does not go to the candidate's version {version}",
    )
    return {"version": version, "seen_ns": faults.in_place(fault, "candidate", "direct call", version=version)}


def wrong_answers_are_detected(fault: str, limit_s: float) -> bool:
    """Whether comparing the answers of who serves now with golden ones finds a wrong one within `limit_s`."""
    status = client().status()
    serving = _serving(status)
    deadline = time.monotonic() + limit_s
    while not any(_answers_wrongly(status, each) for each in serving):
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_S)
    timeline().add("wrong_answers_detected", "candidate", fault=fault, reading="golden answers by direct calls")
    return True


def traffic_is_answered_right(fault: str, limit_s: float = 10.0) -> dict[str, Any]:
    """All traffic goes to the zones, and zones and candidate answer right; records `fault_removed`."""
    status = client().status()
    groups = [*status["zones"].values(), group(status, "candidate")]
    wait(
        lambda: traffic_goes_to("primary") and all(_is_right(status, each) for each in groups),
        limit_s,
        "not every zone and the candidate answer right",
    )
    return {"seen_ns": faults.gone(fault, "candidate", "golden answers by direct calls")}


def zone_says_serving(zone: str) -> bool:
    """Whether every process of the zone says SERVING to a direct call."""
    status = client().status()
    reach = Reach.of(status)
    return all(reach.serves(address) for address in ports_of(group(status, zone)))


def zone_never_serves(zone: str, watch_s: float) -> bool:
    """Whether no process of a restarted zone says SERVING for `watch_s`, or before all of them have given up."""
    deadline = time.monotonic() + watch_s
    while time.monotonic() < deadline:
        status = client().status()
        reach, of_zone = Reach.of(status), group(status, zone)
        if any(reach.serves(address) for address in ports_of(of_zone)):
            return False
        if not of_zone["pids"]:
            return True
        time.sleep(POLL_S)
    return True


def _serving(status: Status) -> list[Status]:
    """The groups to which the supervisor's route sends all traffic."""
    if status["route"]["to"] == "candidate":
        return [group(status, "candidate")]
    return list(status["zones"].values())


def _artifact(status: Status, of_group: Status) -> Artifact:
    breakable = Breakable.of(status)
    return load_artifact(Path(breakable.registry), breakable.model, of_group["version"])


def _is_right(status: Status, of_group: Status) -> bool:
    """Whether each process of a group gives the golden answers, by the version that it was started for."""
    artifact = _artifact(status, of_group)
    found = [answers(status, address, artifact, ROWS) for address in ports_of(of_group)]
    return all(each.version == of_group["version"] and _are_golden(each, artifact) for each in found)


def _answers_wrongly(status: Status, of_group: Status) -> bool:
    """Whether a process of a group gives other values than the golden ones, whatever version it says that it is."""
    artifact = _artifact(status, of_group)
    found = [answers(status, address, artifact, ROWS) for address in ports_of(of_group)]
    return any(each.code == ACCEPTED and not _are_golden(each, artifact) for each in found)


def _are_golden(found: Answers, artifact: Artifact) -> bool:
    return bool(np.all(np.abs(found.values - artifact.expected[:ROWS]) <= TOLERANCE))
