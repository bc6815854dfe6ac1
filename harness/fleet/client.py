"""Asks a fleet's supervisor, over its control socket, what it runs and to change it.

Rule: standard library only, one connection and one JSON line each way per request; whatever goes wrong is a FleetError
in words. A lease is a connection that stays open: the supervisor ends the fleet when it closes, however it closes.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

REPLY_LIMIT_S = 20.0
"""Far above the slowest request, `kill`, which waits for the kernel."""

Reply = dict[str, Any]


class FleetError(Exception):
    """The fleet could not be reached, or could not do what was asked; the text says which and why."""


class Lease:
    """Keeps a fleet alive until closed."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def close(self) -> None:
        """Let the supervisor end the fleet."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class FleetClient:
    """Every request that a supervisor obeys; each raises FleetError if it cannot be met."""

    def __init__(self, socket_path: Path) -> None:
        self.socket_path = socket_path

    def status(self) -> Reply:
        """Address, admin socket, zones, candidate, edge, supervisor and route, as they are now."""
        return self._ask("status")

    def kill(self, zone: str) -> Reply:
        """SIGKILL every process of `zone`, which then stays down until `start`; returns when they are dead."""
        return self._ask("kill", zone=zone)

    def start(self, zone: str) -> Reply:
        """Start the processes of a zone that is down; returns when they are spawned, before they serve."""
        return self._ask("start", zone=zone)

    def freeze(self, zone: str) -> Reply:
        """SIGSTOP every process of `zone`."""
        return self._ask("freeze", zone=zone)

    def thaw(self, zone: str) -> Reply:
        """SIGCONT every process of `zone`."""
        return self._ask("thaw", zone=zone)

    def drain(self, zone: str) -> Reply:
        """SIGTERM every process of `zone`, which then leaves by itself and stays down until `start`."""
        return self._ask("drain", zone=zone)

    def isolate(self, zone: str) -> Reply:
        """Drop every packet that reaches `zone`, on open connections too; it goes on running."""
        return self._ask("isolate", zone=zone)

    def rejoin(self, zone: str) -> Reply:
        """End what `isolate` began."""
        return self._ask("rejoin", zone=zone)

    def cap(self, zone: str, kind: str) -> Reply:
        """Leave the processes of `zone` no more memory ("memory_cap") or let them write no file ("disk_full")."""
        return self._ask("cap", zone=zone, kind=kind)

    def uncap(self, zone: str, kind: str) -> Reply:
        """End what `cap` began."""
        return self._ask("uncap", zone=zone, kind=kind)

    def disturb(self, zone: str, *, share_percent: int, delay_s: float = 0.0, code: str = "") -> Reply:
        """Delay a share of the inferences of `zone`, or answer them with a gRPC code; health checks pass."""
        return self._ask("disturb", zone=zone, share_percent=share_percent, delay_s=delay_s, code=code)

    def undisturb(self, zone: str) -> Reply:
        """End what `disturb` began; the sidecar's process is gone some seconds later."""
        return self._ask("undisturb", zone=zone)

    def restart_edge(self) -> Reply:
        """Have a new edge take over from the running one; `pids` are the old and the new one's."""
        return self._ask("restart_edge")

    def route(self, to: str, *, mirror: bool) -> Reply:
        """Send all traffic to "primary" or "candidate"; `t_monotonic_ns` is when the route file was replaced."""
        return self._ask("route", to=to, mirror=mirror)

    def certify(self, zone: str, life_s: float) -> Reply:
        """Replace the zone's certificate by one of the same authority and key that holds for `life_s`."""
        return self._ask("certify", zone=zone, life_s=life_s)

    def down(self) -> Reply:
        """End the fleet; returns when the supervisor has killed everything."""
        return self._ask("down")

    def lease(self) -> Lease:
        """Bind the fleet's life to this process: keep the lease, and close it to end the fleet."""
        connection = self._connect()
        try:
            _exchange(connection, {"do": "lease"})
        except FleetError:
            connection.close()
            raise
        return Lease(connection)

    def _ask(self, do: str, **arguments: object) -> Reply:
        with self._connect() as connection:
            return _exchange(connection, {"do": do, **arguments})

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(REPLY_LIMIT_S)
        try:
            connection.connect(str(self.socket_path))
        except OSError as error:
            connection.close()
            raise FleetError(f"no fleet answers at {self.socket_path}: {error}") from error
        return connection


def _exchange(connection: socket.socket, request: Reply) -> Reply:
    try:
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile("rb") as stream:
            line = stream.readline()
    except OSError as error:
        raise FleetError(f"the fleet's supervisor did not answer {request['do']!r}: {error}") from error
    if not line:
        raise FleetError(f"the fleet's supervisor ended during {request['do']!r}")
    reply: Reply = json.loads(line)
    if "error" in reply:
        raise FleetError(reply["error"])
    return reply
