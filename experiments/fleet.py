"""How an experiment finds the fleet that it breaks.

Rule: by the environment when a run started it (GONOGO_FLEET), else the fleet that `gonogo fleet up` started.
"""

from __future__ import annotations

import os
from typing import Any

from harness.fleet.client import FleetClient
from harness.fleet.commands import control_socket
from harness.timeline import NoTimeline, Timeline, from_environment


def client() -> FleetClient:
    """The control socket of the fleet."""
    return FleetClient(control_socket())


def timeline() -> Timeline | NoTimeline:
    """The run's timeline, or one that drops events when no run is under way."""
    return from_environment(os.environ)


def group(status: dict[str, Any], name: str) -> dict[str, Any]:
    """What the supervisor says of one zone, or of the candidate. Raises KeyError naming the known ones."""
    groups = dict(status["zones"]) | ({"candidate": status["candidate"]} if status.get("candidate") else {})
    if name not in groups:
        raise KeyError(f"no zone {name!r} in this fleet; it has {', '.join(sorted(groups))}")
    found: dict[str, Any] = groups[name]
    return found
