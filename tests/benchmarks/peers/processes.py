"""Servers as processes: started, waited for, timed and ended, with everything that they started themselves.

Rule: a server that does not answer within its limit is an `UnavailableError` with the last lines it wrote.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

from harness.fleet.tether import tethered
from tests.benchmarks.peers.environments import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

START_LIMIT_S: Final = 60.0
END_LIMIT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server process; `log` is the file that has its output."""

    process: subprocess.Popen[bytes]
    log: Path

    def cpu_s(self) -> float:
        """Processor time that it and its living descendants have used, in seconds."""
        top = psutil.Process(self.process.pid)
        total = 0.0
        for process in (top, *top.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def resident_bytes(self) -> int:
        """Memory that it and its descendants hold; what they share counts once for each."""
        top = psutil.Process(self.process.pid)
        return sum(process.memory_info().rss for process in (top, *top.children(recursive=True)))

    def last_words(self) -> str:
        """The end of what it wrote."""
        return " / ".join(self.log.read_text(errors="replace").splitlines()[-3:])[-300:]


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None, directory: Path | None = None
) -> Iterator[Server]:
    """A process with its output in `log`, in a group of its own that ends with this block."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            tethered(command),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            cwd=directory,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield Server(process, log)
        finally:
            _end(process)


def wait_for_listener(server: Server, port: int) -> None:
    """Return once the server listens on `port` of the loopback.

    Raises:
        UnavailableError: it ended or took too long.
    """
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            check_alive(server, deadline)
            time.sleep(0.05)
        else:
            return


def check_alive(server: Server, deadline: float) -> None:
    """Raise UnavailableError if the server has ended, or the deadline (monotonic, seconds) is past."""
    if server.process.poll() is not None:
        raise UnavailableError(f"it ended with {server.process.returncode}: {server.last_words()}")
    if time.monotonic() > deadline:
        raise UnavailableError(f"not ready within {START_LIMIT_S:g} s: {server.last_words()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_LIMIT_S)
        os.killpg(process.pid, signal.SIGKILL)  # also whatever it left behind
