"""Every way in which evidence can be lost, broken or made worse, with its worse direction: one table, `CHANGES`.

Rule: a change gets a world and a seeded source of choices, and returns a world that is no better in anything. None may
turn a gate's UNKNOWN or FAIL into PASS. Add a line here for every field a gate begins to read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.builders import FAULT_S, FAULT_ZONE, FAULTS, SWITCH_S, ZONES, World, ns
from tests.harness import worsening_drills, worsening_gpu
from tests.harness.worsening_load import (
    busy_for_a_while,
    busy_unseen,
    calibrated_lower,
    driven_slower,
    shorter_after_a_switch,
    wrong_version,
)

if TYPE_CHECKING:
    import pandas as pd

Change = Callable[[World, Random], World]
MS = 1_000_000


def _ledger(change: Callable[[pd.DataFrame, Any, Random], None]) -> Change:
    """A change of some requests: evenly spread, or in one burst; many, or few."""

    def apply(world: World, pick: Random) -> World:
        def edit(table: pd.DataFrame) -> pd.DataFrame:
            change(table, _some(table, pick), pick)
            return table

        return world.with_table("ledger", "requests", edit)

    return apply


def _some(table: pd.DataFrame, pick: Random) -> Any:
    scenario = pick.choice(sorted(table["scenario"].unique()))
    places = np.flatnonzero(table["scenario"] == scenario)
    if pick.random() < 0.5 and scenario in FAULTS:  # aim at the fault
        due = table["intended_ns"].to_numpy()[places]
        places = places[(due > ns(scenario, FAULT_S[0])) & (due < ns(scenario, FAULT_S[1] + 3))]
    count = min(len(places), pick.choice([1, 2, 3, 5, 10, 20, 50, 200, 1000]))
    if pick.random() < 0.5:
        start = pick.randrange(len(places) - count + 1)
        chosen = places[start : start + count]
    else:
        chosen = np.array(pick.sample(list(places), count))
    return table.index[chosen]


def _slower(table: pd.DataFrame, rows: Any, pick: Random) -> None:
    """Later, at most until the client's deadline: an answer after that does not exist."""
    by_ms = pick.choice([1, 3, 10, 45, 150, 600, 1900])
    latest = table.loc[rows, "intended_ns"] + 2000 * MS
    table.loc[rows, "done_ns"] = np.maximum(
        table.loc[rows, "done_ns"], np.minimum(table.loc[rows, "done_ns"] + by_ms * MS, latest)
    )


def _failed(table: pd.DataFrame, rows: Any, pick: Random) -> None:
    table.loc[rows, "status"] = pick.choice([1, 2, 4, 8, 13, 14])


def _unanswered(table: pd.DataFrame, rows: Any, _: Random) -> None:
    table.loc[rows, "status"] = -1
    table.loc[rows, "done_ns"] = np.nan
    table.loc[rows, ["zone", "model_version"]] = ""


def _capped(table: pd.DataFrame, rows: Any, _: Random) -> None:
    """Not sent because the cap was full. That status says that pacing was good, so no late row may become one."""
    rows = rows[(table.loc[rows, "sent_ns"] - table.loc[rows, "intended_ns"]) <= MS]
    table.loc[rows, "status"] = -2
    table.loc[rows, ["sent_ns", "done_ns"]] = np.nan
    table.loc[rows, ["zone", "model_version"]] = ""


def _late(table: pd.DataFrame, rows: Any, pick: Random) -> None:
    """The generator sends later; the answer comes when it came."""
    late = table.loc[rows, "sent_ns"] + pick.choice([2, 5, 20, 200]) * MS
    table.loc[rows, "sent_ns"] = late
    table.loc[rows, "done_ns"] = np.maximum(table.loc[rows, "done_ns"], late)


def _unsent(table: pd.DataFrame, rows: Any, _: Random) -> None:
    """The generator sends good requests no more; a bad one that it did not send would not be the service's."""
    slow = table.loc[rows, "done_ns"] - table.loc[rows, "intended_ns"] > 5 * MS
    rows = rows[(table.loc[rows, "status"] == 0) & ~slow]
    table.loc[rows, "status"] = -3
    table.loc[rows, ["sent_ns", "done_ns"]] = np.nan


