"""Writes a run's ledger in a form that other tools read.

Rule: the thin edge between the store and the pure half; decides nothing. An export is derived, never read as evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.hlog import hlog
from harness.slices import requests
from harness.store import RunError, load_run, write_whole

if TYPE_CHECKING:
    from pathlib import Path

HLOG = "ledger.hlog"


def export_hlog(folder: Path, file: Path | None = None) -> Path:
    """Write the run at `folder` as a HdrHistogram log (harness.hlog) to `file`, by default into the run.

    Returns the file's path. Raises RunError when there is no ledger to be trusted, or nowhere to write.
    """
    run, target = load_run(folder), file or folder / HLOG
    ledger = run.evidence.get("ledger")
    if ledger is None or ledger.error is not None:
        reason = "its collection never finished" if ledger is None else ledger.error
        raise RunError(f"{folder}: holds no ledger to export: {reason}; collect again with: gonogo run")
    try:
        text = hlog(requests(ledger), run.info.id, run.info.subject, run.info.as_of)
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(f"{folder}: its ledger can't be exported: {error}") from error
    try:
        write_whole(target, text.encode("ascii"))
    except OSError as error:
        raise RunError(f"{target}: can't be written ({error})") from error
    return target
