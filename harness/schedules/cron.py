"""Understands a cron expression, and says the same in other words: numbers alone, or systemd's calendar.

Rule: pure. Only what every scheduler that we write for understands alike is taken; the rest is refused, in words.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cronsim import CronSim, CronSimError

if TYPE_CHECKING:
    from collections.abc import Collection

_VALUE = r"(\d{1,2}|[A-Za-z]{3})"
_TERM = rf"(\*(/\d{{1,2}})?|{_VALUE}(-{_VALUE}(/\d{{1,2}})?)?)"
_FIELD = re.compile(rf"{_TERM}(,{_TERM})*", re.ASCII)
_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_WHOLE = {"minute": range(60), "hour": range(24), "day": range(1, 32), "month": range(1, 13), "weekday": range(7)}
_ANCHOR = dt.datetime(2024, 1, 1)  # noqa: DTZ001 - no zone: a schedule's shape, in a leap year
_LOOKED_AT = 200
"""Firings between which the shortest pause is sought; a month's worth of the unevenest hours."""


class CronError(Exception):
    """An expression that can't be scheduled, or not there; the text says why and what to write."""


@dataclass(frozen=True, slots=True)
class Cron:
    """When something is to happen: the numbers of each field, in which all of them stand for "*"."""

    minute: tuple[int, ...]
    hour: tuple[int, ...]
    day: tuple[int, ...]
    month: tuple[int, ...]
    weekday: tuple[int, ...]
    pause_s_min: float

    @classmethod
    def parse(cls, text: str) -> Cron:
        """The five fields of crontab(5) in `text`. Raises CronError."""
        words = text.split()
        if len(words) != len(_WHOLE):
            raise CronError(f"{text!r} must have five fields: minute, hour, day of month, month, day of week")
        for word, name in zip(words, _WHOLE, strict=True):
            if not _FIELD.fullmatch(word):
                raise CronError(
                    f"{text!r}: {word!r} is no {name} that every cron understands; write *, 3, 1-5, 1,15 or */2"
                )
        if words[2] != "*" and words[4] != "*":
            raise CronError(
                f"{text!r} names days of the month and of the week, which crons combine differently: make two"
            )
        try:
            simulated = CronSim(text, _ANCHOR)
            firings = list(itertools.islice(simulated, _LOOKED_AT))
        except CronSimError as error:
            raise CronError(f"{text!r}: {error}") from error
        if len(firings) < _LOOKED_AT:
            raise CronError(f"{text!r} never happens, or hardly ever")
        pause_s = min((later - earlier).total_seconds() for earlier, later in itertools.pairwise(firings))
        return cls(
            minute=tuple(sorted(simulated.minutes)),
            hour=tuple(sorted(simulated.hours)),
            day=tuple(sorted(simulated.days)),
            month=tuple(sorted(simulated.months)),
            weekday=tuple(sorted({day % 7 for day in simulated.weekdays if isinstance(day, int)})),  # 7 is Sunday too
            pause_s_min=pause_s,
        )

    def numbers(self) -> str:
        """The five fields in numbers alone, Sunday as 0: as Kubernetes, GitHub and GitLab want them."""
        return " ".join(_list(getattr(self, name), name) for name in _WHOLE)

    def calendar(self) -> str:
        """The same for OnCalendar, as systemd.time(7) spells it."""
        weekdays = "" if _is_whole(self.weekday, "weekday") else ",".join(_DAYS[day] for day in self.weekday) + " "
        month, day, hour, minute = (_stars(getattr(self, name), name) for name in ("month", "day", "hour", "minute"))
        return f"{weekdays}*-{month}-{day} {hour}:{minute}:00"


def _is_whole(values: Collection[int], name: str) -> bool:
    return len(values) == len(_WHOLE[name])


def _stars(values: tuple[int, ...], name: str) -> str:
    return "*" if _is_whole(values, name) else ",".join(f"{value:02d}" for value in values)


def _list(values: tuple[int, ...], name: str) -> str:
    """A list of numbers and of ranges of three or more."""
    if _is_whole(values, name):
        return "*"
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)  # noqa: PLR2004 - a range of two is a pair
