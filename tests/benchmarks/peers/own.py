"""The reference service as a contender: bare, and with everything on.

Rule: it is started by its own command line, as a user starts it.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import TYPE_CHECKING

from tests.benchmarks.peers.contender import Contender, Running
from tests.benchmarks.peers.load import MODEL, Credentials
from tests.benchmarks.peers.processes import START_LIMIT_S, check_alive, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.benchmarks.peers.contender import Bench
    from tests.benchmarks.peers.processes import Server

OURS = "ours"


def bare() -> Contender:
    """No authentication, no TLS, no telemetry."""
    return Contender("ours, bare", OURS, _bare)


@contextlib.contextmanager
def _bare(bench: Bench) -> Iterator[Running]:
    with running(serve_command(bench), bench.folder("bare") / "log") as server:
        address = ready_address(server)
        yield Running(address, server, Credentials(), f"gonogo {bench.server_version(address)}")


def serve_command(bench: Bench, *more: str) -> list[str]:
    """The command line of the service for the model of the comparison."""
    registry = bench.model.parents[2]
    return [
        sys.executable, "-m", "reference_service.cli", "serve", "--registry", f"{registry}", "--model", MODEL,
        "--version", bench.model.parent.name, "--listen", "127.0.0.1:0", *more,
    ]  # fmt: skip


def ready_address(server: Server) -> str:
    """Where the service listens, as its log says once it is ready; raises UnavailableError."""
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        for line in server.log.read_text().splitlines():
            if '"event": "ready"' in line:
                return str(json.loads(line)["address"])
        check_alive(server, deadline)
        time.sleep(0.05)
