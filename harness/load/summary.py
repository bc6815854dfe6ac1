"""The few facts that a load's process states about itself when it ends, in a JSON file beside its ledger.

Rule: written last and by rename, so that a summary which can be read is whole; none means that the process was lost.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def summary_path(ledger: Path) -> Path:
    """Where the summary of the stream `ledger` is."""
    return ledger.with_name(f"{ledger.name}.summary.json")


def write_summary(ledger: Path, summary: dict[str, Any]) -> None:
    """Write `summary` beside `ledger`."""
    path = summary_path(ledger)
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    unfinished.rename(path)


def read_summary(ledger: Path) -> dict[str, Any] | None:
    """The summary beside `ledger`, or None when the process ended without writing one."""
    path = summary_path(ledger)
    if not path.exists():
        return None
    summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return summary
