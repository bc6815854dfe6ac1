"""The law of a server whose response times can be computed: 5 ms, and a full stall of 1 s in every 10 s.

Rule: pure, and one formula for the server that obeys it and for the truth that is expected of a load, so that it works
on an integer as on an array of them. All instants are nanoseconds of CLOCK_MONOTONIC.
"""

from __future__ import annotations

from typing import TypeVar

SERVICE_NS = 5_000_000
PERIOD_NS, STALL_NS = 10_000_000_000, 1_000_000_000
FIRST_STALL_NS = 9_000_000_000
"""From the cycle's zero, which is the first request's arrival, to the first stall."""

Instants = TypeVar("Instants")


def answered_ns(arrived_ns: Instants, zero_ns: int) -> Instants:
    """When a request that arrived then is answered: 5 ms later, or where that falls into a stall, at its end."""
    due_ns = arrived_ns + SERVICE_NS  # type: ignore[operator] # integers and arrays of them
    since_ns = due_ns - zero_ns - FIRST_STALL_NS
    into_ns = since_ns % PERIOD_NS
    stalled = (since_ns >= 0) & (into_ns < STALL_NS)
    return due_ns + stalled * (STALL_NS - into_ns)