def _old_version_stays(table: pd.DataFrame, _: Any, pick: Random) -> None:
    longer = pick.choice([0.05, 0.2, 0.9, 1.5])
    for at_s, version in zip(SWITCH_S, ("1", "2"), strict=True):
        due = table["intended_ns"].between(ns("rollback", at_s), ns("rollback", at_s + longer))
        table.loc[due & (table["model_version"] != ""), "model_version"] = version


def _dead_zone_answers(table: pd.DataFrame, rows: Any, _: Random) -> None:
    for name in FAULTS:
        due = table.loc[rows, "intended_ns"].between(ns(name, FAULT_S[0]), ns(name, FAULT_S[1]))
        table.loc[rows[due], "zone"] = FAULT_ZONE


def _zone_stays_away(table: pd.DataFrame, rows: Any, _: Random) -> None:
    due = table.loc[rows, "intended_ns"]
    back = due.gt(ns("zone_crash", FAULT_S[1])) & ~due.between(ns("zone_freeze", 0), ns("zone_freeze", FAULT_S[1]))
    table.loc[rows[back & (table.loc[rows, "zone"] == FAULT_ZONE)], "zone"] = ZONES[0]


def _rows_lost(world: World, pick: Random) -> World:
    return world.with_table("ledger", "requests", lambda table: table.drop(index=_some(table, pick)))


def _events_lost(world: World, pick: Random) -> World:
    """Two kinds of events lost, of the whole run or of what came after some instant."""
    faults = ["fault_requested", "fault_in_place", "fault_removed", "experiment_started", "experiment_ended"]
    gone, since = set(pick.sample([*faults, "promoted", "rolled_back"], 2)), pick.choice([0, ns("zone_freeze", 0)])
    return world.with_table(
        "timeline", "events", lambda table: table[~(table["event"].isin(gone) & (table["t_ns"] >= since))]
    )


def _edge_still_sends(world: World, pick: Random) -> World:
    """The edge believes the dead zone healthy, and sends to it."""
    name = pick.choice(FAULTS)

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        start = FAULT_S[0] + pick.uniform(0, 5)
        polls = table["t_ns"].between(ns(name, start), ns(name, start + pick.choice([0.1, 0.5, 2])))
        table.loc[polls & (table["zone"] == FAULT_ZONE), "healthy"] = True
        return _sent(table, polls)

    return world.with_table("edge", "hosts", edit)


def _edge_sends_unseen(world: World, pick: Random) -> World:
    """The dead zone's counters grow, whatever the edge says of its health."""

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        start = ns(pick.choice(FAULTS), FAULT_S[0] + pick.uniform(0, 3))
        return _sent(table, table["t_ns"].between(start, start + pick.choice([100, 500, 2000]) * MS))

    return world.with_table("edge", "hosts", edit)


def _sent(table: pd.DataFrame, polls: Any) -> pd.DataFrame:
    zone = table["zone"] == FAULT_ZONE
    table.loc[zone, "rq_total"] += (polls & zone).cumsum()[zone]
    return table


def _counter(name: str, table: str = "counters", bumps: int = 1) -> Change:
    """Growth of a cumulative column from some instant on, or from several within one second."""

    def apply(world: World, pick: Random) -> World:
        def edit(frame: pd.DataFrame) -> pd.DataFrame:
            cluster = frame["cluster"] == pick.choice(["primary", "candidate"])
            zone = frame.loc[cluster, "zone"].iloc[-1] if table == "hosts" else None
            chosen = cluster if zone is None else cluster & (frame["zone"] == zone)
            at_ns = pick.choice(list(frame["t_ns"]))
            for _ in range(bumps):
                frame.loc[chosen & (frame["t_ns"] > at_ns), name] += pick.choice([1, 3, 10, 100])
                at_ns += pick.choice([0, 50, 300]) * MS
            return frame

        return world.with_table("edge", table, edit)

    return apply


def _polls_lost(world: World, pick: Random) -> World:
    """The edge was not read for a while, or from some instant on."""
    start, length = pick.choice(list(world.evidence["edge"].tables["counters"]["t_ns"])), pick.choice([1500, 10**6])

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        return table[~table["t_ns"].between(start, start + length * MS)]

    for table in pick.choice([["hosts"], ["counters"], ["hosts", "counters"]]):
        world = world.with_table("edge", table, edit)
    return world


