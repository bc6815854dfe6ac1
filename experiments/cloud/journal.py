"""A cloud fault's three moments, and the arguments that its undo needs, kept in the journal of open faults.

Rule: see `experiments.faults`; an entry names the resource, and of one resource only one fault is open. In a dry run
nothing is written to the disk or the timeline: what would have been is remembered here, so that the undo is shown too.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from chaoslib.exceptions import ActivityFailed

from experiments.cloud.allow_list import ALLOW_VARIABLE
from experiments.cloud.calls import dry_run
from experiments.fleet import timeline
from experiments.probes.waiting import wait
from harness.fault_journal import FaultJournal, OpenFault, journal_directory

if TYPE_CHECKING:
    from collections.abc import Callable

RESOURCE_VARIABLE = "GONOGO_GCP_RESOURCE"
"""Names in a journal's entry what the fault was made to."""
REACH = (
    ALLOW_VARIABLE,
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GCP_APPLICATION_CREDENTIALS",
    "CLOUDSDK_CONFIG",
    "KUBECONFIG",
    "KUBERNETES_CONTEXT",
)
"""Variables by which the undo reaches what the fault reached. None of them holds a secret, only where one is."""
POLL_S = 0.5
"""Between two readings of one resource."""

_imagined: list[OpenFault] = []
_made_here: set[str] = set()


def request(fault: str, subject: str, resource: str, undo: Callable[..., Any], /, **arguments: Any) -> int:
    """Say that `fault` is about to be made to the resource at that path; returns when (ns).

    Raises ActivityFailed when an earlier fault of it is still open: what it saved would be lost.
    """
    if _of(fault, subject, resource):
        raise ActivityFailed(f"an earlier {fault} of {resource} is still open: first undo it with: gonogo fleet heal")
    name = f"{undo.__module__}:{undo.__name__}"
    reach = {name: os.environ[name] for name in REACH if name in os.environ} | {RESOURCE_VARIABLE: resource}
    if dry_run():
        imagined = OpenFault(id="", fault=fault, subject=subject, undo=name, arguments=arguments, environment=reach)
        _imagined.append(imagined)
        return 0
    entry = FaultJournal(journal_directory()).open(fault, subject, name, arguments, reach)
    _made_here.add(entry.id)
    return timeline().add("fault_requested", subject, fault=fault)


def in_place(fault: str, subject: str, reading: str, **detail: Any) -> int:
    """Say that `reading` first saw the fault; returns when (ns)."""
    return 0 if dry_run() else timeline().add("fault_in_place", subject, fault=fault, reading=reading, **detail)


def removing(fault: str, subject: str) -> None:
    """Say that the fault's removal is about to be requested."""
    if not dry_run():
        timeline().add("fault_removal_requested", subject, fault=fault)


def gone(fault: str, subject: str, resource: str, reading: str, **detail: Any) -> int:
    """Say that `reading` saw the fault gone, and close its entry; returns when (ns)."""
    if dry_run():
        _imagined.clear()
        return 0
    stamp = timeline().add("fault_removed", subject, fault=fault, reading=reading, **detail)
    for entry in _of(fault, subject, resource):
        FaultJournal(journal_directory()).close(entry)
    return stamp


def kept(fault: str, subject: str, resource: str) -> dict[str, Any]:
    """The arguments of the undo of this fault. Raises ActivityFailed when none is open."""
    for entry in _of(fault, subject, resource):
        return dict(entry.arguments)
    raise ActivityFailed(f"no {fault} of {resource} is open: none was requested, or it is undone already")


def undo_open_faults(fault: str, subject: str) -> list[dict[str, str]]:
    """The rollback of every cloud experiment: undo each such fault that this run made and did not see gone.

    What a killed run left is for `gonogo fleet heal`. Raises ActivityFailed.
    """
    played = []
    for entry in _pending(fault, subject):
        if entry.id in _made_here or dry_run():
            module, _, function = entry.undo.partition(":")
            getattr(importlib.import_module(module), function)(**entry.arguments)
            played.append({"undo": entry.undo, "resource": entry.environment[RESOURCE_VARIABLE]})
    return played


def until(condition: Callable[[], bool], limit_s: float, failure: str) -> None:
    """Wait until a reading holds. In a dry run it is read once: what was not made will not show."""
    if dry_run():
        condition()
        return
    wait(condition, limit_s, failure, poll_s=POLL_S)


def _of(fault: str, subject: str, resource: str) -> list[OpenFault]:
    return [entry for entry in _pending(fault, subject) if entry.environment.get(RESOURCE_VARIABLE) == resource]


def _pending(fault: str, subject: str) -> list[OpenFault]:
    found = _imagined if dry_run() else FaultJournal(journal_directory()).pending()
    return [entry for entry in found if (entry.fault, entry.subject) == (fault, subject)]
