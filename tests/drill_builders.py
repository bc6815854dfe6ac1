"""Builds the evidence of healthy drills, as each drill seals it, and as a run takes it over.

Rule: as in `builders`: deterministic and small; a test takes a healthy drill and breaks the one thing it is about.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.model import Evidence
from harness.plan_drills import DEFAULTS, Drill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

S = 1_000_000_000
SUBJECT = "flight-delay@1 sha256:0123456789abcdef"
HELD = "2025-02-20T08:00:00+00:00"
START_S, LENGTH_S, RATE = 1.0, 24.0, 100
FAULT_S, PROVEN_S, BACK_S, BACKED_UP_S = 10.0, 10.1, 12.0, 9.0
"""On the drill's clock: the disaster, its proof, when the service answers again, and what the last backup holds."""
SCENARIOS = {"zone_failure": "zone_crash", "rollback": "rollback"}
DRILLS = ("data_loss", "bad_backup", "zone_failure", "rollback")


def targets(name: str) -> Drill:
    """The targets of a drill in tests: the defaults."""
    return DEFAULTS[name]


def drill_evidence(name: str) -> dict[str, Evidence]:
    """All that a drill that went well has sealed."""
    scenario, restores = SCENARIOS.get(name, "drill"), name not in SCENARIOS
    rows = _rows(scenario, down=restores, switched=name == "rollback")
    facts: dict[str, Any] = {"name": name, "definition": f"definition of {name}"}
    if restores:
        facts["restore"] = _restore(spoiled=name == "bad_backup")
    found = {
        "drill": _one("drill", facts, records=_records(rows, restores=restores)),
        "ledger": _one("ledger", {"scenarios": {scenario: _scenario(len(rows))}}, requests=rows),
        "timeline": _one("timeline", {"started": HELD}, events=_events(name)),
        "machine": _one("machine", {"cpu_count": 2}, cpu=_cpu()),
    }
    if restores:
        return found | {"quality": _one("quality", {"version": "1", "rows": 600}, answers=_answers())}
    return found | {scenario: _one(scenario, _experiment(scenario))}


def drills_evidence(names: tuple[str, ...] = DRILLS) -> Evidence:
    """What a run takes over of these drills."""
    tables: dict[str, pd.DataFrame] = {}
    found: dict[str, Any] = {}
    for name in names:
        evidence = drill_evidence(name)
        tables |= {
            f"{name}.{key}.{table}": content for key, item in evidence.items() for table, content in item.tables.items()
        }
        latest = {"id": f"{name}-1", "as_of": HELD, "subject": SUBJECT, "definition": f"definition of {name}"}
        latest |= {"state": "whole", "why": "", "documents": {key: _document(item) for key, item in evidence.items()}}
        found[name] = {
            "definition": f"definition of {name}",
            "latest": latest,
            "others": {"version": 0, "definition": 0},
        }
    return _one("drills", {"as_of": "2025-03-01T12:00:00+00:00", "drills": found}, **tables)


def with_table(
    evidence: Mapping[str, Evidence], name: str, table: str, change: Callable[[pd.DataFrame], pd.DataFrame]
) -> dict[str, Evidence]:
    """With one table replaced by what `change` makes of a copy of it."""
    item = evidence[name]
    return {**evidence, name: replace(item, tables={**item.tables, table: change(item.tables[table].copy())})}


def with_facts(evidence: Mapping[str, Evidence], name: str, **changes: Any) -> dict[str, Evidence]:
    """With some facts of one evidence replaced."""
    return {**evidence, name: replace(evidence[name], facts={**evidence[name].facts, **changes})}


def _one(name: str, facts: Mapping[str, Any], **tables: pd.DataFrame) -> Evidence:
    return Evidence(id=name, collector=name, subject=SUBJECT, facts=facts, tables=tables)


def _document(item: Evidence) -> dict[str, Any]:
    return {"collector": item.collector, "facts": item.facts, "tables": sorted(item.tables), "error": None}


