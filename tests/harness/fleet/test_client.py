"""A client says in words why no supervisor could be asked."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from harness.fleet.client import FleetClient, FleetError


def test_no_supervisor_is_a_fleet_error_that_names_the_socket(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match=r"no fleet answers at .*fleet\.sock"):
        FleetClient(tmp_path / "fleet.sock").status()


def test_a_supervisor_that_ends_without_a_reply_is_a_fleet_error() -> None:
    with TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as server:
        path = Path(directory) / "fleet.sock"
        server.bind(str(path))
        server.listen()

        def hang_up() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(FleetError, match="ended during 'status'"):
            FleetClient(path).status()
        thread.join()
