"""Brings the ledgers of every scenario together: each scheduled request once, in the order of intent.

Rule: completed from the schedule, so nothing scheduled is ever missing; what a generator did not record is its own
failure, and shows as such.
"""

from __future__ import annotations

import pandas as pd

from harness.collectors import CollectError, Collector, Context
from harness.load.ledger import complete
from harness.model import Evidence


def collect(context: Context) -> tuple[Evidence, ...]:
    """One table of requests and, per scenario, how it was recorded."""
    if not context.loads:
        raise CollectError("no load was driven: " + ("; ".join(context.load_errors.values()) or "nothing was started"))
    tables, scenarios = [], {}
    for spec, stream in context.loads:
        table, summary = complete(spec, stream)
        tables.append(table)
        scenarios[spec.scenario] = summary | {"error": context.load_errors.get(spec.scenario, "")}
    requests = pd.concat(tables, ignore_index=True)
    for column in ("scenario", "phase", "zone", "model_version"):
        requests[column] = requests[column].astype("category")
    requests = requests.sort_values("intended_ns", kind="stable", ignore_index=True)
    subject = context.run.info.subject
    facts = {"scenarios": scenarios, "requests": context.samples.get("requests", "")}
    return (Evidence(id="ledger", collector="ledger", subject=subject, facts=facts, tables={"requests": requests}),)


COLLECTORS = (Collector(ids=("ledger",), order=90, collect=collect, phase="after"),)
