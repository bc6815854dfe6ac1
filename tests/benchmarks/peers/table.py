"""What the comparison says, as a table in Markdown and as goals met or not.

Rule: pure; medians with their range, ratios within rounds, UNKNOWN with its reason.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.benchmarks.claims import spread
from tests.benchmarks.peers.comparison import better, over

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.benchmarks.peers.comparison import Standing


class Goal(NamedTuple):
    """That `ours` answers at least `ratio` times the calls that the better contender of `group` does."""

    ours: str
    group: str
    ratio: float


GOALS: Final = (
    Goal("ours, bare", "Triton", 1.3),
    Goal("ours, bare", "MLServer", 2.3),
    Goal("ours, everything on", "Triton", 1.0),
    Goal("ours, everything on", "MLServer", 1.8),
)


def table(standings: Sequence[Standing]) -> list[str]:
    """A row for each contender."""
    head = ["server", "version", "calls/s", "mean ms", "CPU µs a call", "MiB", "other work, cores"]
    return [_row(head), _row(["---"] * len(head)), *(_row(_cells(standing)) for standing in standings)]


def measured(standings: Sequence[Standing]) -> Iterator[tuple[Goal, list[float]]]:
    """Each goal with its ratio in every round; none where one of the two is unknown."""
    by_name = {standing.contender.name: standing for standing in standings}
    for goal in GOALS:
        ours, theirs = by_name.get(goal.ours), better(standings, goal.group)
        yield goal, over(ours, theirs) if ours and ours.rps and theirs else []


def goals(standings: Sequence[Standing]) -> list[str]:
    """A row for each goal."""
    head = ["goal", "measured", "met"]
    rows = [
        [
            f"{goal.ours} ≥ {goal.ratio} × {goal.group}",
            spread(ratios, 2) if ratios else "UNKNOWN",
            ("yes" if median(ratios) >= goal.ratio else "NO") if ratios else "UNKNOWN",
        ]
        for goal, ratios in measured(standings)
    ]
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _cells(standing: Standing) -> list[str]:
    if not standing.rps:
        return [standing.contender.name, "", f"UNKNOWN: {standing.unknown}", "", "", "", ""]
    return [
        standing.contender.name,
        standing.version,
        spread(standing.rps),
        spread(standing.mean_ms, 1),
        spread(standing.cpu_us),
        f"{standing.resident_mib:,.0f}",
        spread(standing.foreign_cores, 2),
    ]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
