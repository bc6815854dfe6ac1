"""Ways in which what was found on a GPU can be worse: each part of the document that the gate reads.

Rule: as in `worsening`: no better in anything than before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

    from tests.builders import World


def _with(world: World, **changes: Any) -> World:
    return world.with_facts("gpu", found={**world.evidence["gpu"].facts["found"], **changes})


def answers_off(world: World, pick: Random) -> World:
    """Further off, never found out, or compared on less."""
    agreement = world.evidence["gpu"].facts["found"]["agreement"]
    further = None if agreement["difference_max"] is None else agreement["difference_max"] + pick.choice([1e-5, 1e-3])
    changes: list[dict[str, Any]] = [
        {"difference_max": further},
        {"difference_max": None},
        {"rows": agreement["rows"] - pick.choice([1, 200])},
        {"batch_sizes": agreement["batch_sizes"][:-1]},
    ]
    return _with(world, agreement={**agreement, **pick.choice(changes)})


def slower(world: World, pick: Random) -> World:
    """One size of batch slower, or not timed at all."""
    speed = list(world.evidence["gpu"].facts["found"]["speed"])
    item = speed.pop(pick.randrange(len(speed)))
    times = {**item["tensorrt"], "latency_ms_p99": item["tensorrt"]["latency_ms_p99"] * pick.choice([2, 1000])}
    return _with(world, speed=speed + pick.choice([[], [{**item, "tensorrt": times}]]))


def older(world: World, pick: Random) -> World:
    """Taken earlier than any evidence may be, or at an instant that can't be."""
    return _with(world, taken=pick.choice(["2024-12-01T08:00:00+00:00", "2026-12-01T08:00:00+00:00", "", None]))


def other_types(world: World, pick: Random) -> World:
    """Half precision in or out, or not told."""
    io = dict(world.evidence["gpu"].facts["found"]["io"])
    name = pick.choice(sorted(io))
    return _with(world, io=pick.choice([{**io, name: "HALF"}, {key: kind for key, kind in io.items() if key != name}]))


def other_document(world: World, pick: Random) -> World:
    """Another kind or schema."""
    return _with(world, **pick.choice([{"kind": "bench"}, {"schema": 2}]))
