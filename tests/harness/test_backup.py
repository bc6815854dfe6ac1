"""A backup is whole or not there; one with any byte changed is refused; a loss does not rotate good copies out."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from harness.backup import FILES, STATE, BackupError, Source, backups, source_of, take
from harness.cli import run_cli
from harness.collectors import CollectError
from harness.drills.recovery import flip_a_byte
from harness.plan import load_plan
from harness.restore import restore, verify
from reference_service.protocol.audit import encode
from tests.harness.fleet.fleet_support import wait_until

PLAN = Path(__file__).parents[2] / "reference_service" / "readiness.toml"
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
ZONES = ("zone-a", "zone-b", "zone-c")


def records(count: int) -> bytes:
    return b"".join(encode(f"{number:016x}", "1", [0.5], number) for number in range(count))


def journal(state: Path, zone: str) -> Path:
    return state / zone / "audit" / "audit-00000001.log"


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """The reference Plan's models, and the state of three zones, each with a record half written."""
    for zone in ZONES:
        path = journal(tmp_path / "state", zone)
        path.parent.mkdir(parents=True)
        path.write_bytes(records(20) + b"0000004a 00")
    return source_of(load_plan(PLAN), tmp_path / "state")


def taken(source: Source, to: Path, seconds: float = 0, keep: int = 20) -> Path:
    return take(source, to, now=NOW + dt.timedelta(seconds=seconds), keep=keep)[0]


def test_a_backup_without_a_byte_of_state_has_none_to_flip(tmp_path: Path) -> None:
    state = tmp_path / "backup-1" / FILES / STATE
    for path in (state, state / "zone-a" / "audit-00000001.log"):
        with pytest.raises(CollectError, match="the backup backup-1 holds no state"):
            flip_a_byte(tmp_path / "backup-1")
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "empty").touch()
    (state / "zone-a" / "empty").write_bytes(b"ab")
    assert flip_a_byte(tmp_path / "backup-1") == "files/state/zone-a/empty"


def test_what_was_backed_up_comes_back_whole_records_only(source: Source, tmp_path: Path) -> None:
    folder = taken(source, tmp_path / "backups")
    restore(
        folder, state=tmp_path / "again", registry=tmp_path / "models", service=source.service, subject=source.subject
    )
    assert {journal(tmp_path / "again", zone).read_bytes() for zone in ZONES} == {records(20)}
    for version in source.versions:
        there, here = (root / source.model / version for root in (source.registry, tmp_path / "models"))
        assert {path.name: path.read_bytes() for path in there.iterdir()} == {
            path.name: path.read_bytes() for path in here.iterdir()
        }


def test_any_changed_byte_is_found_and_nothing_is_restored(source: Source, tmp_path: Path) -> None:
    folder, pick = taken(source, tmp_path / "backups"), Random(5)  # noqa: S311 - choices of a test
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(files) == 14
    for path in files:
        content = path.read_bytes()
        spoiled = bytearray(content)
        spoiled[pick.randrange(len(content))] ^= 1 << pick.randrange(8)
        path.chmod(0o600)
        path.write_bytes(spoiled)
        with pytest.raises(BackupError, match=r"is refused: its manifest|is refused: .* SHA-256 differs"):
            restore(folder, state=tmp_path / "again", registry=tmp_path / "models")
        assert sorted(tmp_path.iterdir()) == [tmp_path / "backups", tmp_path / "state"], path
        path.write_bytes(content)
    verify(folder)


def test_a_file_that_is_gone_cut_or_added_is_found(source: Source, tmp_path: Path) -> None:
    folder = taken(source, tmp_path / "backups")
    path = journal(folder / FILES / "state", "zone-b")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(BackupError, match=r"zone-b/audit/audit-00000001[.]log is not the file"):
        verify(folder)
    path.unlink()
    with pytest.raises(BackupError, match="its files are not those of its manifest: state/zone-b"):
        verify(folder)
    path.write_bytes(whole)
    (path.parent / "more").touch()
    with pytest.raises(BackupError, match="its files are not those"):
        verify(folder)
    (path.parent / "more").unlink()
    (folder / "manifest.json").unlink()
    with pytest.raises(BackupError, match="it is incomplete"):
        verify(folder)


def test_a_backup_under_another_name_is_refused(source: Source, tmp_path: Path) -> None:
    folder = taken(source, tmp_path / "backups")
    renamed = folder.rename(folder.with_name("20300101T000000.000Z-" + folder.name[-16:]))
    with pytest.raises(BackupError, match="not the one that its name was made from"):
        verify(renamed)


def test_a_backup_of_another_service_or_version_is_refused(source: Source, tmp_path: Path) -> None:
    folder = taken(source, tmp_path / "backups")
    with pytest.raises(BackupError, match="of the service 'flight-delay', not of 'other'"):
        verify(folder, service="other")
    with pytest.raises(BackupError, match="not of flight-delay@2"):
        verify(folder, subject="flight-delay@2 sha256:00")
    lying = taken(replace(source, subject="flight-delay@1 sha256:00"), tmp_path / "backups", 1)
    with pytest.raises(BackupError, match="its model is flight-delay@1 sha256:c6dc"):
        verify(lying)


