"""Starts a supervisor in a session of its own and sees to its end.

Rule: the supervisor is not tethered, because whoever starts a fleet may do so from a thread that ends; a lease ties it
instead. Its session keeps Ctrl-C in the terminal from reaching the fleet before the harness has reacted to it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path

from harness.process_identity import OWNER_VARIABLE, own_identity

END_LIMIT_S = 10.0
"""The supervisor needs milliseconds to kill everything; after this it is killed, and the kernel kills the rest."""

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]


class SupervisorProcess:
    """A running supervisor. If `leased`, it ends the fleet when this process dies or calls `end`."""

    def __init__(self, spec_file: Path, log: Path, *, leased: bool) -> None:
        self.log = log
        self._exit_code: int | None = None
        self._lease: int | None = None
        if leased:
            standard_input, self._lease = os.pipe()
        else:
            standard_input = os.open(os.devnull, os.O_RDONLY)
        command = [sys.executable, "-m", "harness.fleet.supervisor", str(spec_file)] + ["--leased"] * leased
        try:
            self.pid = _spawn(command, _environment(leased=leased), standard_input, log)
        finally:
            os.close(standard_input)

    def exit_code(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        if self._exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._exit_code = os.waitstatus_to_exitcode(status) if pid else None
        return self._exit_code

    def end(self) -> None:
        """Break the lease, or ask if there is none; returns when the supervisor ended, by SIGKILL if it must be."""
        if self._lease is not None:
            os.close(self._lease)
            self._lease = None
        elif self.exit_code() is None:
            os.kill(self.pid, signal.SIGTERM)
        if not self._ended_in_time():
            os.kill(self.pid, signal.SIGKILL)
            self._ended_in_time()

    def _ended_in_time(self) -> bool:
        if self.exit_code() is not None:
            return True
        pidfd = os.pidfd_open(self.pid)
        try:
            select.select([pidfd], [], [], END_LIMIT_S)
        finally:
            os.close(pidfd)
        return self.exit_code() is not None


def _spawn(command: list[str], environment: dict[str, str], standard_input: int, log: Path) -> int:
    """Spawn `command` in its own session, appending its output to `log`; returns its pid."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    actions = [
        (os.POSIX_SPAWN_DUP2, standard_input, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, environment, file_actions=actions, setsid=True)


def _environment(*, leased: bool) -> dict[str, str]:
    """Our environment, in which the supervisor and the service find the packages that we run from.

    A leased fleet belongs to this process; one without lease outlives whoever started it.
    """
    owner = {OWNER_VARIABLE: str(own_identity())} if leased else {}
    inherited = {name: value for name, value in os.environ.items() if name != OWNER_VARIABLE}
    search = [str(_PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**inherited, **owner, "PYTHONPATH": os.pathsep.join(search)}
