"""What can't be healed is said with what to do, and no run starts on it."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from harness.cli import run_cli
from harness.fault_journal import FAULTS_VARIABLE, FaultJournal
from harness.fleet.commands import SOCKET_VARIABLE
from tests.harness.dead import dead_identity
from tests.harness.test_plan import REFERENCE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaultJournal:
    monkeypatch.setenv(FAULTS_VARIABLE, str(tmp_path / "faults"))
    monkeypatch.setenv(SOCKET_VARIABLE, str(tmp_path / "none" / "fleet.sock"))
    return FaultJournal(tmp_path / "faults")


def left_behind(journal: FaultJournal, undo: str, **changes: str) -> Path:
    entry = journal.open("zone_crash", "zone-b", undo, {}, {})
    fields = dataclasses.asdict(entry) | {"maker": dead_identity()} | changes
    journal.path(entry).write_text(json.dumps(fields))
    return journal.path(entry)


def test_no_run_starts_on_a_fault_that_cannot_be_undone(
    journal: FaultJournal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = left_behind(journal, "os:system")
    for command in (["run", str(REFERENCE)], ["collect", str(REFERENCE)]):
        assert run_cli([*command, "--runs", str(tmp_path / "runs")]) == 2
        said = capsys.readouterr().err
        assert "zone_crash of zone-b (failed)" in said
        assert "'os:system' is no action" in said
        assert (
            f"gonogo fleet heal; or end the zones with: gonogo fleet down; or undo it by hand, then delete {path}"
            in said
        )
    assert not (tmp_path / "runs").exists()
    assert run_cli(["fleet", "heal", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["faults"][0]["outcome"] == "failed"
    path.unlink()
    assert run_cli(["fleet", "heal"]) == 0


def test_what_is_gone_with_its_zones_is_closed_in_one_line(
    journal: FaultJournal, capsys: pytest.CaptureFixture[str]
) -> None:
    left_behind(journal, "experiments.actions.zones:restore_zone", fleet=dead_identity())
    assert run_cli(["fleet", "heal"]) == 0
    assert capsys.readouterr().out == "zone_crash of zone-b (gone with its fleet)\n"
    assert run_cli(["fleet", "heal", "--json"]) == 0
    nothing = {"elsewhere": [], "faults": [], "processes_ended": [], "secrets_removed": []}
    assert json.loads(capsys.readouterr().out) == nothing


def test_what_was_made_elsewhere_is_left_and_said(journal: FaultJournal, capsys: pytest.CaptureFixture[str]) -> None:
    path = left_behind(journal, "os:system", maker="another/pid:[1]/boot/1/1")
    assert run_cli(["fleet", "heal"]) == 0
    assert (
        f"left to another, where it was made; if that is gone, undo it by hand, then delete {path}"
        in capsys.readouterr().out
    )
    assert path.exists()


def test_a_journal_that_cannot_be_read_stops_a_run(
    journal: FaultJournal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.directory.mkdir()
    (journal.directory / "1.json").write_text("{")
    assert run_cli(["run", str(REFERENCE), "--runs", str(tmp_path / "runs")]) == 2
    assert "1.json can't be read" in capsys.readouterr().err
