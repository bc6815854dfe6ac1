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
from experiments.probes.calls import direct_calls
from experiments.probes.zones import processes_listening, serves_within
from harness.load.golden import REFERENCE_VERSION, golden_requests

LIMITS = {"memory_cap": "Max data size", "disk_full": "Max file size"}
"""As /proc/PID/limits has them (proc(5))."""
READ_LIMIT_S = 2.0
POLL_S = 0.1
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


def zone_still_answers(zone: str) -> bool:
    """Whether each process of the zone answers a real inference."""
    status = client().status()
    ports = group(status, zone)["ports"]
    return all(seen.code == "OK" for seen in direct_calls(status, ports, len(ports), _inference()))


def unwritten_records_are_counted(zone: str, limit_s: float = 5.0) -> bool:
    """Whether the service says in its metrics that predictions are not recorded, and says so more and more.

    Real inferences are made there meanwhile, so that there is something to record without other load too.
    """
    status = client().status()
    found = group(status, zone)
    log = Path(found["processes"][0]["log"])
    first = _dropped_predictions(log)
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        direct_calls(status, found["ports"][:1], 1, _inference())
        if _dropped_predictions(log) > first:
            return True
        time.sleep(POLL_S)
    return False


def _inference() -> bytes:
    """A request of the reference model's golden set, as a scenario run by hand sends."""
    return golden_requests(REFERENCE_VERSION)[0]


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
