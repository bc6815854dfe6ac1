"""Ties a process to the life of the one that starts it: when the starter dies, however it dies, so does the process.

Rule: standard library only, runs alone (`python -I tether.py PARENT_PID COMMAND…`), and ends by becoming COMMAND.
The kernel sends the signal when the *thread* that spawned the process ends, so whoever uses `tethered` spawns from
its main thread. Children of COMMAND are not tied; COMMAND's process group is what its owner kills.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h; the setting survives `execve` (prctl(2))."""

CANNOT_EXECUTE = 126
"""The shell's exit status for a command that was found but could not be executed."""


def tethered(command: Sequence[str]) -> list[str]:
    """The command line that runs `command` tied to the calling process."""
    return [sys.executable, "-I", __file__, str(os.getpid()), *command]


def become(parent_pid: int, command: list[str]) -> None:
    """Tie this process to `parent_pid`, then replace it by `command`. Returns only if that is too late."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is ignored stays so across `execve`
    if os.getppid() == parent_pid:  # otherwise it died before the tie held, and no signal will come
        os.execvp(command[0], command)  # noqa: S606 - an argument list, no shell


def main(arguments: Sequence[str]) -> int:
    """Entry point of the script: PARENT_PID COMMAND…; the status is only seen when COMMAND did not start."""
    try:
        become(int(arguments[0]), list(arguments[1:]))
    except OSError as error:
        sys.stderr.write(f"cannot start {arguments[1]}: {error}\n")
        return CANNOT_EXECUTE
    return 128 + signal.SIGKILL


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
