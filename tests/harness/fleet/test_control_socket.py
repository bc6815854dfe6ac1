"""The control socket belongs to one supervisor of one user."""

from __future__ import annotations

import shutil
import socket
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.fleet.client import FleetError
from harness.fleet.control_socket import ControlSocket

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def path() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="gonogo-test-"))
    yield directory / "fleet" / "fleet.sock"
    shutil.rmtree(directory)


def test_socket_and_directory_are_closed_to_others_and_removed_at_the_end(path: Path) -> None:
    with ControlSocket(path) as control, control.listen():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()


def test_a_second_supervisor_is_told_that_a_fleet_is_up(path: Path) -> None:
    with ControlSocket(path), pytest.raises(FleetError, match="already up"), ControlSocket(path):
        pass


def test_a_socket_left_by_a_killed_supervisor_is_replaced(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with ControlSocket(path) as control, control.listen() as listening:
        listening.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_directory_open_to_others_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o755)
    with pytest.raises(FleetError, match="only this user"), ControlSocket(path):
        pass


def test_a_link_in_place_of_the_directory_is_refused(path: Path) -> None:
    elsewhere = path.parent.with_name("elsewhere")
    elsewhere.mkdir(mode=0o700)
    path.parent.symlink_to(elsewhere)
    with pytest.raises(FleetError, match="only this user"), ControlSocket(path):
        pass
