"""A process that is known to be dead, for tests of what is done with what it left behind."""

from __future__ import annotations

import subprocess

from harness.process_identity import ProcessIdentity


def dead_identity() -> str:
    """The identity of a process that has ended."""
    with subprocess.Popen(["sleep", "60"]) as process:
        identity = ProcessIdentity.of(process.pid)
        process.kill()
    return str(identity)
