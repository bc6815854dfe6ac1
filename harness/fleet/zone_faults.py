"""What can be broken in a running zone, and mended: its network, its calls, its resources, its life.

Rule: runs only inside the supervisor, in its main thread. Each method of REQUESTS is one request of the control socket,
as those of `local_fleet` are. Each may be asked again: what is so already is left so. What contradicts what is in force
is refused. A fault that ends with its process needs no mending: a zone started anew has none.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from harness.fleet import edge_settings as settings
from harness.fleet import isolation, resource_caps
from harness.fleet.client import FleetError
from harness.fleet.sidecar import Disturbance, Sidecar
from harness.fleet.spec import CANDIDATE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from harness.fleet.credentials import Credentials
    from harness.fleet.edge_process import Edge
    from harness.fleet.processes import Process, Zone

REQUESTS = frozenset({"drain", "isolate", "rejoin", "cap", "uncap", "disturb", "undisturb", "restart_edge"})
SIDECAR_LINGER_S = 2 * settings.PER_TRY_TIMEOUT_S
"""Longer than any call that a retired sidecar holds: the edge gives each up after one try's time."""

Reply = dict[str, Any]


class ZoneFaults:
    """The faults of one fleet. `directory` takes the files of sidecars."""

    def __init__(self, zones: Mapping[str, Zone], edge: Edge, credentials: Credentials, directory: Path) -> None:
        self._zones = zones
        self._edge = edge
        self._credentials = credentials
        self._directory = directory
        self._sidecars: dict[str, Sidecar] = {}
        self._retired: list[Sidecar] = []

    def drain(self, zone: str) -> Reply:
        """SIGTERM the zone's processes, which leave when they have answered what they have in hand."""
        group = self._alive(zone)
        if group.state() == "frozen":
            raise FleetError(f"{zone} is frozen, so it would not hear that it is to leave: thaw it first")
        group.drain()
        return _done(group)

    def isolate(self, zone: str) -> Reply:
        """Drop every packet that reaches the zone, on connections that are open too."""
        group = self._alive(zone)
        sockets = _of_the_kernel("drop a zone's packets", lambda: isolation.isolate(group.pids(), _ports(group)))
        return _done(group) | {"sockets": sockets}

    def rejoin(self, zone: str) -> Reply:
        """Let packets reach the zone again."""
        group = self._zone(zone)
        _of_the_kernel("let a zone hear again", lambda: isolation.rejoin(group.pids(), _ports(group)))
        return _done(group)

    def cap(self, zone: str, kind: str) -> Reply:
        """Cap "memory_cap" at what each process uses now, or "disk_full" at nothing."""
        group, known = self._alive(zone), _kind(kind)
        return _done(group) | {"bytes": _of_the_kernel("set limits", lambda: resource_caps.cap(known, group.pids()))}

    def uncap(self, zone: str, kind: str) -> Reply:
        """Lift a cap."""
        group, known = self._zone(zone), _kind(kind)
        _of_the_kernel("lift limits", lambda: resource_caps.uncap(known, group.pids()))
        return _done(group)

    def disturb(self, zone: str, share_percent: int, delay_s: float = 0.0, code: str = "") -> Reply:
        """Delay a share of the zone's inferences, or answer it with a gRPC code; the edge reaches it by a sidecar."""
        group, wanted = self._alive(zone), Disturbance(share_percent, delay_s, code)
        if zone == CANDIDATE:
            raise FleetError("only a zone can be disturbed: where the candidate is never changes at the edge")
        standing = self._sidecars.get(zone)
        if standing and standing.disturbance != wanted:
            raise FleetError(f"{zone} is disturbed already, otherwise ({standing.disturbance}): undisturb it first")
        if not standing:
            standing = Sidecar(zone, _ports(group), wanted, self._credentials, self._directory)
            standing.wait_until_listening()
            self._sidecars[zone] = standing
            self._edge.place(zone, standing.ports)
        return _done(group) | standing.status()

    def undisturb(self, zone: str) -> Reply:
        """Reach the zone directly again; its sidecar ends once the calls that it holds are over."""
        group = self._zone(zone)
        standing = self._sidecars.pop(zone, None)
        if standing:
            self._edge.place(zone, _ports(group))
            standing.retire()
            self._retired.append(standing)
        return _done(group)

    def restart_edge(self) -> Reply:
        """Have a new Envoy take the listener over from the one that runs, which leaves once its callers are gone."""
        former = self._edge.process
        self._edge.restart()
        pids = [process.pid for process in (former, self._edge.process) if process]
        return {"pids": pids, "t_monotonic_ns": time.monotonic_ns()}

    def in_force(self, zone: str) -> Reply:
        """The faults of a zone as the kernel tells them, and its sidecar."""
        group = self._zone(zone)
        found: Reply = dict(resource_caps.capped(group.pids()))
        if any(isolation.is_isolated(pid, _ports(group)) for pid in group.pids()):
            found["isolated"] = True
        standing = self._sidecars.get(zone)
        return found | ({"disturbed": standing.status()} if standing else {})

    def tend(self) -> None:
        """End the sidecars that nobody needs any more; call it now and then."""
        due = [item for item in self._retired if item.retired_s + SIDECAR_LINGER_S < time.monotonic()]  # type: ignore[operator]  # all are retired
        for item in due:
            item.end()
            self._retired.remove(item)

    def processes(self) -> list[Process]:
        """The processes of all sidecars."""
        return [item.process for item in [*self._sidecars.values(), *self._retired]]

    def _zone(self, name: str) -> Zone:
        if name not in self._zones:
            raise FleetError(f"no zone {name!r}: this fleet has {', '.join(self._zones)}")
        return self._zones[name]

    def _alive(self, name: str) -> Zone:
        group = self._zone(name)
        if not group.pids():
            raise FleetError(f"{name} is down")
        return group


def _of_the_kernel(what: str, ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except OSError as error:
        raise FleetError(f"this kernel does not let the supervisor {what}: {error}") from error


def _kind(kind: str) -> str:
    if kind not in resource_caps.KINDS:
        raise FleetError(f"cannot cap {kind!r}: known are {' and '.join(resource_caps.KINDS)}")
    return kind


def _ports(group: Zone) -> list[int]:
    return [port.number for port in group.ports]


def _done(group: Zone) -> Reply:
    return {"pids": group.pids(), "t_monotonic_ns": time.monotonic_ns()}
