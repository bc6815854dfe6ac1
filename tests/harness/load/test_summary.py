"""A summary that can be read is whole, and one that was never written is None."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load.summary import read_summary, summary_path, write_summary

if TYPE_CHECKING:
    from pathlib import Path


def test_reads_back_what_was_written(tmp_path: Path) -> None:
    ledger = tmp_path / "spike.arrow"
    assert read_summary(ledger) is None
    write_summary(ledger, {"finished": True})
    assert read_summary(ledger) == {"finished": True}
    assert [path.name for path in tmp_path.iterdir()] == [summary_path(ledger).name]
