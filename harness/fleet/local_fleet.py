"""The zones, the candidate and the edge of one fleet, and what can be asked of them.

Rule: runs only inside the supervisor, in its main thread. Each public method but `start_all` and `kill_all` is one
request of the control socket: its arguments are the request's, its result is the reply, and FleetError is the refusal.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

from harness.fleet.breakable import Breakable
from harness.fleet.client import FleetError
from harness.fleet.control_socket import SECRETS
from harness.fleet.credentials import make_credentials
from harness.fleet.edge_limits import Rates
from harness.fleet.edge_process import Edge
from harness.fleet.envoy_config import EdgeRules
from harness.fleet.processes import Process, Zone, kill_all
from harness.fleet.reach import Reach
from harness.fleet.registry_copy import copy_registry, remove_registry_copy
from harness.fleet.service_toml import write_service_toml
from harness.fleet.spec import CANDIDATE, PRIMARY
from harness.fleet.zone_faults import ZoneFaults

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.fleet.credentials import Credentials
    from harness.fleet.spec import FleetSpec

Reply = dict[str, Any]


class LocalFleet:
    """Every process of a fleet. `sockets` is the directory for Envoy's admin socket and for the fleet's secrets."""

    def __init__(self, spec: FleetSpec, sockets: Path) -> None:
        self._secrets = sockets / SECRETS
        self.remove_secrets()  # those of a fleet that was killed
        self._spec = spec = dataclasses.replace(spec, registry=copy_registry(spec))
        self.credentials = make_credentials(self._secrets, spec.groups(), spec.model, spec.kept)
        self.zones = {
            name: Zone(name, version, spec, write_service_toml(spec.directory, name, self.credentials, spec.state))
            for name, version in spec.groups().items()
        }
        rules = EdgeRules(self.credentials, Rates(spec.client_rps, spec.load_rps, spec.in_flight_max))
        self.edge = Edge(spec.directory, sockets, spec.route_timeout_s, rules, spec.edge_port)
        self.faults = ZoneFaults(self.zones, self.edge, self.credentials, spec.directory)

    def start_all(self) -> None:
        """Spawn every process; raises FleetError if Envoy refuses its configuration."""
        for zone in self.zones.values():
            zone.start()
        self.edge.start(self._clusters())

    def kill_all(self) -> None:
        """SIGKILL every process, frozen ones too; returns when they are dead."""
        kill_all(self.processes())

    def remove_secrets(self) -> None:
        """Delete every key and certificate of the fleet."""
        shutil.rmtree(self._secrets, ignore_errors=True)

    def remove_models(self) -> None:
        """Delete the fleet's copy of the registry."""
        remove_registry_copy(self._spec)

    def processes(self) -> Sequence[Process]:
        """The latest processes of every group, every Envoy and every sidecar, dead or alive."""
        of_zones = [process for zone in self.zones.values() for process in zone.processes]
        return [*of_zones, *self.edge.processes, *self.faults.processes()]

    def status(self) -> Reply:
        """What runs now, as the kernel says it."""
        states = {
            name: _zone_status(zone) | {"faults": self.faults.in_force(name)} for name, zone in self.zones.items()
        }
        candidate = {CANDIDATE: states.pop(CANDIDATE)} if CANDIDATE in states else {}
        return {
            "address": self.edge.port.address,
            "admin": str(self.edge.files.admin),
            "zones": states,
            **candidate,
            "edge": _process_status(self.edge.process),
            "supervisor": {"pid": os.getpid()},
            "route": {"to": self.edge.to, "mirror": self.edge.mirror},
            "reach": _reach(self.credentials),
            "breakable": Breakable.in_fleet(self._spec, self.credentials).told(),
        }

    def kill(self, zone: str) -> Reply:
        """SIGKILL the zone's processes; it stays down until `start`."""
        group = self._zone(zone)
        pids = group.pids()
        group.kill()
        return {"pids": pids, "t_monotonic_ns": time.monotonic_ns()}

    def start(self, zone: str) -> Reply:
        """Spawn the processes of a zone that is down."""
        group = self._zone(zone)
        if group.pids():
            raise FleetError(f"{zone} is not down but {group.state()}: kill it first")
        group.start()
        return {"pids": group.pids(), "t_monotonic_ns": time.monotonic_ns()}

    def freeze(self, zone: str) -> Reply:
        """SIGSTOP the zone's processes."""
        return self._signal(zone, signal.SIGSTOP)

    def thaw(self, zone: str) -> Reply:
        """SIGCONT the zone's processes."""
        return self._signal(zone, signal.SIGCONT)

    def route(self, to: str, *, mirror: bool) -> Reply:
        """Send all traffic to a cluster, and a copy to the candidate if `mirror`."""
        known = [PRIMARY, CANDIDATE] if CANDIDATE in self.zones else [PRIMARY]
        if to not in known:
            raise FleetError(f"cannot route to {to!r}: this fleet has {' and '.join(known)}")
        if mirror and (to == CANDIDATE or CANDIDATE not in known):
            raise FleetError("mirroring copies the primary's traffic to a candidate, and so needs both")
        return {"t_monotonic_ns": self.edge.route(to, mirror=mirror)}

    def certify(self, zone: str, life_s: float) -> Reply:
        """Put a new certificate of the zone's key in place, which holds for `life_s`; no process is told."""
        group = self._zone(zone)
        self.credentials.authority.renew(self.credentials.zones[group.name], group.name, life_s)
        return {"t_monotonic_ns": time.monotonic_ns()}

    def _signal(self, zone: str, number: signal.Signals) -> Reply:
        group = self._zone(zone)
        if not group.pids():
            raise FleetError(f"{zone} is down")
        group.signal(number)
        return {"pids": group.pids(), "t_monotonic_ns": time.monotonic_ns()}

    def _zone(self, name: str) -> Zone:
        if name not in self.zones:
            raise FleetError(f"no zone {name!r}: this fleet has {', '.join(self.zones)}")
        return self.zones[name]

    def _clusters(self) -> dict[str, dict[str, list[int]]]:
        ports = {name: [port.number for port in zone.ports] for name, zone in self.zones.items()}
        candidate = {CANDIDATE: {CANDIDATE: ports.pop(CANDIDATE)}} if CANDIDATE in ports else {}
        return {PRIMARY: ports, **candidate}


def _reach(credentials: Credentials) -> dict[str, str]:
    ours = credentials.ours
    files = Reach(
        ca=str(credentials.ca),
        certificate=str(ours.certificate),
        key=str(ours.key),
        load_key=str(credentials.load_key),
        admin_key=str(credentials.admin_key),
        keys=str(credentials.keys),
    )
    return dataclasses.asdict(files)


def _zone_status(zone: Zone) -> Reply:
    return {
        "state": zone.state(),
        "version": zone.version,
        "pids": zone.pids(),
        "ports": [port.number for port in zone.ports],
        "prediction_logs": [str(path) for path in zone.prediction_logs],
        "processes": [_process_status(process) for process in zone.processes],
    }


def _process_status(process: Process | None) -> Reply:
    if process is None:
        return {"pid": None}
    return {
        "pid": process.pid,
        "name": process.name,
        "log": str(process.log),
        "exit_code": process.exit_code(),
        "died_unasked": process.died_unasked(),
    }
