"""The run's timeline as evidence: every event of every process, on the ledger's clock.

Rule: a line that cannot be read is an error, not an event less.
"""

from __future__ import annotations

import json

import pandas as pd

from harness.collectors import CollectError, Collector, Context
from harness.model import Evidence


def collect(context: Context) -> tuple[Evidence, ...]:
    """Events in the order of their stamps; `detail` stays JSON text."""
    path = context.run.timeline.path
    try:
        events = [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise CollectError(f"the timeline cannot be read: {error}") from error
    if not events:
        raise CollectError("the timeline is empty")
    table = pd.DataFrame(events, columns=["t_ns", "event", "subject", "detail"])
    table["detail"] = [json.dumps(detail, sort_keys=True) for detail in table["detail"]]
    table = table.sort_values("t_ns", kind="stable", ignore_index=True)
    facts = {"started": context.run.info.as_of}
    subject = context.run.info.subject
    return (Evidence(id="timeline", collector="timeline", subject=subject, facts=facts, tables={"events": table}),)


COLLECTORS = (Collector(ids=("timeline",), order=93, collect=collect, phase="after"),)
