"""Drafts the postmortem of a drill: what happened, when, to whom, and against which target.

Rule: says only what the evidence says; what it does not say is a question to answer, and action items are left to
people.
"""

from __future__ import annotations

import datetime as dt
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.answers import rto_words
from harness.drill_measures import load_of, moments, watched
from harness.recovery import lost
from harness.slices import SECOND_NS, events, requests

if TYPE_CHECKING:
    from harness.store import LoadedRun

SUMMARIES = {
    "zone_failure": "Every process of one zone was killed under load, kept down, and started again.",
    "rollback": "All traffic was sent to the candidate under load, and taken back.",
    "data_loss": "The state of all zones was deleted under load; everything was stopped and restored from a backup.",
    "bad_backup": "The state of all zones was deleted under load, and the newest backup had a flipped byte.",
    "region_loss": "Zones, edge, state and registry were lost at once, and rebuilt from the repository and a backup.",
}
"""What each drill does, in one sentence."""


def postmortem(document: dict[str, Any], run: LoadedRun) -> str:
    """The draft, in Markdown, for the drill whose `drill.json` is `document`."""
    template = _templates().get_template("postmortem.md.jinja")
    return template.render(
        drill=document,
        summary=SUMMARIES[document["drill"]],
        rto=rto_words(document),
        owner=run.plan.plan.service.owner,
        timeline=_timeline(document["drill"], run),
        impact=_impact(document["drill"], run),
        conditions=_conditions(run),
    )


def _timeline(name: str, run: LoadedRun) -> list[dict[str, str]]:
    """Every event with its time of day and its seconds from the disaster."""
    evidence = run.evidence["timeline"]
    if evidence.error is not None:
        return []
    at, began = moments(name, events(evidence)), dt.datetime.fromisoformat(run.info.as_of)
    zero_ns = 0.0 if isinstance(at, str) else at.requested_ns
    return [
        {
            "clock": f"{began + dt.timedelta(seconds=event.t_ns / SECOND_NS):%H:%M:%S}",
            "offset": f"{(event.t_ns - zero_ns) / SECOND_NS:+.2f} s",
            "event": event.event.replace("_", " "),
            "subject": event.subject,
            "detail": ", ".join(f"{key}: {value}" for key, value in sorted(json.loads(event.detail).items())),
        }
        for event in evidence.tables["events"].itertuples()
    ]


def _impact(name: str, run: LoadedRun) -> dict[str, int] | None:
    """What callers met during the whole load; None where the ledger can't say."""
    evidence = run.evidence["ledger"]
    if evidence.error is not None:
        return None
    rows = watched(requests(evidence).of(load_of(name)), events(run.evidence["timeline"]), load_of(name))
    found, slow = lost(rows), int((rows.served().response_ms() > run.plan.plan.slo.latency_ms_p99).sum())
    return {"n": found.n, "low": found.definite, "high": found.definite + found.indeterminate, "slow": slow}


def _conditions(run: LoadedRun) -> list[str]:
    """Under what the drill was held, as far as it bears on what it shows."""
    facts, traffic = run.evidence["drill"].facts, run.plan.plan.traffic
    said = [f"{traffic.launch_rps:g} requests a second, sent by an open-loop client outside of what was broken"]
    if facts.get("with_backup") is False:
        said.append("backups were switched off")
    elif "restore" in facts:
        said.append(f"a backup every {facts['targets']['backup_every_s']:g} s")
    return [*said, "all zones are processes of one machine: a cloud's zones take other times to start and to reach"]


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("harness", "drills"),
        autoescape=False,  # noqa: S701 - Markdown, of our own evidence
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
