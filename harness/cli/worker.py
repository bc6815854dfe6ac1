"""Serves as a worker of a run on another machine, scenario after scenario.

Rule: each scenario of a run has a master of its own, so the worker joins again and again; it leaves when nobody has
been there for Locust's own limit, or when it is interrupted.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness.cli.terminal import complain
from harness.fleet.tether import tethered
from harness.load.process import start_worker

TAIL_LINES = 5


def serve_as_worker(master: tuple[str, int]) -> int:
    """Join the master at (host, port) for as long as there is one; the exit code is 0 if any load was sent."""
    host, port = master
    served = 0
    with tempfile.TemporaryDirectory(prefix="gonogo-worker-") as folder:
        log = Path(folder) / "worker.log"
        while True:
            complain(f"waiting for the master at {host}:{port} (loads sent so far: {served})")
            process = start_worker(host, port, Path(folder), tethered=tethered, log=log)
            try:
                code = process.wait()
            finally:
                process.kill()
                process.wait()
            if code != 0:
                break
            served += 1
        if not served:
            complain("\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:]))
    return 0 if served else 1
