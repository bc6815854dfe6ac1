"""A file that may change while the service runs: keys, token keys, certificates.

Rule: looked at no more than once a second, by its stat; a change that can't be read or parsed is logged once and what
held before stays in force, because an editor's slip must not lock everyone out, nor let anyone in.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from reference_service.telemetry import log_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOOK_INTERVAL_S: Final = 1.0
Content = TypeVar("Content")
Stamp = tuple[int, int, int]


class WatchedFile(Generic[Content]):
    """What `parse` makes of the file at `path`; raises OSError or what `parse` raises if it can't at first."""

    def __init__(
        self, path: Path, parse: Callable[[bytes], Content], clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._parse = parse
        self._clock_s = clock_s
        self._stamp = self._look()
        self._content = parse(path.read_bytes())
        self._next_look_s = clock_s() + LOOK_INTERVAL_S

    def current(self) -> Content:
        """What the file holds, at most a second old."""
        if self._clock_s() >= self._next_look_s:
            self._next_look_s = self._clock_s() + LOOK_INTERVAL_S
            self._refresh()
        return self._content

    def _refresh(self) -> None:
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return
            self._stamp = stamp  # before parsing, so that a broken file is told of once
            self._content = self._parse(self._path.read_bytes())
        except (OSError, ValueError) as error:
            log_event("reload_failed", path=str(self._path), error=f"{type(error).__name__}: {error}")
        else:
            log_event("reloaded", path=str(self._path))

    def _look(self) -> Stamp:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_ino, found.st_size
