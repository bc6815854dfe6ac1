"""Starts, observes and kills the processes of a fleet.

Rule: each process has its own session and is tethered to the supervisor, so it dies with it; signals go to its whole
process group. A process that dies unasked is never restarted: what the subject does by itself is its own business.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil

from harness.fleet.ports import HeldPort
from harness.fleet.tether import tethered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.fleet.spec import FleetSpec

KILL_LIMIT_S = 5.0
"""The kernel ends a process on SIGKILL in milliseconds unless it hangs in a device; then waiting longer is no help."""


class Process:
    """One running process with its log. Start it from the main thread."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                tethered(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._popen.pid
        self.kill_asked = False

    def exit_code(self) -> int | None:
        """Exit code, negative for a signal; None while it lives."""
        return self._popen.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send `number` to the process and to all that it started, if it lives."""
        if self.exit_code() is None:
            os.killpg(self.pid, number)

    def reap(self) -> None:
        """Wait until it is dead, which it is about to be by SIGKILL; raises TimeoutExpired after KILL_LIMIT_S."""
        self._popen.wait(KILL_LIMIT_S)

    def died_unasked(self) -> bool:
        """Whether it is dead although nobody asked for it."""
        return self.exit_code() is not None and not self.kill_asked

    def is_frozen(self) -> bool:
        """Whether the kernel has stopped it."""
        try:
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
        except psutil.Error:  # it died between two looks
            return False

    def is_listening(self, port: int) -> bool:
        """Whether the kernel accepts connections for it at `port`."""
        try:
            connections = psutil.Process(self.pid).net_connections("tcp")  # gRPC listens on a dual-stack socket
        except psutil.Error:
            return False
        return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)


def kill_all(processes: Sequence[Process]) -> None:
    """SIGKILL every process, frozen ones too, and wait until each is dead."""
    for process in processes:
        process.kill_asked = True
        process.signal(signal.SIGKILL)
    for process in processes:
        process.reap()


class Zone:
    """A group of service processes that fail together, each at a port that it keeps over restarts.

    `config` is the service.toml that they are started with.
    """

    def __init__(self, name: str, version: str, spec: FleetSpec, config: Path) -> None:
        self.name = name
        self.version = version
        self._config = config
        self.ports = [HeldPort() for _ in range(spec.processes_per_zone)]
        self.processes: list[Process] = []
        self.prediction_logs: list[Path] = []
        self._spec = spec
        self._starts = 0

    def start(self) -> None:
        """Spawn the zone's processes; each start writes prediction logs of its own, so no killed writer's is mended."""
        self._starts += 1
        self.processes = [self._spawn(index, port) for index, port in enumerate(self.ports)]

    def kill(self) -> None:
        """SIGKILL every process of the zone; returns when they are dead."""
        kill_all(self.processes)

    def drain(self) -> None:
        """SIGTERM: every process of the zone finishes what it has in hand, and leaves."""
        for process in self.processes:
            process.kill_asked = True
            process.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Send `number` to every process of the zone."""
        for process in self.processes:
            process.signal(number)

    def pids(self) -> list[int]:
        """Process ids of those alive."""
        return [process.pid for process in self.processes if process.exit_code() is None]

    def state(self) -> str:
        """What the kernel says now: down, draining, impaired (some died), frozen, starting (not all listen) or up."""
        alive = self.pids()
        if not alive:
            return "down"
        if all(process.kill_asked for process in self.processes):
            return "draining"
        if len(alive) < len(self.ports):
            return "impaired"
        if any(process.is_frozen() for process in self.processes):
            return "frozen"
        listening = all(
            process.is_listening(port.number) for process, port in zip(self.processes, self.ports, strict=True)
        )
        return "up" if listening else "starting"

    def _spawn(self, index: int, port: HeldPort) -> Process:
        name = f"{self.name}-{index}"
        prediction_log = self._spec.directory / f"predictions-{name}-{self._starts}"
        self.prediction_logs.append(prediction_log)
        command = self._command(port, prediction_log)
        return Process(name, command, self._spec.directory / f"{name}.log")

    def _command(self, port: HeldPort, prediction_log: Path) -> list[str]:
        values = {
            "python": sys.executable,
            "registry": self._spec.registry,
            "model": self._spec.model,
            "version": self.version,
            "listen": port.address,
            "zone": self.name,
            "prediction_log": prediction_log,
            "config": self._config,
        }
        return [word.format_map(values) for word in self._spec.service_command]
