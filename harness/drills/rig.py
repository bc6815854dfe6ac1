"""What a drill works on: zones that record every answer, a registry of their own, the backups, and the client's load.

Rule: state and registry lie in the drill's folder, so that losing them loses nothing else. Credentials and the edge's
address are kept outside of what a disaster may take, as a secret store and a name service would keep them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from harness.collect import fleet_spec
from harness.collectors import CollectError, Context
from harness.collectors.driving import finish, load_spec, recorded, start, wait_started
from harness.fleet.credentials import keep
from harness.fleet.lifecycle import start_fleet
from harness.fleet.ports import LOOPBACK, HeldPort
from harness.fleet.tether import tethered
from harness.load.pool import write_pool
from harness.load.spec import Phase
from harness.recovery import ttr_s
from harness.requests import make_requests
from harness.slices import SECOND_NS, SETTLE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.fleet.spec import FleetSpec
    from harness.load.process import Scenario
    from harness.plan_drills import Drill

KEEP = 20
STOP_LIMIT_S = 5.0
SERVE_LIMIT_S = 30.0
"""For zones that start on an empty page cache, with other work on the machine."""
POLL_S = 0.02
VAULT = "gonogo-vault-"
"""Begins the name of the folder of a drill's credentials; the process that made it is next."""
WATCH_S = 0.5
MARGIN_S = 1.0
"""What was due later may still be open when the load is stopped, and is judged by nobody."""


class Rig:
    """One drill's zones, state, registry, backups and load. A context manager; leaving it ends all that runs."""

    def __init__(self, context: Context, targets: Drill, *, with_backup: bool, with_candidate: bool) -> None:
        self.context = context
        self.targets = targets
        work = context.run.work
        self.state, self.registry, self.backups = work / "state", work / "registry", work / "backups"
        self._with_backup, self._with_candidate = with_backup, with_candidate
        self._vault = Path(tempfile.mkdtemp(prefix=f"{VAULT}{os.getpid()}-")) / "kept"
        self._port = HeldPort()
        self._stack = contextlib.ExitStack()
        self._backup: subprocess.Popen[bytes] | None = None
        self._fleets = 0

    def __enter__(self) -> Self:
        clear_vaults()
        self._stack.callback(shutil.rmtree, self._vault.parent, ignore_errors=True)
        self._stack.callback(self._port.release)
        try:
            self._bring_up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def start_zones(self) -> None:
        """A whole fleet, with the address and the credentials of the one before it. Raises FleetError."""
        self._fleets += 1
        fleet = start_fleet(self._spec(), lease=True)
        self._stack.callback(fleet.close)
        self.context.fleet, self.context.address = fleet, fleet.address

    def restart_zones(self) -> None:
        """Start the zones of the running fleet, which are down, and wait until they serve. Raises FleetError."""
        fleet = self.context.require_fleet()
        for zone in self.context.plan.target.zones:
            fleet.client.start(zone)
        ports, deadline = self.ports(), time.monotonic() + SERVE_LIMIT_S
        while not all(fleet.reach.serves(f"{LOOPBACK}:{port}") for port in ports):
            if time.monotonic() > deadline:
                raise CollectError(f"the restored zones did not serve within {SERVE_LIMIT_S:g} s")
            time.sleep(POLL_S)

    def region(self) -> list[Path]:
        """All that the zones and the edge have on disk: state, registry, and what the fleet has made."""
        return [self.state, self.registry, self._fleet_folder()]

    def ports(self) -> list[int]:
        """Where the processes of the zones listen."""
        zones = self.context.require_fleet().client.status()["zones"]
        return [port for zone in zones.values() for port in zone["ports"]]

    @contextlib.contextmanager
    def load(self, after_s: float) -> Iterator[Scenario]:
        """The launch rate, steady for long enough to have a baseline and backups, and for `after_s` after that."""
        before_s = self.before_s()
        context = self.context
        context.progress.step("Load: steady, with backups", before_s)
        phase = Phase("load", context.plan.traffic.launch_rps, before_s + after_s)
        running = start(context, load_spec(context, "drill", (phase,)), "sustained.py")
        try:
            wait_started(context, running)
            if self._with_backup:
                self._start_backups()
            time.sleep(before_s)
            yield running
        finally:
            running.stop()

    def before_s(self) -> float:
        """Two backups, and what a baseline takes."""
        return max(5.0, 2.5 * self.targets.backup_every_s + 1.0)

    def watch(self, running: Scenario, since_ns: int, in_place_ns: int) -> None:
        """Let the load go on until the objectives were met again for as long as they must hold, or to its own end."""
        self.context.progress.step("Load: until the objectives have held for 5 s", SETTLE_S + MARGIN_S)
        timeline, plan = self.context.run.timeline, self.context.plan
        while running.process.poll() is None:
            time.sleep(WATCH_S)
            now_ns = timeline.now_ns()
            rows = recorded(running.spec)[0]
            seen = rows.where(rows.intended_ns < now_ns - MARGIN_S * SECOND_NS)
            if ttr_s(seen, since_ns, in_place_ns, plan) is not None:
                timeline.add("load_stopped", running.spec.scenario, t_ns=round(now_ns - MARGIN_S * SECOND_NS))
                return
        finish(running)

    def stop_backups(self) -> None:
        """End the backups; harmless when there are none."""
        if self._backup is None:
            return
        self._backup.send_signal(signal.SIGINT)
        try:
            self._backup.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._backup.kill()
            self._backup.wait()
        self._backup = None

    def _bring_up(self) -> None:
        context, target = self.context, self.context.plan.target
        shutil.copytree(context.loaded.resolve(target.registry) / target.model, self.registry / target.model)
        context.progress.step(f"Fleet: {len(target.zones)} zones that record every answer", 8)
        keep(self._vault)
        self.start_zones()
        context.requests = context.run.work / "requests.pool"
        pool = make_requests(context.loaded, context.address)
        context.samples["requests"] = pool.origin
        write_pool(context.requests, pool.messages)

    def _spec(self) -> FleetSpec:
        context = self.context
        spec = fleet_spec(context.loaded, context.profile, self._fleet_folder())
        return dataclasses.replace(
            spec,
            registry=self.registry,
            candidate=spec.candidate if self._with_candidate else "",
            state=self.state,
            edge_port=self._port.number,
            kept=self._vault,
        )

    def _fleet_folder(self) -> Path:
        return self.context.run.work / f"fleet-{self._fleets}"

    def _start_backups(self) -> None:
        """The real command, at the interval of the Plan."""
        context = self.context
        command = [sys.executable, "-m", "harness.cli", "backup", "--plan", str(context.loaded.path)]
        command += ["--state", str(self.state), "--registry", str(self.registry), "--to", str(self.backups)]
        command += ["--every", f"{self.targets.backup_every_s:g}s", "--keep", str(KEEP)]
        with (context.run.work / "backup.log").open("wb") as log:
            self._backup = subprocess.Popen(
                tethered(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._stack.callback(self.stop_backups)


def clear_vaults() -> None:
    """Delete the credentials that drills left which were killed; they open nothing any more."""
    for path in Path(tempfile.gettempdir()).glob(f"{VAULT}*"):
        pid = path.name.removeprefix(VAULT).partition("-")[0]
        if path.stat().st_uid == os.getuid() and pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def listening(ports: list[int]) -> list[int]:
    """Process ids that the kernel has listening on one of these ports."""
    found = psutil.net_connections("tcp")
    return sorted({item.pid or 0 for item in found if item.status == psutil.CONN_LISTEN and item.laddr.port in ports})