def _busy(world: World, pick: Random) -> World:
    more = pick.choice([0.1, 0.2, 0.6])
    return world.with_table("machine", "cpu", lambda table: table.assign(busy_cores=table["busy_cores"] + more))


def _bare_model_slower(world: World, pick: Random) -> World:
    factor = pick.choice([1, 1, 1, 1000])
    return world.with_table(
        "baseline", "latencies", lambda table: table * (np.arange(len(table)) % 90 == 0).reshape(-1, 1) * factor + table
    )


def _decides_otherwise(world: World, pick: Random) -> World:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        alike = (table["primary"] >= 0.5) == (table["candidate"] >= 0.5)
        alike &= table["primary"].notna() & table["candidate"].notna()
        rows = table.index[alike][:: pick.choice([2, 10, 25, 100])]
        table.loc[rows, "candidate"] = np.where(table.loc[rows, "primary"] >= 0.5, 0.1, 0.9)
        return table

    return world.with_table("shadow", "pairs", edit)


def _unjoined(world: World, pick: Random) -> World:
    """Pairs that neither side logged; those that differed above all."""

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        return table.drop(index=_some_pairs(table, pick))

    return world.with_table("shadow", "pairs", edit)


def _one_sided(world: World, pick: Random) -> World:
    """Pairs of which one side was never logged; those that differed above all."""
    side = pick.choice(["primary", "candidate"])

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        rows = _some_pairs(table, pick)
        table.loc[rows, side] = np.nan
        table.loc[rows, f"{side}_version"] = ""
        return table

    return world.with_table("shadow", "pairs", edit)


def _some_pairs(table: pd.DataFrame, pick: Random) -> list[Any]:
    differ = (table["primary"] >= 0.5) != (table["candidate"] >= 0.5)
    pool = table.index[differ] if differ.any() and pick.random() < 0.7 else table.index
    return pick.sample(list(pool), min(len(pool), pick.choice([1, 4, 10, 40])))


def _other_versions(world: World, pick: Random) -> World:
    """Predictions by a version that the Plan does not name: more than may be lost, for a lost one names no version."""
    side, count = pick.choice(["primary", "candidate"]), pick.choice([50, 200, 1000])

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[pick.sample(list(table.index), count), f"{side}_version"] = pick.choice(["", "9"])
        return table

    return world.with_table("shadow", "pairs", edit)


def _answers_off(world: World, pick: Random) -> World:
    rows, by = pick.sample(range(600), 3), pick.choice([1e-5, 1e-3, float("nan")])

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[table["row"].isin(rows), "observed"] += by
        return table

    return world.with_table("quality", "answers", edit)


def _gain_lower(world: World, pick: Random) -> World:
    metrics = world.evidence["quality"].facts["manifest_metrics"]
    low, high = metrics["auc_gain"]["interval"]
    low -= pick.choice([0.001, 0.02])
    return world.with_facts("quality", manifest_metrics={"auc_gain": {"interval": [low, high]}})


def _experiment_undone(world: World, pick: Random) -> World:
    name = pick.choice(["zone_crash", "rollback", "experiments"])
    if name == "experiments":
        (run,) = world.evidence[name].facts["runs"]
        return world.with_run(journal=pick.choice(_undone(run["journal"])))
    return world.with_journal(name, **pick.choice(_undone(world.evidence[name].facts["journal"])))


def _undone(journal: dict[str, Any]) -> list[dict[str, Any]]:
    states = journal["steady_states"]
    failed = [{**journal["run"][0], "status": "failed"}, *journal["run"][1:]] if journal["run"] else []
    return [
        {"steady_states": {**states, "before": {"steady_state_met": False}}},
        {"steady_states": {**states, "after": None}},
        {"run": failed},
        {"run": journal["run"][:-1]},
        {"run": []},
        {"rollbacks": []},
        {"deviated": True, "status": "failed"},
        {"status": "interrupted"},
    ]


