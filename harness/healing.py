"""Heals what a killed command left behind: faults that nobody undid, processes that nobody owns, secrets of no fleet.

Rule: actions import Chaos Toolkit, so they are undone in a process of their own (`experiments.heal`). Nothing is
started where nothing is broken. What can't be healed is an error that says what to do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.fault_journal import FaultJournal, FaultJournalError, OpenFault, journal_directory
from harness.fleet.commands import SOCKET_VARIABLE, control_socket
from harness.fleet.leftovers import remove_leftovers
from harness.fleet.tether import tethered
from harness.orphans import Orphan, end_orphans
from harness.process_identity import Life, ProcessIdentity

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT_S = 300.0
"""For each fault: an undo has limits of its own, of 20 s for a zone here and of 120 s for an operation in a cloud."""
ADVICE = "try again with: gonogo fleet heal; or end the zones with: gonogo fleet down; or undo it by hand"
ROOT = Path(__file__).resolve().parents[1]


class HealError(Exception):
    """Something is still broken; the text says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Healed:
    """What was found and done. `faults` are the lines of `experiments.heal`; `elsewhere` are other machines'."""

    faults: Sequence[dict[str, str]] = ()
    orphans: Sequence[Orphan] = ()
    secrets: Sequence[Path] = ()
    elsewhere: Sequence[dict[str, str]] = ()

    def facts(self) -> dict[str, Any]:
        """The same as a program wants it."""
        return {
            "faults": list(self.faults),
            "processes_ended": [{"pid": item.pid, "command": item.command} for item in self.orphans],
            "secrets_removed": [str(path) for path in self.secrets],
            "elsewhere": list(self.elsewhere),
        }

    def line(self) -> str:
        """What was done, in one line; "" when nothing was."""
        parts = [f"{item['fault']} of {item['subject']} ({item['outcome']})" for item in self.faults]
        parts += [f"process {item.pid} of a dead run ended" for item in self.orphans]
        parts += [f"secrets of a dead fleet removed from {path}" for path in self.secrets]
        parts += [
            f"{item['fault']} of {item['subject']} left to {item['host']}, where it was made; if that is gone, "
            f"undo it by hand, then delete {item['entry']}"
            for item in self.elsewhere
        ]
        return ", ".join(parts)

    def require(self) -> None:
        """Raise HealError if a fault is still open."""
        failed = [item for item in self.faults if item["outcome"] == "failed"]
        if failed:
            lines = [f"{item['fault']} of {item['subject']} can't be undone: {item['reason']}" for item in failed]
            entries = " ".join(item["entry"] for item in failed)
            raise HealError("\n".join([*lines, f"{ADVICE}, then delete {entries}"]))


def heal() -> Healed:
    """Heal all that a dead command left behind. Raises HealError only when it can't be tried.

    1. Processes whose owner is dead end, by force if they must; so what they served is gone with them.
    2. Every fault whose maker is dead is undone, or found to be gone with its zones.
    3. Keys and certificates of dead fleets are removed.
    """
    orphans = end_orphans()
    try:
        journal = FaultJournal(journal_directory())
        pending = journal.pending()
        abandoned = len(journal.abandoned())
        faults = _undo(LIMIT_S * abandoned) if abandoned else []
    except FaultJournalError as error:
        raise HealError(str(error)) from error
    named = [entry.environment[SOCKET_VARIABLE] for entry in pending if SOCKET_VARIABLE in entry.environment]
    secrets = remove_leftovers(Path(path).parent for path in (str(control_socket()), *named))
    elsewhere = [_left_alone(journal, entry) for entry in pending if entry.made_by() is Life.ELSEWHERE]
    return Healed(faults, orphans, secrets, elsewhere)


def _left_alone(journal: FaultJournal, entry: OpenFault) -> dict[str, str]:
    host = ProcessIdentity.parse(entry.maker).host
    return {"fault": entry.fault, "subject": entry.subject, "host": host, "entry": str(journal.path(entry))}


def _undo(limit_s: float) -> list[dict[str, str]]:
    search = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = tethered([sys.executable, "-m", "experiments.heal"])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(search)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        raise HealError(f"healing did not end within {limit_s:g} s; look at: gonogo fleet status") from None
    if done.returncode not in {0, 1}:
        raise HealError(f"healing failed: {done.stderr.strip()[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]
