"""A dead fleet's secrets are removed; those of a living one, and what is not ours alone, stay."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.fleet.leftovers import remove_leftovers
from harness.fleet.lifecycle import start_fleet
from tests.harness.fleet.fleet_support import standin_spec, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def private() -> Iterator[Path]:
    """A short directory of this user's own, apart from the system's, so that no other test's fleet is looked at."""
    with tempfile.TemporaryDirectory(prefix="left-") as name:
        yield Path(name)


def test_the_secrets_of_a_killed_supervisor_go_and_those_of_a_living_one_stay(tmp_path: Path, private: Path) -> None:
    control = private / "fleet" / "fleet.sock"
    with start_fleet(standin_spec(tmp_path, control=control), lease=True) as fleet:
        assert control.parent not in remove_leftovers([control.parent])
        assert (control.parent / "secrets" / "ca.pem").exists()
        os.kill(fleet.client.status()["supervisor"]["pid"], signal.SIGKILL)
        wait_until(lambda: control.parent in remove_leftovers([control.parent]), 5, "its secrets are removed")
    assert not control.parent.exists()


def test_what_others_could_have_put_there_is_left_alone(private: Path) -> None:
    open_to_all, without = private / "open", private / "without"
    (open_to_all / "secrets").mkdir(parents=True)
    open_to_all.chmod(0o755)
    without.mkdir(mode=0o700)
    (without / "mine.txt").touch()
    linked = private / "linked"
    linked.symlink_to(open_to_all)
    assert not {open_to_all, without, linked} & set(remove_leftovers([open_to_all, without, linked]))
    assert (open_to_all / "secrets").is_dir()
    assert (without / "mine.txt").exists()


def test_other_files_beside_the_secrets_stay(private: Path) -> None:
    directory = private / "fleet"
    (directory / "secrets").mkdir(parents=True, mode=0o700)
    directory.chmod(0o700)
    (directory / "supervisor.log").touch()
    assert directory in remove_leftovers([directory])
    assert [path.name for path in directory.iterdir()] == ["supervisor.log"]
