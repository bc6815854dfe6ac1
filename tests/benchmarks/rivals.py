"""Other tools under the same load, each by its own command line, and what they say that they measured.

Rule: they are run as their users run them, and their own output is what counts.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.fleet.tether import tethered
from harness.load.spec import MODEL_INFER

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
STOCK_USER = Path(__file__).with_name("stock_user.py")
USERS = 64
CONNECT_LIMIT_S = 10.0
IN_MEMORY = ("unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /tmp && exec "$0" "$@"')
"""Gives a command a /tmp of its own, in memory. nghttpd keeps every upload that it echoes in a file there; on a disk
that takes nine tenths of its time (measured: h2load reached 11,000 calls a second on ext4, and 120,000 in memory)."""


def free_port() -> int:
    """A port of the loopback that nobody listened at a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def null_server(*, in_memory: bool = False) -> Iterator[str]:
    """The address of a server that answers every unary call with its own request: nghttpd, on one thread.

    It keeps each upload in a file of /tmp: of this machine's, or with `in_memory` of one in memory.
    """
    if shutil.which("nghttpd") is None:
        pytest.skip("needs the Debian package nghttp2-server")
    if in_memory and subprocess.run([*IN_MEMORY, "true"], check=False).returncode != 0:
        pytest.skip("needs leave to mount in a namespace of its own")
    port = free_port()
    prefix = IN_MEMORY if in_memory else ()
    own = ["nghttpd", "--no-tls", "--echo-upload", "--trailer=grpc-status: 0", "--address=127.0.0.1", str(port)]
    command = tethered([*prefix, *own])
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for_listener(port)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


def _wait_for_listener(port: int) -> None:
    deadline = time.monotonic() + CONNECT_LIMIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            assert time.monotonic() < deadline, "the null server does not listen"
            time.sleep(0.02)
        else:
            return


def h2load_rps(address: str, message: bytes, directory: Path, *, streams: int, seconds: int) -> float:
    """Calls a second that h2load completes over one connection with `streams` calls open; all must be answered."""
    if shutil.which("h2load") is None:
        pytest.skip("needs the Debian package nghttp2-client")
    body = directory / "h2load.body"
    body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    load = ["h2load", "-c1", f"-m{streams}", f"--duration={seconds}", "--warm-up-time=200ms", f"--data={body}"]
    headers = ["--header=content-type: application/grpc", "--header=te: trailers"]
    command = [*load, *headers, f"http://{address}{MODEL_INFER}"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    rate = re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", text)
    assert rate, text
    assert re.search(r" 0 failed, 0 errored, 0 timeout", text), text
    return float(rate[1])


@dataclass(frozen=True)
class Stock:
    """What stock Locust reported: response times as it rounds and counts them, in milliseconds."""

    requests: int
    failures: int
    counts: dict[float, int]
    by_second: dict[int, int]

    @property
    def rps(self) -> float:
        """Answers a second, without the first and the last two seconds, in which users start and stop."""
        seconds = sorted(self.by_second)[2:-2]
        return sum(self.by_second[second] for second in seconds) / len(seconds)

    def latency_ms(self, share: float) -> float:
        """The response time at the quantile `share`, by Locust's own rule, which counts down from the slowest.

        Its function is not called, because importing Locust would patch this process.
        """
        left = self.requests
        for ms in sorted(self.counts, reverse=True):
            left -= self.counts[ms]
            if left <= int(self.requests * share):
                return ms
        return 0.0


def stock_locust(address: str, message: bytes, directory: Path, *, seconds: int, user_rate: float = 0.0) -> Stock:
    """Run plain Locust, patched by gevent as it comes, with 64 users of `stock_user.py`."""
    (directory / "message").write_bytes(message)
    report = directory / "stock"
    users = ["--users", str(USERS), "--spawn-rate", str(USERS), "--run-time", f"{seconds}s", "--stop-timeout", "5"]
    own = ["--message", str(directory / "message"), "--user-rate", str(user_rate)]
    files = ["--locustfile", str(STOCK_USER), "--host", address, "--json-file", str(report)]
    command = [sys.executable, "-m", "locust", "--headless", *files, *users, *own]
    limit_s = seconds + 60
    done = subprocess.run(
        tethered(command), check=False, cwd=directory, capture_output=True, text=True, timeout=limit_s
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (entry,) = json.loads(report.with_suffix(".json").read_text())
    return Stock(
        requests=entry["num_requests"],
        failures=entry["num_failures"],
        counts={float(ms): count for ms, count in entry["response_times"].items()},
        by_second={int(second): count for second, count in entry["num_reqs_per_sec"].items()},
    )