def _run_worse(world: World, pick: Random) -> World:
    """A run of the catalogue ended early, left broken, of another kind, not expected to hold, or not on record."""
    (run,) = world.evidence["experiments"].facts["runs"]
    told = run["extension"]
    key, word = pick.choice(sorted(run)), pick.choice(sorted(told))
    worse: list[dict[str, Any]] = [
        {"ended_by": "safeguard"},
        {"ended_by": "time limit", "journal": {**run["journal"], "status": "interrupted"}},
        {"open_faults": ["zone_freeze of zone-b"]},
        {"exit_code": 1},
        {"journal": None, "error": "journal truncated"},
        {"experiment": "zone_crash"},
        {"repeat": 2},
        {"file": "local/zone_crash.json"},
        {"extension": {**told, "expectations": ["freeze-zone", "never-read"]}},
        {"extension": {**told, "subjects": pick.choice([[], ["zone-a"], ["zone-b", "zone-c"]])}},
        {"extension": {**told, "load": "spike"}},
        {"extension": {name: value for name, value in told.items() if name != word}},
        {key: None} if run[key] else {},
    ]
    runs = [] if pick.random() < 0.1 else [{**run, **pick.choice(worse)}]
    return world.with_facts("experiments", runs=runs)


def _generator_undone(world: World, pick: Random) -> World:
    scenarios = world.evidence["ledger"].facts["scenarios"]
    name = pick.choice(sorted(scenarios))
    facts = scenarios[name]
    phases = [{**item, "rate_rps": item["rate_rps"] * 1.5} for item in facts["phases"]]
    changes: list[dict[str, Any]] = [
        {"finished": False},
        {"gaps": facts["gaps"] + 1},
        {"workers_lost": 1},
        {"scheduled": facts["scheduled"] + 1},
        {"phases": facts["phases"][:-1]},
        {"phases": phases},
    ]
    return world.with_facts("ledger", scenarios={**scenarios, name: {**facts, **pick.choice(changes)}})


def _evidence_lost(world: World, pick: Random) -> World:
    name = pick.choice(sorted(world.evidence))
    if pick.random() < 0.3:
        return world.without(name)
    worse: dict[str, Any] = pick.choice([{"error": "broken"}, {"subject": "other@9"}, {"tables": {}}, {"facts": {}}])
    return world.with_evidence(name, **worse)


def _fact_lost(world: World, pick: Random) -> World:
    name = pick.choice(sorted(world.evidence))
    facts = dict(world.evidence[name].facts)
    if not facts:
        return world
    key = pick.choice(sorted(facts))
    if pick.random() < 0.5:
        facts[key] = None
    else:
        del facts[key]
    return world.with_evidence(name, facts=facts)


def _column_lost(world: World, pick: Random) -> World:
    """A column gone, emptied, or holding nonsense; or no rows left."""
    name = pick.choice(sorted(key for key, item in world.evidence.items() if item.tables) or [""])
    if not name:
        return world
    table = pick.choice(sorted(world.evidence[name].tables))
    columns = list(world.evidence[name].tables[table].columns)
    if not columns:
        return world
    column, how = pick.choice(columns), pick.randrange(4)
    changes: list[Callable[[pd.DataFrame], pd.DataFrame]] = [
        lambda frame: frame.drop(columns=column),
        lambda frame: frame.assign(**{column: None}),
        lambda frame: frame.assign(**{column: "nonsense"}),
        lambda frame: frame.iloc[:0],
    ]
    return world.with_table(name, table, changes[how])


