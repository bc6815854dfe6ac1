"""Reads what becomes of inferences at the address to which the edge sends for a zone: by making some there directly.

Rule: see `experiments.probes`. Where they carry no message, the zone itself refuses each at once; what they show is how
long that takes, and with which code it ends.
"""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
from chaoslib.exceptions import ActivityFailed

from experiments import faults
from experiments.fleet import client, group
from experiments.probes.waiting import wait
from harness.fleet.edge import EdgeAdmin
from harness.fleet.reach import Reach
from harness.load.spec import MODEL_INFER

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

CALLS = 100
"""With none of a hundred disturbed, a share of 10 % is ruled out but for three in 100,000."""
PAUSE_S = 0.005
"""Between two calls: 200 a second, no more than the zone has anyway."""
DEVIATIONS_MAX = 4.0
"""Standard deviations by which the share seen may differ from the one asked for: wrong once in 16,000."""
DELAY_SHARE_MIN = 0.95
"""Envoy's timers know milliseconds, and take the time once for everything that is due together."""
FAST_S = 0.1
"""A zone on this machine refuses an empty call in a millisecond; a delay is longer than this."""


class Seen(NamedTuple):
    """How one call ended."""

    took_s: float
    code: str


def calls_are_disturbed(zone: str, fault: str) -> dict[str, Any]:
    """About the share asked for of direct calls is slow, or ends with the code; records `fault_in_place`."""
    seen = _disturbed_share(zone)
    seen_ns = faults.in_place(fault, zone, f"{CALLS} direct calls to where the edge sends for the zone", **seen)
    return {"zone": zone, "seen_ns": seen_ns, **seen}


def calls_stay_disturbed(zone: str) -> bool:
    """Still about that share; raises when it is not."""
    _disturbed_share(zone)
    return True


def calls_pass(zone: str, fault: str, limit_s: float = 20.0) -> dict[str, Any]:
    """The edge reaches the zone by its own addresses, no sidecar is left, and calls are fast; records `fault_removed`.

    The edge's list of hosts says where it sends; that nobody stands between any more, the process table says.
    """
    status = client().status()
    ports = group(status, zone)["ports"]
    own = {f"127.0.0.1:{port}" for port in ports}
    wait(lambda: _addresses_at_edge(status, zone) == own, limit_s, f"the edge does not reach {zone} directly")
    wait(lambda: not _sidecars(status, zone), limit_s, f"a sidecar of {zone} is left")
    slowest_s = max(seen.took_s for seen in direct_calls(status, ports, len(ports) * 3))
    if slowest_s > FAST_S:
        raise ActivityFailed(f"a direct call to {zone} took {slowest_s:.2f} s")
    seen_ns = faults.gone(fault, zone, "hosts of the edge, process table, direct calls", ports=ports)
    return {"zone": zone, "ports": ports, "slowest_s": slowest_s, "seen_ns": seen_ns}


def _disturbed_share(zone: str) -> dict[str, Any]:
    """What the calls showed. Raises ActivityFailed when it is not what was asked for, or the edge sends elsewhere."""
    status = client().status()
    found = group(status, zone)
    wanted = found["faults"].get("disturbed")
    if wanted is None:
        raise ActivityFailed(f"no sidecar stands before {zone}")
    wait(
        lambda: _addresses_at_edge(status, zone) == {f"127.0.0.1:{port}" for port in wanted["ports"]},
        limit_s=2.0,
        failure=f"the edge does not reach {zone} by the sidecar",
    )
    [undisturbed] = direct_calls(status, found["ports"], 1)
    if undisturbed.code == wanted["code"] or undisturbed.took_s > FAST_S:
        raise ActivityFailed(f"{zone} itself is slow or says {undisturbed.code}, so that the fault can't be told apart")
    seen = direct_calls(status, wanted["ports"], CALLS)
    least_s = DELAY_SHARE_MIN * wanted["delay_s"]
    hit = sum(item.code == wanted["code"] if wanted["code"] else item.took_s >= least_s for item in seen)
    share = wanted["share_percent"] / 100
    allowed = DEVIATIONS_MAX * math.sqrt(CALLS * share * (1 - share))
    if not hit or abs(hit - CALLS * share) > allowed:
        raise ActivityFailed(f"{hit} of {CALLS} direct calls to {zone} were disturbed, not about {share:.0%}")
    return {"disturbed": hit, "calls": CALLS}


def direct_calls(status: dict[str, Any], ports: list[int], count: int, message: bytes = b"") -> list[Seen]:
    """Make `count` inferences, a few milliseconds apart, at the ports in turn."""
    reach = Reach.of(status)
    metadata = (("authorization", f"Bearer {Path(reach.load_key).read_text()}"),)
    channels = [reach.channel(f"127.0.0.1:{port}") for port in ports]
    try:
        methods = [channel.unary_unary(MODEL_INFER, bytes, bytes) for channel in channels]
        pending = []
        for number in range(count):
            own = (*metadata, ("x-request-id", f"probe-{time.monotonic_ns():x}"))
            future = methods[number % len(methods)].future
            pending.append(_Timed(partial(future, message, timeout=5.0, metadata=own)))
            time.sleep(PAUSE_S)
        return [item.result() for item in pending]
    finally:
        for channel in channels:
            channel.close()


class _Timed:
    """One call under way."""

    def __init__(self, start: Callable[[], Any]) -> None:
        self._done_s = math.inf
        self._sent_s = time.monotonic()
        self._call = start()
        self._call.add_done_callback(self._note)

    def result(self) -> Seen:
        """Wait for its end, which its own timeout bounds."""
        code: grpc.StatusCode = self._call.code()
        wait(lambda: self._done_s < math.inf, 1.0, "a call that ended was not noted")
        return Seen(self._done_s - self._sent_s, code.name)

    def _note(self, _: object) -> None:
        self._done_s = time.monotonic()


def _addresses_at_edge(status: dict[str, Any], zone: str) -> set[str]:
    with EdgeAdmin(status["admin"]) as edge:
        return {host.address for host in edge.hosts() if host.cluster == "primary" and host.zone == zone}


def _sidecars(status: dict[str, Any], zone: str) -> list[int]:
    """Processes started with this fleet's configuration of a sidecar of the zone."""
    configuration = str(Path(status["edge"]["log"]).with_name(f"sidecar-{zone}.json"))
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if configuration in (process.info["cmdline"] or ()) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]
