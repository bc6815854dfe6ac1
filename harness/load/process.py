"""Starts a scenario as a Locust subprocess and waits for it.

Rule: a scenario runs exactly as it would by hand, by the real `locust`; only its specification comes from a file. The
process dies with the one that started it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.load.spec import LoadSpec

ROOT = Path(harness.__file__).parents[1]
SCENARIOS = ROOT / "scenarios"
LOCUST = ("-m", "locust", "--headless", "--only-summary", "--users", "1", "--exit-code-on-error", "0")
WORKER = ("-m", "locust", "--worker", "--locustfile", "-")
"""A worker takes the scenario's file from its master, as Locust can."""
WORKERS_LIMIT_S = 60
"""How long a master waits for its workers to join."""
LEAVE_S = 5.0
"""Workers leave within this when their master has gone."""
TAIL_LINES = 20


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a load's workers are: on this machine, or with `bind` ("host:port") elsewhere, joining by themselves."""

    bind: str = ""

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Where the master listens: of this machine's own workers only, on loopback and any free port."""
        if not self.bind:
            with socket.create_server(("127.0.0.1", 0)) as server:
                return "127.0.0.1", int(server.getsockname()[1])
        host, _, port = self.bind.rpartition(":")
        return host.strip("[]") or "*", int(port)


class ScenarioError(Exception):
    """A scenario did not run to its end; the text ends with the last lines of its log."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A running scenario. Its ledger is `spec.ledger`; what Locust printed is in `log`, and its workers' beside it."""

    spec: LoadSpec
    process: subprocess.Popen[bytes]
    log: Path
    workers: tuple[subprocess.Popen[bytes], ...] = ()

    def wait(self, limit_s: float | None = None) -> None:
        """Wait for the end: by default for the whole load, its drain, and half a minute for Locust around it.

        Raises ScenarioError when it takes longer (then it is stopped) or ends with another exit code than 0.
        """
        around_s = 30.0 if self.spec.workers == 1 else 30.0 + WORKERS_LIMIT_S
        limit_s = self.spec.duration_s + self.spec.drain_s + around_s if limit_s is None else limit_s
        try:
            code = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.stop()
            raise ScenarioError(f"{self.spec.scenario} did not end within {limit_s:g} s\n{self._tail()}") from None
        _end(self.workers, LEAVE_S)
        if code != 0:
            raise ScenarioError(f"{self.spec.scenario} ended with exit code {code}\n{self._tail()}")

    def stop(self, limit_s: float = 5.0) -> None:
        """End it early: the ledger then lacks what was not yet due. Harmless when it has ended."""
        for process in (self.process, *self.workers):
            process.terminate()
        _end((self.process, *self.workers), limit_s)

    def _tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"the end of {self.log}:", *lines[-TAIL_LINES:]])


def _end(processes: Sequence[subprocess.Popen[bytes]], limit_s: float) -> None:
    """Wait until all have ended, and kill those that have not by then."""
    deadline = time.monotonic() + limit_s
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()  # frozen, perhaps: that heeds nothing less
            process.wait()


def start_scenario(
    spec: LoadSpec,
    directory: Path,
    *,
    tethered: Callable[[Sequence[str]], list[str]],
    file: Path | None = None,
    placement: Placement = Placement(),
) -> Scenario:
    """Start `spec` by `file`, by default the Locust file of the scenario's name; logs and such go to `directory`.

    `tethered` ties a command to this process (harness.fleet.tether). Call it from the main thread. With one worker,
    Locust runs alone; with more it is their master, and they are started too, unless `placement` has them elsewhere.
    """
    spec_path, log = directory / f"{spec.scenario}.spec.json", directory / f"{spec.scenario}.log"
    spec_path.write_text(spec.to_json(), encoding="utf-8")
    command = [sys.executable, *LOCUST, "--locustfile", str(file or SCENARIOS / f"{spec.scenario}.py")]
    environment = _environment() | {"GONOGO_LOAD_SPEC": str(spec_path.absolute())}
    if spec.workers == 1 and not placement.bind:
        return Scenario(spec, _start(tethered(command), directory, environment, log), log)
    host, port = placement.host_and_port
    command += ["--master", "--master-bind-host", host, "--master-bind-port", str(port)]
    command += ["--expect-workers", str(spec.workers), "--expect-workers-max-wait", str(WORKERS_LIMIT_S)]
    master = _start(tethered(command), directory, environment, log)
    here = range(0 if placement.bind else spec.workers)
    workers = tuple(
        start_worker(host, port, directory, tethered=tethered, log=log.with_suffix(f".worker-{number}.log"))
        for number in here
    )
    return Scenario(spec, master, log, workers)


def start_worker(
    host: str, port: int, directory: Path, *, tethered: Callable[[Sequence[str]], list[str]], log: Path
) -> subprocess.Popen[bytes]:
    """Start a Locust worker that joins the master at `host` and `port` and takes its scenario from there."""
    command = [sys.executable, *WORKER, "--master-host", host, "--master-port", str(port)]
    own = directory / log.stem  # Locust keeps the file that it was sent under one name for all who share a folder
    own.mkdir(exist_ok=True)
    return _start(tethered(command), directory, _environment() | {"TMPDIR": str(own.absolute())}, log)


def _start(
    command: Sequence[str], directory: Path, environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _environment() -> dict[str, str]:
    """This process's environment without the caller's own settings for Locust, which would change the load."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("LOCUST_")}
    path = os.pathsep.join(filter(None, [str(ROOT), inherited.get("PYTHONPATH", "")]))
    return inherited | {"PYTHONPATH": path, "LOCUST_SKIP_MONKEY_PATCH": "1"}
