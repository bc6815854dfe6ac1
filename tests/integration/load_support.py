"""What the tests of loads share: a server to send to, and a small specification to send by.

Rule: real processes, tied to the test's own.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.fleet.tether import tethered
from harness.load.phases import sustained
from harness.load.pool import write_pool
from harness.load.spec import LoadSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = Path(__file__).with_name("load_server.py")


@dataclass(frozen=True)
class LoadServer:
    """A running server that answers everything at once."""

    process: subprocess.Popen[str]
    address: str

    def stall(self, seconds: float) -> None:
        """Freeze it for `seconds`: connections stay up and nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def load_server() -> Iterator[LoadServer]:
    """A server on a free port; killed at the end, frozen or not."""
    command = tethered([sys.executable, str(SERVER)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield LoadServer(process, f"127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.kill()


def small_spec(directory: Path, target: str = "127.0.0.1:1", **changes: Any) -> LoadSpec:
    """A specification with all its files in `directory`: 2 s at 100 requests a second, unless changed."""
    write_pool(directory / "pool", [b"a" * 100, b"b" * 150, b"c" * 200])
    fields: dict[str, Any] = {
        "scenario": "sustained",
        "target": target,
        "phases": sustained(100.0, 2.0),
        "requests": str(directory / "pool"),
        "ledger": str(directory / "ledger.arrow"),
        "timeline": str(directory / "timeline.jsonl"),
        "zero_ns": time.monotonic_ns(),
        "timeout_s": 5.0,
        "drain_s": 5.0,
    }
    return LoadSpec(**fields | changes)
