"""The journal of open faults: on the disk before the fault, gone after its proof, never silently empty."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.fault_journal import FAULTS_VARIABLE, FaultJournal, FaultJournalError, journal_directory
from tests.harness.dead import dead_identity

UNDO = "experiments.actions.zones:restore_zone"


def test_an_entry_outlives_the_process_that_wrote_it(tmp_path: Path) -> None:
    script = (
        "import os, signal; from pathlib import Path; from harness.fault_journal import FaultJournal\n"
        f"FaultJournal(Path({str(tmp_path)!r})).open('zone_crash', 'zone-b', {UNDO!r}, {{'zone': 'zone-b'}}, {{}})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": root}, check=False, timeout=30)
    (entry,) = FaultJournal(tmp_path).pending()
    assert (entry.fault, entry.subject, entry.undo, entry.arguments) == (
        "zone_crash",
        "zone-b",
        UNDO,
        {"zone": "zone-b"},
    )


def test_a_closed_entry_is_gone_and_the_latest_comes_first(tmp_path: Path) -> None:
    journal = FaultJournal(tmp_path)
    first, second = (journal.open(fault, "zone-b", UNDO, {}, {}) for fault in ("zone_crash", "zone_freeze"))
    assert journal.pending() == [second, first]
    journal.close(second)
    journal.close(second)
    assert journal.pending() == [first]


def test_an_entry_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text("{")
    with pytest.raises(FaultJournalError, match=r"1\.json can't be read"):
        FaultJournal(tmp_path).pending()


def test_a_journal_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FaultJournalError, match="can't be written down"):
        FaultJournal(tmp_path / "file" / "faults").open("zone_crash", "zone-b", UNDO, {}, {})


def test_the_environment_says_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(FAULTS_VARIABLE, str(tmp_path))
    assert journal_directory() == tmp_path
    monkeypatch.delenv(FAULTS_VARIABLE)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert journal_directory() == tmp_path / "gonogo" / "faults"


def test_only_what_the_dead_made_is_abandoned(tmp_path: Path) -> None:
    journal = FaultJournal(tmp_path)
    own, gone = (journal.open(fault, "zone-b", UNDO, {}, {}) for fault in ("zone_crash", "zone_freeze"))
    fields = dataclasses.asdict(gone) | {"maker": dead_identity()}
    journal.path(gone).write_text(json.dumps(fields))
    assert [entry.fault for entry in journal.abandoned()] == ["zone_freeze"]
    assert own in journal.pending()


def test_who_waits_too_long_for_another_healer_is_told(tmp_path: Path) -> None:
    first, second = FaultJournal(tmp_path / "faults"), FaultJournal(tmp_path / "faults")
    with first.locked(1), pytest.raises(FaultJournalError, match="another command has"), second.locked(0.1):
        pass
    with second.locked(0.1):
        pass


def test_an_entry_that_names_no_process_is_an_error(tmp_path: Path) -> None:
    journal = FaultJournal(tmp_path)
    entry = journal.open("zone_crash", "zone-b", UNDO, {}, {})
    journal.path(entry).write_text(json.dumps(dataclasses.asdict(entry) | {"maker": "12"}))
    with pytest.raises(FaultJournalError, match="can't be read"):
        journal.pending()
