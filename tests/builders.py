"""Builds a healthy world: a Plan, a run and all the evidence of a service that is ready to launch.

Rule: deterministic and small; a test takes the healthy world and breaks the one thing it is about. Tables are shared
between tests: change a copy (`World.with_table` is given a new one).
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.calibration import Trial, facts
from harness.gates import all_gates
from harness.judge import RunFacts, _result, _waive, judge
from harness.model import Case, Check, Evidence, Gate, Result, Stage, Verdict
from harness.plan_types import Experiment, Gpu, Launch, Plan, Service, Slo, Target, Traffic, Waiver
from tests.drill_builders import DRILLS, drills_evidence, targets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECOND_NS = 1_000_000_000
SUBJECT = "flight-delay@1 sha256:0123456789abcdef"
ZONES = ("zone-a", "zone-b", "zone-c")
FAULT_ZONE = "zone-b"
AS_OF = "2025-03-01T12:00:00+00:00"
SCENARIOS: dict[str, tuple[tuple[str, float, float], ...]] = {
    "sustained": (("warmup", 100, 2), ("hold", 100, 25)),
    "shadow": (("hold", 100, 12),),
    "spike": (("before", 100, 3), ("peak", 300, 10), ("after", 100, 3)),
    "staircase": (("step-0100", 100, 5), ("step-0200", 200, 5), ("step-0300", 300, 5), ("step-0400", 400, 5)),
    "search-1": (("hold", 600, 3),),
    "zone_crash": (("load", 100, 18),),
    "rollback": (("load", 100, 10),),
    "zone_freeze": (("load", 100, 18),),
}
"""Phases as (name, requests per second, seconds), one scenario after the other with a second between."""
FAULT_S = (3.0, 8.5)
"""When the fault is requested and proven gone, in seconds from the start of zone_crash, and of zone_freeze."""
FAULTS = ("zone_crash", "zone_freeze")
"""The experiments that break FAULT_ZONE."""
SWITCH_S = (3.0, 6.0)
"""When the candidate is promoted and taken back, in seconds from the start of rollback."""


def a_plan() -> Plan:
    """A Plan that the healthy evidence keeps, every limit with some room."""
    return Plan(
        service=Service(name="flight-delay", owner="The team"),
        launch=Launch(stage=Stage.INTERNAL),
        target=Target(provider="local", registry="models", model="flight-delay", version="1", candidate="2"),
        slo=Slo(availability=0.999, latency_ms_p99=50, spike_latency_ms_p99=200),
        traffic=Traffic(launch_rps=100, spike_rps=300, six_months_rps=200, one_year_rps=400),
        experiments={
            "zone_crash": Experiment(file="local/zone_crash.json", ttd_s_max=2, ttr_s_max=2),
            "rollback": Experiment(file="local/rollback.json", switch_s_max=1),
            "zone_freeze": Experiment(
                ttd_s_max=2, ttr_s_max=2, over_slo_ratio_max=0.01, retry_amplification_max=1.2, budget_share_max=1e-4
            ),
        },
        gpu=Gpu(evidence="gpu.json"),
    )


def a_trial(**changes: Any) -> Trial:
    """A short load on the null server, sent in time and answered."""
    good = Trial(rate_rps=750, lag_ms_p99=0.3, unsent=0, failed=0, finished=True, drained=True, cpu_share=0.1)
    return replace(good, **changes)


def a_waiver(gate: str, **changes: Any) -> Waiver:
    """A waiver that is in date at AS_OF."""
    dates = {"granted": dt.date(2025, 2, 1), "expires": dt.date(2025, 4, 1)}
    return replace(Waiver(gate=gate, owner="A. Owner", reason="the pilot has twelve users", **dates), **changes)


@dataclass(frozen=True)
class World:
    """All that a judgement is made from; every method returns another world."""

    plan: Plan
    run: RunFacts
    evidence: Mapping[str, Evidence]

    def judge(self) -> Verdict:
        """The verdict on this world."""
        return judge(self.plan, self.run, self.evidence)

    def result(self, gate: str) -> Result:
        """One gate's result, without judging the others."""
        today = dt.datetime.fromisoformat(self.run.as_of).date()
        return _waive(_result(all_gates().get(gate), gate, self.plan, self.run, self.evidence), self.plan, today)

    def case(self, gate: Gate) -> Case:
        """What a gate would see of this world."""
        return Case(self.plan, {name: self.evidence[name] for name in gate.requires})

    def checks(self, gate: Gate) -> dict[str, Check]:
        """A gate's checks by name; what the gate raises is raised."""
        return {check.name: check for check in gate.judge(self.case(gate))}

    def with_plan(self, **changes: Any) -> World:
        """With some tables of the Plan replaced."""
        return replace(self, plan=replace(self.plan, **changes))

    def with_slo(self, **changes: Any) -> World:
        """With some objectives replaced."""
        return self.with_plan(slo=replace(self.plan.slo, **changes))

    def with_evidence(self, name: str, **changes: Any) -> World:
        """With some fields of one evidence replaced."""
        return replace(self, evidence={**self.evidence, name: replace(self.evidence[name], **changes)})

    def with_facts(self, name: str, **changes: Any) -> World:
        """With some facts of one evidence replaced."""
        return self.with_evidence(name, facts={**self.evidence[name].facts, **changes})

    def with_table(self, name: str, table: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> World:
        """With one table replaced by what `change` makes of a copy of it."""
        tables = self.evidence[name].tables
        return self.with_evidence(name, tables={**tables, table: change(tables[table].copy())})

    def with_rows(self, mask: Callable[[pd.DataFrame], Any], **values: Any) -> World:
        """With some columns of the ledger set where `mask` holds; a callable value is given the rows."""

        def change(table: pd.DataFrame) -> pd.DataFrame:
            rows = mask(table)
            for name, value in values.items():
                table.loc[rows, name] = value(table.loc[rows]) if callable(value) else value
            return table

        return self.with_table("ledger", "requests", change)

    def with_run(self, **changes: Any) -> World:
        """With some facts of the one run of the catalogue replaced; those of its journal go by `journal`."""
        (run,) = self.evidence["experiments"].facts["runs"]
        changes["journal"] = {**run["journal"], **changes["journal"]} if changes.get("journal") else run["journal"]
        return self.with_facts("experiments", runs=[{**run, **changes}])

    def with_journal(self, name: str, **changes: Any) -> World:
        """With some parts of an experiment's journal replaced."""
        return self.with_facts(name, journal={**self.evidence[name].facts["journal"], **changes})

    def without(self, *names: str) -> World:
        """With some evidence never collected."""
        return replace(self, evidence={key: item for key, item in self.evidence.items() if key not in names})


@functools.cache
def healthy() -> World:
    """The healthy world: GO for stage internal."""
    run = RunFacts(
        run_id="run-1", as_of=AS_OF, profile="standard", subject=SUBJECT, reproduce="gonogo judge runs/run-1"
    )
    return World(a_plan(), run, {item.id: item for item in _evidence()})


@functools.cache
def drilled() -> World:
    """The healthy world with a Plan that names drills, all of which went well."""
    world = healthy().with_plan(drills={name: targets(name) for name in DRILLS})
    return replace(world, evidence={**world.evidence, "drills": drills_evidence()})


def start_ns(scenario: str) -> int:
    """When a scenario starts on the run's clock."""
    at_s = 10.0
    for name, phases in SCENARIOS.items():
        if name == scenario:
            break
        at_s += sum(duration for _, _, duration in phases) + 1
    return round(at_s * SECOND_NS)


def ns(scenario: str, at_s: float) -> int:
    """The instant `at_s` seconds into a scenario."""
    return start_ns(scenario) + round(at_s * SECOND_NS)


def every(rows: pd.DataFrame, n: int, scenario: str, phase: str | None = None) -> Any:
    """A mask of every n-th row of a scenario: evenly spread."""
    mask = rows["scenario"] == scenario
    if phase is not None:
        mask &= rows["phase"] == phase
    return mask & (mask.cumsum() % n == 0)


def _evidence() -> list[Evidence]:
    return [
        _one("environment", {"python": "3.12", "cpu_count": 2, "gpu": "none found", "zones": "3 process groups"}),
        _one(
            "baseline", {"model": "flight-delay", "version": "1", "engine": "onnxruntime-cpu"}, latencies=_latencies()
        ),
        _one("ledger", {"scenarios": {name: _scenario_facts(name) for name in SCENARIOS}}, requests=_requests()),
        _one("timeline", {"started": AS_OF}, events=_events()),
        _one("edge", {"poll_interval_ms": 50.0}, hosts=_hosts(), counters=_counters()),
        _one("machine", {"cpu_count": 2}, cpu=_cpu()),
        _one("calibration", facts([a_trial(rate_rps=750)], 600, 2.5, 1)),
        _one("zone_crash", _experiment("zone_crash", ["crash-zone", "zone-is-dead", "start-zone"], FAULT_ZONE)),
        _one("rollback", _experiment("rollback", ["promote-candidate", "roll-back"], "")),
        _one("experiments", {"runs": [a_run()]}),
        _one("shadow", _shadow_facts(), pairs=_pairs()),
        _one("quality", _quality_facts(), answers=_answers()),
        _one("gpu", {"found": _found_on_a_gpu(), "sha256": "00", "as_of": AS_OF}),
    ]


def _one(name: str, facts: Mapping[str, Any], **tables: pd.DataFrame) -> Evidence:
    return Evidence(id=name, collector=name, subject=SUBJECT, facts=facts, tables=tables)


def _latencies() -> pd.DataFrame:
    return pd.DataFrame({"latency_ns": np.random.default_rng(1).integers(200_000, 900_000, 2000)})


def _scenario_facts(name: str) -> dict[str, Any]:
    at, phases = start_ns(name), []
    for phase, rate, duration in SCENARIOS[name]:
        end = at + round(duration * SECOND_NS)
        span = {"rate_rps": rate, "duration_s": duration, "end_rate_rps": None, "start_ns": at, "end_ns": end}
        phases.append({"name": phase, **span})
        at = end
    n = round(sum(rate * duration for _, rate, duration in SCENARIOS[name]))
    counts = {"scheduled": n, "recorded": n, "workers": 1, "workers_lost": 0, "gaps": 0}
    return {**counts, "finished": True, "drained": True, "schedule_digest": "00", "phases": phases}


def _requests() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    parts = [_scenario_rows(rng, index, name) for index, name in enumerate(SCENARIOS)]
    return pd.concat(parts, ignore_index=True)


def _scenario_rows(rng: np.random.Generator, index: int, name: str) -> pd.DataFrame:
    at, intended, phases = start_ns(name), [], []
    for phase, rate, duration in SCENARIOS[name]:
        n, length = round(rate * duration), round(duration * SECOND_NS)
        intended.append(at + np.sort(rng.integers(0, length, n)))
        phases += [phase] * n
        at += length
    due = np.concatenate(intended)
    sent = due + rng.integers(20_000, 200_000, len(due))
    done = sent + (1e6 * np.minimum(rng.lognormal(1.2, 0.4, len(due)), 30)).astype(np.int64)
    promoted, rolled_back = (ns("rollback", at_s) for at_s in SWITCH_S)
    candidate = (sent >= promoted) & (sent < rolled_back)
    return pd.DataFrame(
        {
            "request_id": (np.uint64(index) << np.uint64(40)) + np.arange(len(due), dtype=np.uint64),
            "scenario": name,
            "phase": phases,
            "intended_ns": due,
            "sent_ns": sent.astype(np.float64),
            "done_ns": done.astype(np.float64),
            "status": np.zeros(len(due), np.int16),
            "zone": _zones(rng, sent, done),
            "model_version": np.where(candidate, "2", "1"),
            "worker": np.zeros(len(due), np.int16),
            "response_bytes": np.full(len(due), 64, np.int32),
        }
    )


def _zones(rng: np.random.Generator, sent: Any, done: Any) -> Any:
    """Any zone, but never the dead one while it is dead."""
    zones = np.array(ZONES, dtype=object)[rng.integers(0, len(ZONES), len(sent))]
    for name in FAULTS:
        requested, removed = (ns(name, at_s) for at_s in FAULT_S)
        zones = np.where((zones == FAULT_ZONE) & (done >= requested) & (sent <= removed), ZONES[0], zones)
    return zones


def _events() -> pd.DataFrame:
    rows = [
        (ns("rollback", SWITCH_S[0]), "promoted", "candidate", {}),
        (ns("rollback", SWITCH_S[1]), "rolled_back", "primary", {}),
        *((start_ns(name), "scenario_started", name, {}) for name in SCENARIOS),
    ]
    for name in FAULTS:
        told, (requested, removed) = {"fault": name}, FAULT_S
        rows += [
            (ns(name, 0.02), "experiment_started", name, {"subjects": [FAULT_ZONE]}),
            (ns(name, requested), "fault_requested", FAULT_ZONE, told),
            (ns(name, requested + 0.1), "fault_in_place", FAULT_ZONE, told),
            (ns(name, removed), "fault_removed", FAULT_ZONE, told),
            (ns(name, 17), "experiment_ended", name, {"exit_code": 0}),
        ]
    table = pd.DataFrame(rows, columns=["t_ns", "event", "subject", "detail"]).sort_values("t_ns")
    return table.assign(detail=table["detail"].map(json.dumps))


def _polls() -> Any:
    """When the edge was read: until after the last load."""
    return np.arange(0, ns("zone_freeze", 20), SECOND_NS // 20)


def _hosts() -> pd.DataFrame:
    """The edge sees the dead zone 0.4 s after the fault, and its return 0.3 s before the probe does."""
    polls = _polls()
    down = np.zeros(len(polls), dtype=np.bool_)
    for name in FAULTS:
        down |= (polls >= ns(name, FAULT_S[0] + 0.4)) & (polls < ns(name, FAULT_S[1] - 0.3))
    parts = []
    for cluster, zone in (*(("primary", zone) for zone in ZONES), ("candidate", "candidate")):
        up = ~(down & (zone == FAULT_ZONE))
        host = {"cluster": cluster, "zone": zone, "healthy": up, "rq_total": 2 * np.cumsum(up)}
        parts.append(pd.DataFrame({"t_ns": polls, **host}))
    return pd.concat(parts, ignore_index=True).assign(rq_error=0, cx_connect_fail=0)


def _counters() -> pd.DataFrame:
    polls = _polls()
    grown = np.arange(len(polls)) * 5
    columns = {"upstream_rq_total": grown, "upstream_rq_completed": grown}
    quiet = ["upstream_rq_retry", "upstream_rq_retry_success", "upstream_rq_retry_overflow"]
    table = pd.DataFrame({"t_ns": polls, **columns}).assign(**dict.fromkeys(quiet, 0))
    return pd.concat([table.assign(cluster=name) for name in ("primary", "candidate")], ignore_index=True)


def _cpu() -> pd.DataFrame:
    polls = np.arange(0, ns("zone_freeze", 20), SECOND_NS // 2)
    return pd.DataFrame({"t_ns": polls, "busy_cores": 1.2, "own_cores": 1.1})


def _experiment(name: str, activities: list[str], zone: str) -> dict[str, Any]:
    def run(activity: str) -> dict[str, Any]:
        return {"activity": {"name": activity, "type": "action"}, "status": "succeeded", "output": True}

    met = {"steady_state_met": True, "probes": []}
    plan = {"title": name, "method": [{"name": item} for item in activities], "rollbacks": [{"name": "heal"}]}
    journal = {
        "experiment": plan,
        "status": "completed",
        "deviated": False,
        "steady_states": {"before": met, "after": met, "during": []},
        "run": [run(item) for item in activities],
        "rollbacks": [run("heal")],
    }
    file = {"file": f"local/{name}.json", "file_sha256": "00"}
    return {"experiment": name, **file, "exit_code": 0, "journal": journal, "target_zone": zone}


def a_run(name: str = "zone_freeze", **changes: Any) -> dict[str, Any]:
    """What the evidence says of one run of the catalogue: done, its fault made, proven and undone."""
    facts = _experiment(name, ["freeze-zone", "zone-hangs", "thaw-zone"], "")
    told = {"fault": name, "subjects": [FAULT_ZONE], "load": "steady", "detects": True, "expectations": []}
    named = {"repeat": 1, "scenario": name, "extension": {**told, "label": "SIGSTOP to every process of the zone"}}
    ended = {"ended_by": "itself", "error": "", "open_faults": [], "healed": True}
    return {**facts, **named, **ended, **changes}


def _shadow_facts() -> dict[str, Any]:
    counts = {"primary_logged": 1200, "candidate_logged": 1200, "joined": 1200}
    unjoined = {"unjoined_primary": 0, "unjoined_candidate": 0}
    versions = {"primary_version": "1", "candidate_version": "2"}
    return {**versions, "primary_threshold": 0.5, "candidate_threshold": 0.5, **counts, **unjoined}


def _pairs() -> pd.DataFrame:
    """Alike in all but about one of twenty-five; one for each of the ledger's requests."""
    rng = np.random.default_rng(3)
    primary = rng.random(1200)
    candidate = np.clip(primary + rng.normal(0, 0.05, 1200), 0, 1)
    ids = (np.uint64(list(SCENARIOS).index("shadow")) << np.uint64(40)) + np.arange(1200, dtype=np.uint64)
    pairs = pd.DataFrame({"request_id": ids, "primary": primary, "candidate": candidate})
    return pairs.assign(primary_version="1", candidate_version="2")


def _quality_facts() -> dict[str, Any]:
    metrics = {"auc_gain": {"value": 0.02, "interval": [0.012, 0.028], "method": "paired bootstrap"}}
    return {"version": "1", "manifest_metrics": metrics, "rows": 600}


def _found_on_a_gpu() -> dict[str, Any]:
    sizes = [1 << power for power in range(11)]
    times = {"calls": 300, "latency_ms_p50": 0.05, "latency_ms_p99": 0.08, "rows_per_s": 20_000.0}
    agreement = {"rows": 600, "batch_sizes": sizes, "difference_max": 2e-7, "tolerance": 1e-4, "holds": True}
    return {
        "schema": 1,
        "kind": "gpu-check",
        "subject": SUBJECT,
        "taken": "2025-02-20T08:00:00+00:00",
        "gpu": {"name": "A GPU", "compute_capability": "9.0", "cuda_driver": 12090},
        "io": {"features": "FLOAT", "late_probability": "FLOAT"},
        "agreement": agreement,
        "speed": [{"rows": rows, "tensorrt": times, "onnxruntime": times} for rows in sizes],
    }


def _answers() -> pd.DataFrame:
    expected = np.random.default_rng(4).random(600).round(6)
    label = (expected > 0.5).astype(np.int64)
    observed = expected + 1e-7
    return pd.DataFrame(
        {"row": np.arange(600), "expected": expected, "observed": observed, "label": label, "version": "1"}
    )
