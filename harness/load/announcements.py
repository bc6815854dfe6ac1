"""Tells the run's timeline when a load begins, when each of its phases does, and when it has ended.

Rule: an event is written when its time has come: a phase that a killed load never reached is not on the timeline.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.load.schedule import phase_starts_ns
from harness.timeline import NoTimeline, Timeline

if TYPE_CHECKING:
    from harness.load.spec import LoadSpec


class Announcements:
    """The events of one load whose schedule has its zero at `start_ns` of the run's clock."""

    def __init__(self, spec: LoadSpec, start_ns: int) -> None:
        self._name = spec.scenario
        self._timeline = Timeline(Path(spec.timeline), spec.zero_ns) if spec.timeline else NoTimeline(spec.zero_ns)
        self._coming = deque([(start_ns, "scenario_started", self._name, {}), *_phases(spec, start_ns)])

    def tell(self) -> None:
        """Write the events whose time has come."""
        now_ns = self._timeline.now_ns()
        while self._coming and self._coming[0][0] <= now_ns:
            t_ns, event, subject, detail = self._coming.popleft()
            self._timeline.add(event, subject, t_ns=t_ns, **detail)

    def end(self) -> None:
        """Write what came meanwhile, and that the load has ended."""
        self.tell()
        self._timeline.add("scenario_ended", self._name)


def _phases(spec: LoadSpec, start_ns: int) -> list[tuple[int, str, str, dict[str, Any]]]:
    return [
        (
            start_ns + offset_ns,
            "phase_started",
            f"{spec.scenario}/{phase.name}",
            {"rate_rps": phase.rate_rps, "end_rate_rps": phase.end_rate_rps, "duration_s": phase.duration_s},
        )
        for phase, offset_ns in zip(spec.phases, phase_starts_ns(spec), strict=False)
    ]
