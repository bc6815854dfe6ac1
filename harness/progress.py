"""Shows what a run does now: a live line on a terminal, plain lines anywhere else.

Rule: says what is being done and how long it should take; never what it proves.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, RenderableType


class RunProgress(Protocol):
    """A progress display that is opened and closed around a run."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
    def step(self, title: str, expected_s: float) -> None:
        """A new step begins."""


def progress_on(console: Console) -> RunProgress:
    """The display that suits where `console` writes to."""
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


class PlainProgress:
    """One line at the start of each step, with the time since the run began."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def step(self, title: str, expected_s: float) -> None:
        """Print the step."""
        elapsed_s = time.monotonic() - self._began
        self._console.print(f"[{elapsed_s:5.0f} s] {title} (about {expected_s:.0f} s)", markup=False, highlight=False)


class LiveProgress:
    """A spinner, the step, and a bar of its expected time; finished steps stay on the screen."""

    def __init__(self, console: Console) -> None:
        columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._progress = _TimedProgress(*columns, console=console)
        self._current: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None:
            self._finish()
        self._progress.stop()

    def step(self, title: str, expected_s: float) -> None:
        """Finish the step before and show this one."""
        self._finish()
        self._current = self._progress.add_task(title, total=max(expected_s, 1.0))

    def _finish(self) -> None:
        if self._current is not None:
            self._progress.update(self._current, completed=self._progress.tasks[self._current].total)


class _TimedProgress(Progress):
    """Fills each unfinished task's bar by the clock, up to just short of its expected time."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Advance by elapsed time before drawing."""
        for task in self.tasks:
            if not task.finished and task.total:
                task.completed = min(task.elapsed or 0.0, task.total * 0.98)
        return super().get_renderables()
