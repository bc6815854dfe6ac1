"""Sends traffic from one version to another, and back.

Rule: see `experiments.actions`. When the route was replaced is the supervisor's clock, not this process's. Traffic to
the candidate is in the journal until the edge is seen to send to the primary again.
"""

from __future__ import annotations

from typing import Any

from experiments import faults
from experiments.fleet import client, timeline
from experiments.probes.edge import traffic_goes_to
from experiments.probes.waiting import wait

PROMOTED = "traffic_to_candidate"
SWITCH_LIMIT_S = 5.0
"""The edge takes a new route file in milliseconds."""


def switch_traffic(to: str) -> dict[str, Any]:
    """Send all traffic to "candidate" or back to "primary"; nothing happens when it already goes there."""
    switched = {"switched": False} if client().status()["route"]["to"] == to else _switch(to)
    if to == "primary":
        wait(lambda: traffic_goes_to(to), SWITCH_LIMIT_S, f"the edge does not send to the {to}")
        faults.strike_out(PROMOTED, "candidate")
    return {"to": to, **switched}


def _switch(to: str) -> dict[str, Any]:
    if to == "candidate":
        faults.write_down(PROMOTED, "candidate", undo=switch_traffic, to="primary")
    log = timeline()
    replaced_ns = client().route(to=to, mirror=False)["t_monotonic_ns"] - log.zero_ns
    log.add("promoted" if to == "candidate" else "rolled_back", to, t_ns=replaced_ns)
    return {"switched": True, "replaced_ns": replaced_ns}