CHANGES: dict[str, tuple[tuple[str, ...], Change]] = {
    "requests answered later": (("ledger",), _ledger(_slower)),
    "requests failed": (("ledger",), _ledger(_failed)),
    "requests never answered": (("ledger",), _ledger(_unanswered)),
    "requests not sent because the cap was full": (("ledger",), _ledger(_capped)),
    "requests sent late": (("ledger",), _ledger(_late)),
    "requests not sent by the generator": (("ledger",), _ledger(_unsent)),
    "old version answers for longer": (("ledger",), _ledger(_old_version_stays)),
    "dead zone answers": (("ledger",), _ledger(_dead_zone_answers)),
    "zone stays away": (("ledger",), _ledger(_zone_stays_away)),
    "rows lost": (("ledger",), _rows_lost),
    "load undone": (("ledger",), _generator_undone),
    "events lost": (("timeline",), _events_lost),
    "edge still sends": (("edge",), _edge_still_sends),
    "dead zone is sent to": (("edge",), _edge_sends_unseen),
    "the edge's readings lost": (("edge",), _polls_lost),
    "retries": (("edge",), _counter("upstream_rq_retry")),
    "more retries in one second": (("edge",), _counter("upstream_rq_retry", bumps=2)),
    "hosts' errors": (("edge",), _counter("rq_error", "hosts")),
    "hosts' failed connections": (("edge",), _counter("cx_connect_fail", "hosts", bumps=2)),
    "retries refused": (("edge",), _counter("upstream_rq_retry_overflow")),
    "generator can do less": (("calibration",), calibrated_lower),
    "machine busy": (("machine",), _busy),
    "machine busy for a while": (("machine",), busy_for_a_while),
    "busy machine unseen": (("machine",), busy_unseen),
    "wrong version answers": (("ledger",), wrong_version),
    "driven at a lower rate": (("ledger",), driven_slower),
    "shorter load after a switch": (("ledger", "timeline"), shorter_after_a_switch),
    "bare model slower": (("baseline",), _bare_model_slower),
    "candidate decides otherwise": (("shadow",), _decides_otherwise),
    "pairs not joined": (("shadow",), _unjoined),
    "pairs of one side": (("shadow",), _one_sided),
    "pairs of other versions": (("shadow",), _other_versions),
    "golden answers off": (("quality",), _answers_off),
    "model's gain lower": (("quality",), _gain_lower),
    "GPU's answers off": (("gpu",), worsening_gpu.answers_off),
    "GPU slower": (("gpu",), worsening_gpu.slower),
    "GPU evidence older": (("gpu",), worsening_gpu.older),
    "GPU's types other": (("gpu",), worsening_gpu.other_types),
    "GPU evidence of another kind": (("gpu",), worsening_gpu.other_document),
    "records of a drill lost": (("drills",), worsening_drills.records_lost),
    "recovery from a drill later": (("drills",), worsening_drills.recovered_later),
    "golden answers of a drill off": (("drills",), worsening_drills.answers_differ),
    "event of a drill lost": (("drills",), worsening_drills.event_lost),
    "drill counts no more": (("drills",), worsening_drills.counts_no_more),
    "drill gone": (("drills",), worsening_drills.gone),
    "restore of a drill worse": (("drills",), worsening_drills.restored_worse),
    "experiment undone": (("zone_crash", "rollback", "experiments"), _experiment_undone),
    "run of the catalogue worse": (("experiments",), _run_worse),
    "evidence lost": ((), _evidence_lost),
    "fact lost": ((), _fact_lost),
    "column lost": ((), _column_lost),
}
"""Each change with the evidence it touches; () where it may touch any."""


def tightened(world: World, pick: Random) -> World:
    """The same world under other limits, so that what a change moves lies near the limit that judges it."""
    slo = replace(
        world.plan.slo,
        latency_ms_p99=pick.choice([8.0, 8.5, 10.0, 50.0]),
        spike_latency_ms_p99=pick.choice([8.0, 8.5, 10.0, 200.0]),
        availability=pick.choice([0.99, 0.999, 0.9995]),
        first_attempt_failure_ratio_max=pick.choice([0.0005, 0.001, 0.01]),
    )
    lost_max = pick.choice([0, 0, 5, 2000])
    experiments = {
        "zone_crash": replace(world.plan.experiments["zone_crash"], lost_max=lost_max, ttd_s_max=pick.choice([0.4, 2])),
        "rollback": replace(world.plan.experiments["rollback"], lost_max=lost_max, switch_s_max=pick.choice([0.1, 1])),
        "zone_freeze": replace(
            world.plan.experiments["zone_freeze"],
            lost_max=lost_max,
            ttd_s_max=pick.choice([0.4, 2]),
            over_slo_ratio_max=pick.choice([0, 0.01]),
            retry_amplification_max=pick.choice([1, 1.2]),
            budget_share_max=pick.choice([0, 1e-4]),
        ),
    }
    shadow = replace(world.plan.shadow, agreement_min=pick.choice([0.9, 0.945, 0.95]))
    return world.with_plan(slo=slo, experiments=experiments, shadow=shadow)
