"""Reads what a zone's processes may use: in /proc, and in what they say of themselves.

Rule: see `experiments.probes`. The kernel's own table of limits is the proof; the service's metrics are its own word.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
from chaoslib.exceptions import ActivityFailed

from experiments import faults
from experiments.fleet import client, group
from experiments.probes.zones import processes_listening, serves_within

LIMITS = {"memory_cap": "Max data size", "disk_full": "Max file size"}
"""As /proc/PID/limits has them (proc(5))."""
READ_LIMIT_S = 2.0
_dropped = re.compile(r"^predictions_dropped (\S+)$", re.MULTILINE).search


def limit_is_low(zone: str, kind: str) -> dict[str, Any]:
    """/proc shows each process of the zone a limit in bytes; records `fault_in_place`."""
    limits = _limits(zone, kind)
    if not limits or "unlimited" in limits.values():
        raise ActivityFailed(f"{LIMITS[kind]} of {zone}: {limits or 'no process'}")
    seen_ns = faults.in_place(kind, zone, f"/proc/PID/limits: {LIMITS[kind]}", limits=limits)
    return {"zone": zone, "limits": limits, "seen_ns": seen_ns}


def limit_stays_low(zone: str, kind: str) -> bool:
    """Every process of the zone that survived has the limit still; one that started anew would not."""
    return "unlimited" not in _limits(zone, kind).values()


def limit_is_lifted(zone: str, kind: str, limit_s: float = 20.0) -> dict[str, Any]:
    """/proc shows no limit, and each process says SERVING to a direct call; records `fault_removed`."""
    if not serves_within(zone, limit_s):
        raise ActivityFailed(f"{zone} does not serve after {limit_s} s")
    limits = _limits(zone, kind)
    if set(limits.values()) != {"unlimited"}:
        raise ActivityFailed(f"{LIMITS[kind]} of {zone}: {limits}")
    seen_ns = faults.gone(kind, zone, f"/proc/PID/limits: {LIMITS[kind]}; direct health call", limits=limits)
    return {"zone": zone, "seen_ns": seen_ns}


def zone_still_serves(zone: str) -> bool:
    """Whether every process of the zone says SERVING to a direct call."""
    return serves_within(zone, READ_LIMIT_S)


def unwritten_records_are_counted(zone: str, limit_s: float = 5.0) -> bool:
    """Whether the service says in its metrics that predictions are not recorded, and says so more and more."""
    log = Path(group(client().status(), zone)["processes"][0]["log"])
    first = _dropped_predictions(log)
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        if _dropped_predictions(log) > max(first, 0.0):
            return True
        time.sleep(0.1)
    return False


def _dropped_predictions(log: Path) -> float:
    """What the latest process that wrote to `log` counts; its log says where its metrics are."""
    ready = [line for line in log.read_text().splitlines() if '"event": "ready"' in line]
    address = json.loads(ready[-1])["metrics"]
    found = _dropped(httpx.get(f"http://{address}/metrics", timeout=READ_LIMIT_S, trust_env=False).text)
    if found is None:
        raise ActivityFailed(f"the metrics at {address} do not tell predictions_dropped")
    return float(found[1])


def _limits(zone: str, kind: str) -> dict[str, str]:
    """The soft limit of each process of the zone, by pid."""
    pids = processes_listening(group(client().status(), zone)["ports"])
    return {str(pid): _soft_limit(pid, LIMITS[kind]) for pid in pids}


def _soft_limit(pid: int, name: str) -> str:
    """The first column after the name: "unlimited" or bytes."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith(name):
            return line.removeprefix(name).split()[0]
    raise ActivityFailed(f"/proc/{pid}/limits has no {name!r}")
