"""Conducts one drill from its beginning to its verdict, in a folder like a run's.

Rule: the evidence is sealed before it is judged, and the verdict is a pure function of it. What the world prevented is
the evidence's error; a drill that was interrupted is not sealed, and proves nothing.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.access import AccessError
from harness.artifact import ArtifactError
from harness.collect import subject_of
from harness.collectors import CollectError, Context, chaos, ledger, machine, quality, timeline
from harness.drill_checks import judge_drill
from harness.drill_definition import definition, targets_of
from harness.drill_measures import LOADS, load_of, missing, moments, watched
from harness.drills.disasters import lose_and_restore
from harness.drills.postmortem import postmortem
from harness.drills.rig import Rig
from harness.fleet.client import FleetError
from harness.load.streams import LedgerError
from harness.model import Check, Evidence, Outcome, worst
from harness.profiles import PROFILES
from harness.requests import RequestsError
from harness.secret import SecretError
from harness.slices import events, requests
from harness.store import canonical_json, create_run, load_run, write_whole
from reference_service.protocol.audit import SEGMENT_GLOB, read_segment

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable
    from pathlib import Path

    from harness.collectors import Progress
    from harness.plan import LoadedPlan
    from harness.plan_drills import Drill
    from harness.store import LoadedRun, Run

EXIT_CODES = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.UNKNOWN: 3}
VERDICT, POSTMORTEM = "drill.json", "postmortem.md"
_WORLD = (CollectError, FleetError, ArtifactError, AccessError, SecretError, RequestsError, LedgerError)
_REHEARSED: dict[str, Callable[[Context], tuple[Evidence, ...]]] = {
    "zone_failure": chaos.collect_zone_crash,
    "rollback": chaos.collect_rollback,
}


@dataclass(frozen=True, slots=True)
class Conducted:
    """A drill that was judged: its folder and what `drill.json` says."""

    folder: Path
    document: dict[str, Any]


def conduct(
    name: str, loaded: LoadedPlan, root: Path, *, with_backup: bool, progress: Progress, now: dt.datetime
) -> Conducted:
    """Run the drill `name` of the Plan's service in a new folder below `root`, judge it, write what was learnt."""
    targets = targets_of(name, loaded.plan)
    run = create_run(root, loaded, profile="drill", subject=subject_of(loaded), now=now, prefix=f"{name}-")
    context = Context(run=run, loaded=loaded, profile=PROFILES["quick"], progress=progress)
    facts = {
        "name": name,
        "definition": definition(name, loaded.plan),
        "targets": dataclasses.asdict(targets),
        "with_backup": with_backup,
    }
    run.write(_perform(name, context, targets, facts, with_backup=with_backup))
    for collector in (ledger.collect, timeline.collect, machine.collect):
        _write(context, collector.__module__.rpartition(".")[2], collector)
    run.seal()
    return _conclude(name, run, targets)


def _perform(name: str, context: Context, targets: Drill, facts: dict[str, Any], *, with_backup: bool) -> Evidence:
    """The drill itself, and the evidence of what was done in it and of what the journal holds afterwards."""
    subject = context.run.info.subject
    try:
        with (
            Rig(context, targets, with_backup=with_backup, with_candidate=name in _REHEARSED) as rig,
            machine.watch(context),
        ):
            if name in _REHEARSED:
                _write(context, LOADS[name], _REHEARSED[name])
            else:
                restored = lose_and_restore(rig, name)
                facts["restore"] = restored.facts()
                if restored.backup and not restored.start_error:
                    _write(context, "quality", quality.collect)
        records = _records(rig.state)
    except _WORLD as error:
        return Evidence(id="drill", collector="drill", subject=subject, facts=facts, error=str(error))
    return Evidence(id="drill", collector="drill", subject=subject, facts=facts, tables={"records": records})


def _records(state: Path) -> pd.DataFrame:
    """Every record that the zones' journals hold; of a damaged file, those before the damage."""
    rows = [
        (zone.name, record.request_id, record.model_version, record.time_ns)
        for zone in (sorted(state.iterdir()) if state.is_dir() else ())
        for path in sorted((zone / "audit").glob(SEGMENT_GLOB))
        for record in read_segment(path.read_bytes()).records
    ]
    return pd.DataFrame(rows, columns=["zone", "request_id", "model_version", "time_ns"])


def _write(context: Context, evidence_id: str, collect: Callable[[Context], tuple[Evidence, ...]]) -> None:
    try:
        found = collect(context)
    except _WORLD as error:
        subject = context.run.info.subject
        found = (Evidence(id=evidence_id, collector="drill", subject=subject, error=str(error)),)
    for item in found:
        context.run.write(item)


def _conclude(name: str, run: Run, targets: Drill) -> Conducted:
    loaded = load_run(run.folder)
    checks = judge_drill(name, loaded.plan.plan, targets, loaded.evidence)
    document = _document(name, loaded, checks)
    write_whole(run.folder / VERDICT, canonical_json(document))
    write_whole(run.folder / POSTMORTEM, postmortem(document, loaded).encode())
    return Conducted(run.folder, document)


def _document(name: str, loaded: LoadedRun, checks: tuple[Check, ...]) -> dict[str, Any]:
    """What `drill.json` says: the verdict, every check, and the two numbers that people ask for."""
    outcome, by_name = worst(tuple(check.outcome for check in checks)), {check.name: check for check in checks}
    told = {
        key: (by_name[key].observed, by_name[key].limit) if key in by_name else (None, None) for key in ("rto", "rpo")
    }
    return {
        "schema": 1,
        "drill": name,
        "id": loaded.info.id,
        "as_of": loaded.info.as_of,
        "subject": loaded.info.subject,
        "outcome": outcome.value,
        "decision": "GO" if outcome is Outcome.PASS else "NO-GO",
        "exit_code": EXIT_CODES[outcome],
        "rto_s": told["rto"][0],
        "rto_s_max": told["rto"][1],
        "rpo_s": told["rpo"][0],
        "rpo_s_max": told["rpo"][1],
        **_lost(name, loaded),
        "checks": [dataclasses.asdict(check) | {"outcome": check.outcome.value} for check in checks],
    }


def _lost(name: str, loaded: LoadedRun) -> dict[str, Any]:
    """How many acknowledged requests there were, and how many of them the journal lacks; None where unknown."""
    try:
        at = moments(name, events(loaded.evidence["timeline"]))
        rows = watched(requests(loaded.evidence["ledger"]), events(loaded.evidence["timeline"]), load_of(name))
        found = None if isinstance(at, str) else missing(rows, loaded.evidence["drill"], at)
    except (KeyError, ValueError):
        found = None
    return {
        "acknowledged": None if found is None else found.acknowledged,
        "missing": None if found is None else found.missing,
    }
