"""Undoes every fault whose maker is dead: `python -m experiments.heal`, one JSON line for each.

Rule: only one healer at a time. What an entry of the journal names is called only if it is an action of this package.
An entry is closed only when its undo ended well and its zones were then seen whole, or when those are gone.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from experiments.fleet import client
from experiments.probes.edge import edge_sends_to_every_zone
from experiments.probes.waiting import wait
from experiments.probes.zones import all_zones_serve, candidate_serves
from harness.fault_journal import FaultJournal, FaultJournalError, OpenFault, journal_directory
from harness.fleet.client import FleetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ACTIONS = "experiments.actions."
WHOLE_LIMIT_S = 20.0
"""A zone's processes start, load their model and are taken back by the edge well within this."""
LOCK_LIMIT_S = 120.0

UNDONE, GONE, FAILED = "undone", "gone with its fleet", "failed"
FLEETLESS = ""


def heal(journal: FaultJournal) -> Iterator[dict[str, str]]:
    """Undo each abandoned fault, the latest first, then look at their zones; yields what became of each."""
    entries = journal.abandoned()
    played = [(entry, _play(entry)) for entry in entries]
    lacking = {entry.fleet: _lacking(entry) for entry, error in played if not error and entry.fleet_lives()}
    for entry, error in played:
        outcome, reason = _outcome(entry, error or lacking.get(entry.fleet, ""))
        if outcome != FAILED:
            journal.close(entry)
        yield {
            "fault": entry.fault,
            "subject": entry.subject,
            "outcome": outcome,
            "reason": reason,
            "entry": str(journal.path(entry)),
        }


def _outcome(entry: OpenFault, error: str) -> tuple[str, str]:
    """What became of a fault; its fleet may have ended only while it was being undone."""
    if not entry.fleet_lives():
        return GONE, ""
    return (FAILED, error) if error else (UNDONE, "")


def _play(entry: OpenFault) -> str:
    """Call the undo where there is still something to undo; returns why it failed, or ""."""
    if not entry.fleet_lives():
        return ""
    try:
        with _under(entry.environment):
            undo(entry.undo)(**entry.arguments)
    except FleetError as error:
        return f"{error}" if entry.fleet != FLEETLESS else ""  # there were no zones to break, and there are none now
    except Exception as error:  # noqa: BLE001 - whatever it raises leaves this fault open; the next is undone
        return f"{type(error).__name__}: {error}"
    return ""


def _lacking(entry: OpenFault) -> str:
    """What the zones of this entry lack to be whole, or "". Of what has no zones, the undo's own word must do."""
    if entry.fleet == FLEETLESS:
        return ""
    try:
        with _under(entry.environment):
            wait(all_zones_serve, WHOLE_LIMIT_S, "not every zone serves")
            if client().status().get("candidate"):
                wait(candidate_serves, WHOLE_LIMIT_S, "the candidate does not serve")
            edge_sends_to_every_zone(WHOLE_LIMIT_S)
    except Exception as error:  # noqa: BLE001 - the same
        return f"{type(error).__name__}: {error}"
    return ""


def undo(name: str) -> Callable[..., Any]:
    """The action called "module:function". Raises ValueError for anything that is none."""
    module_name, _, function_name = name.partition(":")
    if not module_name.startswith(ACTIONS) or function_name.startswith("_"):
        raise ValueError(f"{name!r} is no action of {ACTIONS.rstrip('.')}")
    function = getattr(importlib.import_module(module_name), function_name, None)
    if not callable(function) or getattr(function, "__module__", "") != module_name:
        raise ValueError(f"{module_name} has no action {function_name!r}")
    found: Callable[..., Any] = function
    return found


@contextlib.contextmanager
def _under(variables: Mapping[str, str]) -> Iterator[None]:
    """With these variables in the environment, for as long as it takes."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def main() -> int:
    """Heal, and write what became of each fault; 1 when one is left, 2 when the journal can't be read."""
    journal = FaultJournal(journal_directory())
    failed = False
    try:
        with journal.locked(LOCK_LIMIT_S):
            for line in heal(journal):
                failed |= line["outcome"] == FAILED
                sys.stdout.write(json.dumps(line, sort_keys=True) + "\n")
                sys.stdout.flush()
    except FaultJournalError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