def test_nothing_that_is_there_is_overwritten(source: Source, tmp_path: Path) -> None:
    folder = taken(source, tmp_path / "backups")
    with pytest.raises(BackupError, match="is not empty"):
        restore(folder, state=source.state)
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "model").touch()
    with pytest.raises(BackupError, match="left is not empty"):
        restore(folder, state=tmp_path / "again", registry=tmp_path / "left")
    assert not (tmp_path / "again").exists()
    (tmp_path / "empty").mkdir()
    restore(folder, state=tmp_path / "empty")
    assert journal(tmp_path / "empty", "zone-a").is_file()


def test_only_so_many_are_kept_the_newest(source: Source, tmp_path: Path) -> None:
    made = [taken(source, tmp_path / "backups", number, keep=3) for number in range(6)]
    assert backups(tmp_path / "backups") == made[:2:-1]


def test_after_a_loss_nothing_is_backed_up_and_no_good_copy_leaves(source: Source, tmp_path: Path) -> None:
    to = tmp_path / "backups"
    folder = taken(source, to, keep=1)
    path = journal(source.state, "zone-a")
    whole = path.read_bytes()
    for damage in (lambda: path.write_bytes(records(19)), path.unlink, lambda: shutil.rmtree(source.state / "zone-a")):
        damage()
        with pytest.raises(BackupError, match=r"not backed up: .*zone-a.* gone"):
            take(source, to, now=NOW + dt.timedelta(seconds=1), keep=1)
        assert backups(to) == [folder]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(whole)
    verify(folder)


def test_a_command_that_backs_up_once_knows_what_the_last_one_took(
    source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "backups"
    command = ["backup", "--plan", str(PLAN), "--state", str(source.state), "--to", str(to), "--keep", "1"]
    assert run_cli(command) == 0
    good = backups(to)
    journal(source.state, "zone-b").write_bytes(records(3))
    assert run_cli(command) == 1
    assert backups(to) == good
    assert "shorter than in the last backup" in capsys.readouterr().err


def test_another_service_or_one_that_can_not_be_read_is_no_last_backup(source: Source, tmp_path: Path) -> None:
    to = tmp_path / "backups"
    taken(replace(source, service="other"), to)
    (to / "20300101T000000.000Z-00").mkdir()
    journal(source.state, "zone-b").write_bytes(records(3))
    taken(source, to, 1)


def test_two_at_once_are_refused_and_what_a_killed_one_left_is_cleared(source: Source, tmp_path: Path) -> None:
    to = tmp_path / "backups"
    (to / ".unfinished" / "files").mkdir(parents=True)
    descriptor = os.open(to, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(BackupError, match="another backup is being taken"):
        taken(source, to)
    os.close(descriptor)
    folder = taken(source, to)
    assert list(to.iterdir()) == [folder]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "harness.cli", "backup", *map(str, arguments)]


def test_killed_at_any_moment_every_backup_there_is_can_be_used(source: Source, tmp_path: Path) -> None:
    to, pick = tmp_path / "backups", Random(3)  # noqa: S311 - choices of a test
    for number in range(4):
        process = subprocess.Popen(
            command("--plan", PLAN, "--state", source.state, "--to", to, "--every", "0.01s", "--keep", 5),
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: to.is_dir() and len(backups(to)) >= min(5, number + 2), 20, "backups")  # noqa: B023
            time.sleep(pick.random() * 0.05)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        for folder in backups(to):
            verify(folder, service=source.service, subject=source.subject)


def test_the_command_tells_and_verifies_what_it_took(
    source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: object) -> tuple[int, str, str]:
        code, told = run_cli(["backup", *map(str, arguments)]), capsys.readouterr()
        return code, told.out, told.err

    code, out, _ = run("--plan", PLAN, "--state", source.state, "--to", tmp_path / "backups", "--json")
    told = json.loads(out)
    assert (code, told["files"]) == (0, 13)
    assert run("verify", told["backup"])[0] == 0
    path = journal(Path(told["backup"]) / FILES / "state", "zone-c")
    path.write_bytes(path.read_bytes().replace(b"0.5", b"0.6", 1))
    code, _, complaint = run("verify", told["backup"])
    assert (code, "zone-c/audit/audit-00000001.log is not the file" in complaint) == (1, True)
    code = run("restore", told["backup"], "--plan", PLAN, "--state", tmp_path / "again")[0]
    assert (code, (tmp_path / "again").exists()) == (1, False)
    assert run("--plan", PLAN, "--to", tmp_path / "backups")[0] == 2
    assert run("--plan", PLAN, "--state", "s", "--to", "t", "--every", "soon")[0] == 2
