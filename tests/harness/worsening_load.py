"""Worse load and worse sight of the machine: another version, a lower rate, a shorter watch, busy samples lost.

Rule: as in `worsening`: a change returns a world that is no better in anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.validity import FOREIGN_CORES_MAX, seeks_capacity
from tests.builders import SCENARIOS, SECOND_NS, SWITCH_S, World, ns

if TYPE_CHECKING:
    from random import Random

    import pandas as pd


def busy_for_a_while(world: World, pick: Random) -> World:
    """Other work in one stretch of the run, of at least four seconds."""
    start = pick.randrange(0, ns("zone_freeze", 18), SECOND_NS)
    end, more = start + pick.choice([4, 8, 20, 60]) * SECOND_NS, pick.choice([0.6, 1.0])

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(busy_cores=table["busy_cores"] + more * table["t_ns"].between(start, end))

    return world.with_table("machine", "cpu", edit)


def busy_unseen(world: World, pick: Random) -> World:
    """The samples of a busy machine lost; without any, those of some seconds."""
    start = pick.randrange(0, ns("zone_freeze", 18), SECOND_NS)

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        busy = table["busy_cores"] - table["own_cores"] > FOREIGN_CORES_MAX
        return table[~(busy if busy.any() else table["t_ns"].between(start, start + 4 * SECOND_NS))]

    return world.with_table("machine", "cpu", edit)


def calibrated_lower(world: World, pick: Random) -> World:
    """A trial at a lower rate, later, incomplete, unanswered, or lost."""
    *trials, last = world.evidence["calibration"].facts["steps"]
    worse: list[dict[str, Any]] = [
        {"rate_rps": min(last["rate_rps"], pick.choice([50, 374, 376, 700]))},
        {"lag_ms_p99": None if last["lag_ms_p99"] is None else max(last["lag_ms_p99"], pick.choice([2.4, 2.6, 30]))},
        {"unsent": 1},
        {"failed": 2},
        {"finished": False},
        {"drained": False},
    ]
    left = [] if pick.random() < 0.2 else [{**last, **pick.choice(worse)}]
    return world.with_facts("calibration", steps=[*trials, *left], valid_rps=0.0)


def wrong_version(world: World, pick: Random) -> World:
    """All answers of a scenario by a version that is not to launch."""
    scenario = pick.choice([name for name in SCENARIOS if name != "rollback"])
    return world.with_rows(
        lambda rows: (rows["scenario"] == scenario) & (rows["model_version"] != ""),
        model_version=pick.choice(["2", "9"]),
    )


def driven_slower(world: World, pick: Random) -> World:
    """A scenario at half its rate, on record as such: every other good request was never scheduled."""
    scenarios = world.evidence["ledger"].facts["scenarios"]
    name = pick.choice([name for name in SCENARIOS if not seeks_capacity(name)])
    phases = [{**phase, "rate_rps": phase["rate_rps"] / 2} for phase in scenarios[name]["phases"]]

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        good = table.index[(table["scenario"] == name) & (table["status"] == 0)]
        return table.drop(index=good[::2])

    world = world.with_table("ledger", "requests", edit)
    left = int((world.evidence["ledger"].tables["requests"]["scenario"] == name).sum())
    facts = {**scenarios[name], "phases": phases, "scheduled": left, "recorded": left}
    return world.with_facts("ledger", scenarios={**scenarios, name: facts})


def shorter_after_a_switch(world: World, pick: Random) -> World:
    """A switch later than it was, with hardly a request due before the next, or before the load ends."""
    event, since, at_s, version = pick.choice([("promoted", 0, 5.7, "1"), ("rolled_back", SWITCH_S[1], 9.95, "2")])
    rows_from, rows_to = ns("rollback", since), ns("rollback", at_s)

    def moved(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[table["event"] == event, "t_ns"] = rows_to
        return table

    world = world.with_rows(
        lambda rows: rows["intended_ns"].between(rows_from, rows_to) & (rows["model_version"] != ""),
        model_version=version,
    )
    return world.with_table("timeline", "events", moved)
