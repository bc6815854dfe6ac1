"""Sends traffic from one version to another, and back.

Rule: see `experiments.actions`. When the route was replaced is the supervisor's clock, not this process's.
"""

from __future__ import annotations

from typing import Any

from experiments.fleet import client, timeline


def switch_traffic(to: str) -> dict[str, Any]:
    """Send all traffic to "candidate" or back to "primary"; nothing happens when it already goes there."""
    fleet = client()
    if fleet.status()["route"]["to"] == to:
        return {"to": to, "switched": False}
    log = timeline()
    replaced_ns = fleet.route(to=to, mirror=False)["t_monotonic_ns"] - log.zero_ns
    log.add("promoted" if to == "candidate" else "rolled_back", to, t_ns=replaced_ns)
    return {"to": to, "switched": True, "replaced_ns": replaced_ns}
