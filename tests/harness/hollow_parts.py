"""Actions and probes of toy experiments: a fault is a file in a folder, made and undone as real faults are.

Rule: what an experiment of the catalogue does to the service, these do to a file, with the same calls around it; the
hollow ones leave out or break one of them.
"""

from __future__ import annotations

import os
from pathlib import Path

from chaoslib.exceptions import ActivityFailed

from experiments import faults

FAULT, SUBJECT = "zone_freeze", "edge"


def _broken() -> Path:
    return Path(os.environ["HOLLOW_FOLDER"]) / "broken"


def is_steady() -> bool:
    return True


def is_unsteady() -> bool:
    return False


def is_steady_until_broken() -> bool:
    """Steady only until the first fault was ever made."""
    return not (_broken().parent / "was-broken").exists()


def raises() -> None:
    raise ActivityFailed("nothing works today")


def break_it() -> str:
    faults.request(FAULT, SUBJECT, undo=mend)
    _broken().touch()
    (_broken().parent / "was-broken").touch()
    return "broken"


def only_say_so() -> str:
    """Requests a fault and makes none."""
    faults.request(FAULT, SUBJECT, undo=mend)
    return "broken"


def break_and_return_what_no_journal_can_hold() -> object:
    break_it()
    return object()


def is_broken() -> bool:
    if not _broken().exists():
        raise ActivityFailed("it is not broken")
    faults.in_place(FAULT, SUBJECT, "the file")
    return True


def looks_broken() -> bool:
    """Proves nothing: never looked."""
    return True


def mend() -> str:
    _broken().unlink(missing_ok=True)
    return "mended"


def is_whole() -> bool:
    if _broken().exists():
        raise ActivityFailed("it is still broken")
    faults.gone(FAULT, SUBJECT, "the file")
    return True


def no() -> bool:
    return False
