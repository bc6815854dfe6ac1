"""The edge's own view over the whole run: which hosts it sends to, and how often it had to try again.

Rule: cumulative counters and host states are sampled as they are; differences and windows are for the judge.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd

from harness.collectors import CollectError, Collector, Context
from harness.collectors.sampling import Sampling, sampled
from harness.fleet.edge import EdgeAdmin
from harness.model import Evidence

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

INTERVAL_S = 0.05
"""Twenty readings a second: the time to detect a fault is known to 50 ms."""
COUNTERS = ["t_ns", "cluster", "upstream_rq_total", "upstream_rq_retry", "upstream_rq_retry_overflow"]
HOST_COLUMNS = ("cluster", "zone", "healthy", "rq_total", "rq_error", "cx_connect_fail")


@contextlib.contextmanager
def watch(context: Context) -> Iterator[None]:
    """Sample until the block ends; nothing to sample where there is no edge of ours."""
    if context.fleet is None:
        yield
        return
    hosts: list[dict[str, Any]] = []
    counters: list[dict[str, Any]] = []
    with sampled("edge-sampler", lambda stop: _sample_until(stop, context, hosts, counters)) as sampling:
        context.samples["edge"] = (sampling, hosts, counters)
        yield


def _sample_until(
    stop: threading.Event, context: Context, hosts: list[dict[str, Any]], counters: list[dict[str, Any]]
) -> None:
    now_ns = context.run.timeline.now_ns
    with EdgeAdmin(context.require_fleet().admin) as admin:
        while not stop.wait(INTERVAL_S):
            with contextlib.suppress(httpx.HTTPError):  # a missed reading is a gap in the table, which the judge sees
                readings, t_ns = admin.hosts(), now_ns()
                hosts += [{"t_ns": t_ns} | {name: getattr(item, name) for name in HOST_COLUMNS} for item in readings]
                per_cluster, t_ns = admin.counters(), now_ns()
                counters += [{"t_ns": t_ns, "cluster": cluster, **values} for cluster, values in per_cluster.items()]


def collect(context: Context) -> tuple[Evidence, ...]:
    """The samples as two tables; with nothing in them where the edge is Google's, which tells no such counters."""
    if context.plan.target.gcp is not None:
        tables = {"hosts": pd.DataFrame(columns=["t_ns", *HOST_COLUMNS]), "counters": pd.DataFrame(columns=COUNTERS)}
        facts = {"poll_interval_ms": INTERVAL_S * 1000, "readings": 0}
        return (Evidence(id="edge", collector="edge", subject=context.run.info.subject, facts=facts, tables=tables),)
    sampling, hosts, counters = context.samples.get("edge", (Sampling(), [], []))
    sampling.require_whole()
    if not hosts or not counters:
        raise CollectError("the edge's state was never read")
    tables = {"hosts": pd.DataFrame(hosts), "counters": pd.DataFrame(counters).fillna(0)}
    facts = {"poll_interval_ms": INTERVAL_S * 1000, "readings": len({row["t_ns"] for row in hosts})}
    return (Evidence(id="edge", collector="edge", subject=context.run.info.subject, facts=facts, tables=tables),)


COLLECTORS = (
    Collector(
        ids=("edge",), order=91, collect=collect, phase="after", watch=watch, needs_control=True, faults_only=True
    ),
)
