"""Brings the ledgers of every scenario together: each scheduled request once, in the order of intent.

Rule: completed from the schedule, so nothing scheduled is ever missing; what a generator did not record is its own
failure, and shows as such.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.collectors import CollectError, Collector, Context
from harness.load.ledger import complete
from harness.load.schedule import schedule
from harness.load.streams import LedgerError
from harness.model import Evidence

if TYPE_CHECKING:
    from harness.load.spec import LoadSpec


def collect(context: Context) -> tuple[Evidence, ...]:
    """One table of requests and, per scenario, how it was recorded."""
    if not context.loads:
        raise CollectError("no load was driven: " + ("; ".join(context.load_errors.values()) or "nothing was started"))
    tables, scenarios = [], {}
    for spec, stream in context.loads:
        try:
            table, summary = complete(spec, stream)
            tables.append(table)
        except LedgerError as error:
            summary = _never_started(spec) | {"error": str(error)}
        told = {"scenario_error": context.load_errors, "refused": context.refused}
        scenarios[spec.scenario] = summary | {name: texts.get(spec.scenario, "") for name, texts in told.items()}
    if not tables:
        reasons = {str(item["scenario_error"] or item["error"]).splitlines()[0] for item in scenarios.values()}
        raise CollectError(f"no scenario ever started: {'; '.join(sorted(reasons))}")
    requests = pd.concat(tables, ignore_index=True)
    for column in ("scenario", "phase", "zone", "model_version"):
        requests[column] = requests[column].astype("category")
    requests = requests.sort_values("intended_ns", kind="stable", ignore_index=True)
    subject = context.run.info.subject
    facts = {"scenarios": scenarios, "requests": context.samples.get("requests", "")}
    return (Evidence(id="ledger", collector="ledger", subject=subject, facts=facts, tables={"requests": requests}),)


def _never_started(spec: LoadSpec) -> dict[str, Any]:
    """What is to be known of a scenario that left no ledger: all that it should have sent is missing."""
    return {
        "scheduled": len(schedule(spec)),
        "recorded": 0,
        "workers": 1,
        "workers_lost": 1,
        "finished": False,
        "gaps": 0,
        "phases": [],
    }


COLLECTORS = (Collector(ids=("ledger",), order=90, collect=collect, phase="after"),)
