"""A cloud fault's three moments, and the arguments that its undo needs, kept in the journal of open faults.

Rule: see `experiments.faults`; what a fault was made to is the resource's path. In a dry run nothing is written to the
disk or the timeline, and what would have been written is remembered by this process, so that the undo is shown too.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

import psutil
from chaoslib.exceptions import ActivityFailed

from experiments import faults
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


def request(fault: str, subject: str, resource: str, undo: Callable[..., Any], /, **arguments: Any) -> int:
    """Say that `fault` is about to be made to the resource at that path; returns when (ns)."""
    if dry_run():
        name = f"{undo.__module__}:{undo.__name__}"
        made_to = {RESOURCE_VARIABLE: resource}
        _imagined.append(
            OpenFault(id="", fault=fault, subject=subject, undo=name, arguments=arguments, environment=made_to)
        )
        return 0
    reach = {name: os.environ[name] for name in REACH if name in os.environ}
    return faults.request(fault, subject, undo, environment={RESOURCE_VARIABLE: resource} | reach, **arguments)


def in_place(fault: str, subject: str, reading: str, **detail: Any) -> int:
    """Say that `reading` first saw the fault; returns when (ns)."""
    return 0 if dry_run() else faults.in_place(fault, subject, reading, **detail)


def gone(fault: str, subject: str, path: str, reading: str, **detail: Any) -> int:
    """Say that `reading` saw the fault gone, and close its entries; returns when (ns)."""
    if dry_run():
        _imagined.clear()
        return 0
    return faults.gone(fault, subject, reading, made_to={RESOURCE_VARIABLE: path}, **detail)


def removing(fault: str, subject: str) -> None:
    """Say that the fault's removal is about to be requested."""
    if not dry_run():
        timeline().add("fault_removal_requested", subject, fault=fault)


def pending(fault: str, subject: str) -> list[OpenFault]:
    """The faults of this kind that were requested and not proven gone, the latest first."""
    found = _imagined if dry_run() else FaultJournal(journal_directory()).pending()
    return [entry for entry in found if (entry.fault, entry.subject) == (fault, subject)]


def kept(fault: str, subject: str, path: str) -> dict[str, Any]:
    """The arguments of the undo of this fault to the resource at `path`. Raises ActivityFailed when none is open."""
    for entry in pending(fault, subject):
        if entry.environment.get(RESOURCE_VARIABLE) == path:
            return dict(entry.arguments)
    raise ActivityFailed(f"no {fault} of {subject} is open: nothing was requested, or it is undone already")


def undo_open_faults(fault: str, subject: str) -> list[dict[str, Any]]:
    """The rollback of every cloud experiment: play the undo of each such fault that nobody else alive has made.

    Raises ActivityFailed with every failure, after all were played.
    """
    played, failures = [], []
    for entry in pending(fault, subject):
        if entry.pid != os.getpid() and psutil.pid_exists(entry.pid):
            continue
        module, _, function = entry.undo.partition(":")
        try:
            getattr(importlib.import_module(module), function)(**entry.arguments)
        except ActivityFailed as error:
            failures.append(str(error))
        played.append({"undo": entry.undo, "resource": entry.environment.get(RESOURCE_VARIABLE, "")})
    if failures:
        raise ActivityFailed("; ".join(failures))
    return played


def until(condition: Callable[[], bool], limit_s: float, failure: str) -> None:
    """Wait until a reading holds. In a dry run it is read once: what was not made will not show."""
    if dry_run():
        condition()
        return
    wait(condition, limit_s, failure, poll_s=POLL_S)
