"""The timeline of a run: one event a line, appended by every process of the run on one clock.

Rule: standard library only, so that a Chaos Toolkit action, a Locust worker and the supervisor can all write it.
A line is shorter than PIPE_BUF and written by one `write` on an O_APPEND descriptor, so lines never interleave.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TIMELINE_VARIABLE = "GONOGO_TIMELINE"
"""Environment variable naming the timeline file; a process without it writes no events."""
ZERO_VARIABLE = "GONOGO_ZERO_NS"
"""Environment variable with the `time.monotonic_ns()` that is zero on the run's clock."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Where events go and when zero was: `t_ns` of an event is `time.monotonic_ns() - zero_ns`."""

    path: Path
    zero_ns: int

    def now_ns(self) -> int:
        """Nanoseconds since the start of the run."""
        return time.monotonic_ns() - self.zero_ns

    def add(self, event: str, subject: str, *, t_ns: int | None = None, **detail: Any) -> int:
        """Append one event and return its `t_ns` (now, unless the caller measured it)."""
        stamp = self.now_ns() if t_ns is None else t_ns
        line = json.dumps({"t_ns": stamp, "event": event, "subject": subject, "detail": detail}, sort_keys=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode() + b"\n")
        finally:
            os.close(descriptor)
        return stamp

    def environment(self) -> dict[str, str]:
        """The variables by which a child process finds this timeline."""
        return {TIMELINE_VARIABLE: str(self.path), ZERO_VARIABLE: str(self.zero_ns)}


@dataclass(frozen=True, slots=True)
class NoTimeline:
    """Stands in where nobody keeps a timeline (an experiment or a scenario run by hand): events are dropped."""

    zero_ns: int = field(default_factory=time.monotonic_ns)

    def now_ns(self) -> int:
        """Nanoseconds since this object was made."""
        return time.monotonic_ns() - self.zero_ns

    def add(self, event: str, subject: str, *, t_ns: int | None = None, **detail: Any) -> int:
        """Return the stamp that the event would have had."""
        del event, subject, detail
        return self.now_ns() if t_ns is None else t_ns


def from_environment(variables: Mapping[str, str]) -> Timeline | NoTimeline:
    """The timeline named by the environment, or a `NoTimeline`."""
    from pathlib import Path  # noqa: PLC0415 - keeps the import for type checkers only elsewhere

    if TIMELINE_VARIABLE not in variables:
        return NoTimeline()
    return Timeline(Path(variables[TIMELINE_VARIABLE]), int(variables[ZERO_VARIABLE]))
