"""A fault's three moments, told to the timeline and to the journal of open faults: requested, in place, gone.

Rule: `request` comes before the fault and returns only once it is on the disk, so that a fault nobody undid is found by
whoever comes next. `in_place` and `gone` are called by probes, upon a reading that asked nothing of the actor.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from experiments.fleet import client, timeline
from harness.fault_journal import FaultJournal, journal_directory
from harness.fleet.client import FleetError
from harness.fleet.commands import SOCKET_VARIABLE, control_socket
from harness.process_identity import ProcessIdentity

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.fault_journal import OpenFault


def request(fault: str, subject: str, /, undo: Callable[..., Any], **arguments: Any) -> int:
    """Say that `fault` is about to be made to `subject`; returns when, on the run's clock (ns).

    `undo` is the function that removes it when called with `arguments`, at any time and any number of times.
    """
    write_down(fault, subject, undo, **arguments)
    return timeline().add("fault_requested", subject, fault=fault)


def write_down(fault: str, subject: str, /, undo: Callable[..., Any], **arguments: Any) -> None:
    """Open an entry in the journal alone, for what is no fault of the timeline's and yet must not stay."""
    environment = {SOCKET_VARIABLE: str(control_socket())}
    name = f"{undo.__module__}:{undo.__name__}"
    FaultJournal(journal_directory()).open(fault, subject, name, arguments, environment, fleet=_supervisor())


def in_place(fault: str, subject: str, reading: str, **detail: Any) -> int:
    """Say that `reading` first saw the fault; returns when (ns)."""
    return timeline().add("fault_in_place", subject, fault=fault, reading=reading, **detail)


def is_open(fault: str, subject: str) -> bool:
    """Whether the journal still holds this fault of this fleet: requested, and not proven gone."""
    return bool(_entries(fault, subject))


def opened_unix_s(fault: str, subject: str) -> float | None:
    """When this fault of this fleet was last asked for (seconds since 1970); None when it is not open."""
    return max((entry.opened_unix_s for entry in _entries(fault, subject)), default=None)


def gone(fault: str, subject: str, reading: str, **detail: Any) -> int:
    """Say that `reading` saw the fault gone, and close its entries in the journal; returns when (ns)."""
    stamp = timeline().add("fault_removed", subject, fault=fault, reading=reading, **detail)
    strike_out(fault, subject)
    return stamp


def strike_out(fault: str, subject: str) -> None:
    """Close this fault's entries in the journal, upon a reading that it is gone."""
    journal = FaultJournal(journal_directory())
    for entry in _entries(fault, subject):
        journal.close(entry)


def _entries(fault: str, subject: str) -> list[OpenFault]:
    wanted = (fault, subject, os.fspath(control_socket()))
    return [
        entry
        for entry in FaultJournal(journal_directory()).pending()
        if (entry.fault, entry.subject, entry.environment.get(SOCKET_VARIABLE)) == wanted
    ]


def _supervisor() -> str:
    """The process that owns the zones, or "" where there are none: the fault is of something else."""
    try:
        return str(ProcessIdentity.of(client().status()["supervisor"]["pid"]))
    except (FleetError, ProcessLookupError):
        return ""