def _rows(scenario: str, *, down: bool, switched: bool) -> pd.DataFrame:
    n = round(LENGTH_S * RATE)
    due = np.round((START_S + np.arange(n) / RATE) * S).astype(np.int64)
    failed = (due >= FAULT_S * S) & (due < BACK_S * S) if down else np.zeros(n, np.bool_)
    other = (due >= FAULT_S * S) & (due < BACK_S * S) & switched
    return pd.DataFrame(
        {
            "request_id": np.arange(n, dtype=np.uint64),
            "scenario": scenario,
            "phase": "load",
            "intended_ns": due,
            "sent_ns": (due + 50_000).astype(np.float64),
            "done_ns": np.where(failed, due + 2_000_000, due + 5_000_000).astype(np.float64),
            "status": np.where(failed, 14, 0).astype(np.int16),
            "zone": np.where(failed, "", np.array(["zone-a", "zone-b", "zone-c"])[np.arange(n) % 3]),
            "model_version": np.where(failed, "", np.where(other, "2", "1")),
            "worker": np.zeros(n, np.int16),
            "response_bytes": np.full(n, 64, np.int32),
        }
    )


def _records(rows: pd.DataFrame, *, restores: bool) -> pd.DataFrame:
    """What the journal holds: all that was acknowledged, but for what came after the last backup."""
    lost = (rows["done_ns"] > BACKED_UP_S * S) & (rows["done_ns"] <= PROVEN_S * S) & restores
    kept = rows[(rows["status"] == 0) & ~lost]
    ids = [f"{number:016x}" for number in kept["request_id"]]
    return pd.DataFrame(
        {"zone": "zone-a", "request_id": ids, "model_version": "1", "time_ns": kept["done_ns"].to_numpy()}
    )


def _scenario(n: int) -> dict[str, Any]:
    counts = {"scheduled": n, "recorded": n, "workers": 1, "workers_lost": 0, "gaps": 0}
    return {**counts, "finished": True, "drained": True, "phases": [{"name": "load", "rate_rps": RATE}]}


def _restore(*, spoiled: bool) -> dict[str, Any]:
    why = "backup 2 is refused: zone-a is not the file that was backed up: its SHA-256 differs"
    refused = [{"backup": "backup-2", "why": why}] if spoiled else []
    told = {"backup": "backup-1", "taken": HELD, "why": "", "subject": SUBJECT, "refused": refused}
    return {**told, "spoiled": "backup-2" if spoiled else "", "left_behind": False, "start_error": ""}


def _events(name: str) -> pd.DataFrame:
    subject = "zone-b" if name == "zone_failure" else "state"
    events = [
        (FAULT_S, "fault_requested", subject),
        (PROVEN_S, "fault_in_place", subject),
        (BACK_S, "fault_removed", subject),
    ]
    if name == "rollback":
        events = [(FAULT_S, "promoted", "candidate"), (BACK_S, "rolled_back", "primary")]
    rows = [(round(at_s * S), event, of) for at_s, event, of in events]
    return pd.DataFrame(rows, columns=["t_ns", "event", "subject"]).assign(detail="{}")


def _cpu() -> pd.DataFrame:
    stamps = (np.arange(0, START_S + LENGTH_S, 0.5) * S).astype(np.int64)
    return pd.DataFrame({"t_ns": stamps, "busy_cores": 1.2, "own_cores": 1.1})


def _answers() -> pd.DataFrame:
    expected = np.random.default_rng(4).random(600).round(6)
    return pd.DataFrame({"row": np.arange(600), "expected": expected, "observed": expected, "label": 0, "version": "1"})


def _experiment(name: str) -> dict[str, Any]:
    met = {"steady_state_met": True, "probes": []}
    step = {"activity": {"name": "step", "type": "action"}, "status": "succeeded", "output": True}
    journal = {
        "experiment": {"title": name, "method": [{"name": "step"}], "rollbacks": [{"name": "heal"}]},
        "status": "completed",
        "deviated": False,
        "steady_states": {"before": met, "after": met, "during": []},
        "run": [step],
        "rollbacks": [step],
    }
    file = {"file": f"local/{name}.json", "file_sha256": "00"}
    return {"experiment": name, **file, "exit_code": 0, "journal": journal, "target_zone": "zone-b"}
