"""A deaf process hears nothing on its port, by old connections and new ones, and hears it all afterwards."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from harness.fleet.isolation import is_isolated, isolate, rejoin

if TYPE_CHECKING:
    from collections.abc import Iterator

ECHO = """
import socket, threading
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
def echo(connection):
    while data := connection.recv(100):
        connection.sendall(data)
while True:
    threading.Thread(target=echo, args=server.accept()[:1], daemon=True).start()
"""
SILENCE_S = 0.3
ANSWER_S = 5.0


class Echo(NamedTuple):
    """A process that echoes at a port, and a connection to it."""

    pid: int
    port: int
    connection: socket.socket

    def answers(self, limit_s: float) -> bool:
        """Whether the open connection echoes."""
        self.connection.settimeout(limit_s)
        self.connection.sendall(b"x")
        return self.hears(limit_s)

    def hears(self, limit_s: float) -> bool:
        """Whether anything comes back on the open connection."""
        self.connection.settimeout(limit_s)
        with contextlib.suppress(TimeoutError):
            return self.connection.recv(100) != b""
        return False

    def connects(self, limit_s: float) -> bool:
        """Whether a new connection is opened."""
        with contextlib.suppress(TimeoutError), socket.create_connection(("127.0.0.1", self.port), limit_s):
            return True
        return False


@pytest.fixture
def echo() -> Iterator[Echo]:
    with subprocess.Popen([sys.executable, "-c", ECHO], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as connection:
            yield Echo(process.pid, port, connection)
        process.kill()


def test_open_connections_and_new_ones_fall_silent_and_what_was_sent_arrives_afterwards(echo: Echo) -> None:
    assert echo.answers(ANSWER_S)
    assert isolate([echo.pid], [echo.port]) == 2
    assert is_isolated(echo.pid, [echo.port])
    assert not echo.answers(SILENCE_S)
    assert not echo.connects(SILENCE_S)
    rejoin([echo.pid], [echo.port])
    assert not is_isolated(echo.pid, [echo.port])
    assert echo.hears(ANSWER_S)
    assert echo.connects(ANSWER_S)


def test_both_may_be_asked_again(echo: Echo) -> None:
    rejoin([echo.pid], [echo.port])
    assert isolate([echo.pid], [echo.port]) == isolate([echo.pid], [echo.port])
    for _ in range(2):
        rejoin([echo.pid], [echo.port])
    assert echo.answers(ANSWER_S)


def test_other_ports_of_the_process_hear_on(echo: Echo) -> None:
    assert isolate([echo.pid], [echo.port + 1]) == 0
    assert echo.answers(ANSWER_S)


def test_where_one_process_can_not_be_made_deaf_none_is(echo: Echo) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    with pytest.raises(OSError, match="No such process"):
        isolate([echo.pid, gone.pid], [echo.port])
    assert not is_isolated(echo.pid, [echo.port])
    assert not is_isolated(gone.pid, [echo.port])


def test_no_socket_of_the_process_is_kept(echo: Echo) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the listing itself opens one
    isolate([echo.pid], [echo.port])
    rejoin([echo.pid], [echo.port])
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
