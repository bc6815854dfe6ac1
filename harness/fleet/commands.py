"""What `gonogo fleet up|status|down` do: one fleet of this user, without lease, at a known socket.

Rule: nothing here prints; each function returns the status, and FleetError says in words what stands against it.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.fleet.client import FleetClient, FleetError

if TYPE_CHECKING:
    from harness.fleet.spec import FleetSpec

SOCKET_VARIABLE = "GONOGO_FLEET"
"""Environment variable naming the control socket of the fleet that actions and probes work on."""


def control_socket() -> Path:
    """The control socket that the environment names, else this user's own."""
    named = os.environ.get(SOCKET_VARIABLE)
    return Path(named) if named else Path(tempfile.gettempdir()) / f"gonogo-{os.getuid()}" / "fleet.sock"


def fleet_up(spec: FleetSpec) -> dict[str, Any]:
    """Start the fleet, leave it running and return its status; raises FleetError if it is already up."""
    from harness.fleet.lifecycle import start_fleet  # noqa: PLC0415 - gRPC and HTTP clients are slow to import

    control = spec.control or control_socket()
    client = FleetClient(control)
    if is_up(client):
        raise FleetError(f"a fleet is already up at {control}; end it with: gonogo fleet down")
    start_fleet(dataclasses.replace(spec, control=control), lease=False)
    return client.status()


def fleet_status() -> dict[str, Any]:
    """What runs now; raises FleetError if no fleet is up."""
    return FleetClient(control_socket()).status()


def fleet_down() -> None:
    """End the fleet; raises FleetError if none is up."""
    FleetClient(control_socket()).down()


def is_up(client: FleetClient) -> bool:
    """Whether a supervisor answers."""
    try:
        client.status()
    except FleetError:
        return False
    return True
