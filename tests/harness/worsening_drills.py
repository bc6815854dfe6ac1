"""Ways in which drills on record can be worse: what they measured, what they left, and what they count for.

Rule: as in `worsening`: no better in anything than before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.drill_builders import BACK_S, FAULT_S, S

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    import pandas as pd

    from tests.builders import World


def _table(world: World, pick: Random, table: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> World:
    """One of the tables of this name changed; those of restoring drills and of others alike."""
    names = sorted(name for name in world.evidence["drills"].tables if name.endswith(f".{table}"))
    return world.with_table("drills", pick.choice(names), change)


def _latest(world: World, pick: Random, **changes: Any) -> World:
    drills = world.evidence["drills"].facts["drills"]
    name = pick.choice(sorted(drills))
    told = {**drills[name], "latest": {**drills[name]["latest"], **changes}}
    return world.with_facts("drills", drills={**drills, name: told})


def records_lost(world: World, pick: Random) -> World:
    """Fewer of the acknowledged answers in the journal, from anywhere in it."""
    count = pick.choice([1, 10, 300])

    def change(table: pd.DataFrame) -> pd.DataFrame:
        start = pick.randrange(max(1, len(table) - count))
        return table.drop(table.index[start : start + count])

    return _table(world, pick, "drill.records", change)


def recovered_later(world: World, pick: Random) -> World:
    """The service stays away for longer. What it acknowledged and lost stays lost: failing it would be an excuse."""
    until_ns, tables = (BACK_S + pick.choice([0.5, 3, 30])) * S, world.evidence["drills"].tables
    name = pick.choice(sorted({table.partition(".")[0] for table in tables}))
    kept = {int(text, 16) for text in tables[f"{name}.drill.records"]["request_id"]}

    def change(table: pd.DataFrame) -> pd.DataFrame:
        later = table["intended_ns"].between(FAULT_S * S, until_ns) & table["request_id"].isin(kept)
        table.loc[later, "status"] = 14
        return table

    return world.with_table("drills", f"{name}.ledger.requests", change)


def answers_differ(world: World, pick: Random) -> World:
    """Golden answers off, or none."""
    off = pick.choice([0.01, float("nan")])
    return _table(world, pick, "quality.answers", lambda table: table.assign(observed=table["observed"] + off))


def event_lost(world: World, pick: Random) -> World:
    """One event of a drill's timeline missing."""
    return _table(world, pick, "timeline.events", lambda table: table.drop(pick.choice(list(table.index))))


def counts_no_more(world: World, pick: Random) -> World:
    """Too old, from the future, or of something else."""
    changes: list[dict[str, Any]] = [
        {"as_of": "2024-12-01T08:00:00+00:00"},
        {"as_of": "2026-12-01T08:00:00+00:00"},
        {"subject": "another"},
        {"definition": "another"},
        {"state": "damaged", "why": "its evidence was changed"},
    ]
    return _latest(world, pick, **pick.choice(changes))


def gone(world: World, pick: Random) -> World:
    """No drill of one kind on record, or a part of its evidence not there."""
    drills = world.evidence["drills"].facts["drills"]
    name = pick.choice(sorted(drills))
    if pick.random() < 0.5 or drills[name]["latest"] is None:
        return world.with_facts("drills", drills={**drills, name: {**drills[name], "latest": None}})
    documents = dict(drills[name]["latest"]["documents"])
    documents.pop(pick.choice(["drill", "ledger", "timeline"]), None)
    told = {**drills[name], "latest": {**drills[name]["latest"], "documents": documents}}
    return world.with_facts("drills", drills={**drills, name: told})


def restored_worse(world: World, pick: Random) -> World:
    """Nothing was restored, the registry holds something else, or a spoiled backup was not refused."""
    drills = world.evidence["drills"].facts["drills"]
    name = pick.choice([name for name in sorted(drills) if name in {"data_loss", "bad_backup"}])
    latest = drills[name]["latest"]
    facts = latest["documents"]["drill"]["facts"]
    changes: list[dict[str, Any]] = [{"backup": ""}, {"subject": "another"}]
    changes += [{"left_behind": True}, {"refused": []}] if name == "bad_backup" else []
    restore = {**facts["restore"], **pick.choice(changes)}
    document = {**latest["documents"]["drill"], "facts": {**facts, "restore": restore}}
    told = {**drills[name], "latest": {**latest, "documents": {**latest["documents"], "drill": document}}}
    return world.with_facts("drills", drills={**drills, name: told})
