"""Finds each fault on the timeline: when it was requested, seen in place and seen gone, within its own experiment.

Rule: pure, and suspicious as `slices`: what is missing has its own reason, and what contradicts itself raises. An
experiment's faults are looked for only between its own start and end, for others break the same zone before and after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.plan_experiments import ROLLBACK, ZONE_CRASH
from harness.slices import SECOND_NS, SETTLE_S, events, first_event

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pandas as pd

    from harness.model import Case
    from harness.slices import Mask
    from harness.stats import Reals

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Fault:
    """Of all that an experiment broke: the first request, and when the last was seen in place, and the last gone."""

    requested_ns: float
    in_place_ns: float
    removed_ns: float

    @property
    def span_ns(self) -> Span:
        """Requested to proven gone."""
        return self.requested_ns, self.removed_ns


def experiment_span(table: pd.DataFrame, scenario: str) -> Span | str:
    """From the start to the end of the experiment of that name, or why that can't be told."""
    started = first_event(table, "experiment_started", scenario)
    if started is None:
        return "skipped: nothing on the timeline says that it was started"
    ended = first_event(table, "experiment_ended", scenario, started)
    return (started, ended) if ended is not None else "interrupted: nothing on the timeline says that it ended"


def fault_of(table: pd.DataFrame, scenario: str, subjects: Sequence[str]) -> Fault | str:
    """The fault that the experiment made to all of `subjects`, one at least, or why there was none to speak of."""
    span = experiment_span(table, scenario)
    if isinstance(span, str):
        return span
    within = table[table["t_ns"].between(*span)]
    requests = within[within["event"] == "fault_requested"]
    if unnamed := sorted(set(requests["subject"]) - set(subjects)):
        return f"a fault of {', '.join(unnamed)} was made that the file does not name"
    stamps = [_stamps(within, subject) for subject in subjects]
    if missing := [item for item in stamps if isinstance(item, str)]:
        return missing[0]
    requested, in_place, removed = zip(*(item for item in stamps if not isinstance(item, str)), strict=True)
    return Fault(min(requested), max(in_place), max(removed))


def _stamps(table: pd.DataFrame, subject: str) -> tuple[float, float, float] | str:
    """When the fault of one subject was requested, first seen, and first seen gone."""
    requested = first_event(table, "fault_requested", subject)
    if requested is None:
        return f"fault not requested: nothing on the timeline says when that of {subject} began"
    removed = first_event(table, "fault_removed", subject, requested)
    if removed is None:
        return f"fault not removed: nothing proves that {subject} is whole again"
    in_place = first_event(table, "fault_in_place", subject, requested)
    if in_place is None or in_place > removed:
        return f"fault not in place: no independent reading saw {subject} broken"
    return requested, in_place, removed


def fault_windows(table: pd.DataFrame) -> list[Span]:
    """Each fault, from its request to 5 s after its proven removal. Raises ValueError when the two don't pair up.

    A removal may be proven again later, as when an experiment's rollback looks once more; the first proof counts.
    """
    windows: list[Span] = []
    faults = table[table["event"].isin(["fault_requested", "fault_removed"])]
    for subject, group in faults.groupby("subject", sort=True):
        first = group[group["event"] != group["event"].shift()]
        names, stamps = list(first["event"]), list(first["t_ns"])
        if group["event"].eq("fault_requested").sum() != len(names) / 2 or names != [
            "fault_requested",
            "fault_removed",
        ] * (len(names) // 2):
            raise ValueError(f"the faults of {subject} don't each have one request and one proven removal")
        ends = (float(stamp) + SETTLE_S * SECOND_NS for stamp in stamps[1::2])
        windows.extend(zip(map(float, stamps[::2]), ends, strict=True))
    return sorted(windows)


def switched_window(table: pd.DataFrame, scenario: str, zones: Collection[str]) -> list[Span]:
    """Where another version may answer: in the fault's window of an experiment that breaks something else than zones.

    From its first request to 5 s after the last removal, without end when none is proven. Empty when it is not on
    record, made no fault, or broke only `zones`: whoever answers in place of a zone has the version to launch.
    """
    span = experiment_span(table, scenario)
    if isinstance(span, str):
        return []
    within = table[table["t_ns"].between(*span)]
    requested = within[within["event"] == "fault_requested"]
    if set(requested["subject"]) <= set(zones):
        return []
    removed = within.loc[within["event"] == "fault_removed", "t_ns"]
    end = float(removed.max()) + SETTLE_S * SECOND_NS if len(removed) else np.inf
    return [(float(requested["t_ns"].min()), end)]


def spared_windows(case: Case) -> list[Span]:
    """The windows of all faults of the run. Raises ValueError when an experiment was loaded and its fault is not there.

    Without its fault's events, the requests that it cost would count as the service's, and those that it spared would
    dilute them. Needs the evidence "ledger" and "timeline".
    """
    table = events(case.evidence["timeline"])
    windows = fault_windows(table)
    starts = np.array([start for start, _ in windows])
    for scenario in case.evidence["ledger"].facts["scenarios"]:
        if is_experiment(case, scenario):
            span = experiment_span(table, scenario)
            if isinstance(span, str) or not np.any((starts >= span[0]) & (starts <= span[1])):
                raise ValueError(f"the load of {scenario} is in the ledger but no fault is on the timeline")
    return windows


def is_experiment(case: Case, scenario: str) -> bool:
    """Whether the load of that name is an experiment's that makes a fault; the switch of versions makes none."""
    name = scenario.partition("#")[0]
    return name in {ZONE_CRASH, *case.plan.experiments} and name != ROLLBACK


def outside(stamps_ns: Reals, windows: list[Span]) -> Mask:
    """Where a stamp lies in none of the windows."""
    mask = np.ones(len(stamps_ns), dtype=np.bool_)
    for start, end in windows:
        mask &= (stamps_ns < start) | (stamps_ns > end)
    return mask
