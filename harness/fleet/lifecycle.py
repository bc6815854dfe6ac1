"""Brings a fleet up until it is proven ready, and down until nothing of it is left.

Rule: either `start_fleet` returns a fleet that serves, or it raises in words and leaves nothing behind.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness.fleet.client import FleetClient, FleetError
from harness.fleet.launch import SupervisorProcess
from harness.fleet.reach import Reach
from harness.fleet.readiness import ProcessDiedError, lacking, log_tail

if TYPE_CHECKING:
    from harness.fleet.spec import FleetSpec

POLL_INTERVAL_S = 0.05


class Fleet:
    """A running fleet. A context manager; leaving it ends the fleet. `temporary`: its socket directory goes with it."""

    def __init__(self, client: FleetClient, supervisor: SupervisorProcess, *, temporary: bool) -> None:
        self.client = client
        self.address = ""
        self.admin = Path()
        self._reach: Reach | None = None
        self._supervisor = supervisor
        self._temporary = temporary

    def wait_until_ready(self, limit_s: float) -> None:
        """Return when every process and the edge serve; raises FleetError that says what does not."""
        deadline_s = time.monotonic() + limit_s
        while (missing := self._lacking()) is not None:
            if time.monotonic() > deadline_s:
                raise FleetError(f"the fleet is not ready after {limit_s:g} s: {missing}")
            time.sleep(POLL_INTERVAL_S)
        status = self.client.status()
        self.address, self.admin, self._reach = status["address"], Path(status["admin"]), Reach.of(status)

    @property
    def reach(self) -> Reach:
        """How to call the edge and the processes; known once the fleet is ready."""
        if self._reach is None:
            raise FleetError("the fleet is not ready yet")
        return self._reach

    def close(self) -> None:
        """End every process of the fleet and remove its sockets; logs stay."""
        self._supervisor.end()
        if self._temporary:  # a supervisor that was killed could not remove it
            shutil.rmtree(self.client.socket_path.parent, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _lacking(self) -> str | None:
        if self._supervisor.exit_code() is not None:
            raise FleetError(f"the fleet could not be started: {log_tail(self._supervisor.log)}")
        try:
            status = self.client.status()
        except FleetError as error:
            return f"{error}\n{log_tail(self._supervisor.log)}"
        if status["supervisor"]["pid"] != self._supervisor.pid:
            return f"another fleet is up at {self.client.socket_path}"
        try:
            return lacking(status)
        except ProcessDiedError as error:
            raise FleetError(f"the fleet could not be started: {error}") from error


def start_fleet(spec: FleetSpec, *, lease: bool, ready_limit_s: float = 30.0) -> Fleet:
    """Start the fleet and wait until it is ready; raises FleetError, and then nothing of it runs.

    With `lease` it ends when this process does, however that happens; without, only `close` or `down` end it.
    """
    spec.directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # it may hold the control socket too
    control = spec.control or Path(tempfile.mkdtemp(prefix="gonogo-")) / "fleet.sock"
    spec_file = spec.directory / "fleet.json"
    placed = dataclasses.replace(spec, directory=spec.directory.resolve(), control=control)
    spec_file.write_text(placed.to_json())
    supervisor = SupervisorProcess(spec_file, spec.directory / "supervisor.log", leased=lease)
    fleet = Fleet(FleetClient(control), supervisor, temporary=spec.control is None)
    try:
        fleet.wait_until_ready(ready_limit_s)
    except BaseException:  # Ctrl-C too must leave nothing behind
        fleet.close()
        raise
    return fleet
