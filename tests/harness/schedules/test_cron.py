"""A cron expression means the same whichever scheduler reads it, by the readings of systemd and of cronsim."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import re
import shutil
import subprocess

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.schedules.cron import Cron, CronError

BASE = dt.datetime(2024, 2, 27, 12, 30, 30)  # noqa: DTZ001 - a leap year's end of February, in no zone
FIRINGS = 8

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs the Debian package systemd")


@pytest.mark.parametrize(
    ("text", "numbers", "calendar"),
    [
        ("0 3 * * 1", "0 3 * * 1", "Mon *-*-* 03:00:00"),
        ("0 3 * * mon-fri", "0 3 * * 1-5", "Mon,Tue,Wed,Thu,Fri *-*-* 03:00:00"),
        ("30 2 1 jan,Jul *", "30 2 1 1,7 *", "*-01,07-01 02:30:00"),
        ("*/20 9-17 * * *", "0,20,40 9-17 * * *", "*-*-* 09,10,11,12,13,14,15,16,17:00,20,40:00"),
        ("5 4 * * 7", "5 4 * * 0", "Sun *-*-* 04:05:00"),
        ("5 4 * * 0,7", "5 4 * * 0", "Sun *-*-* 04:05:00"),
        ("0 0 29 2 *", "0 0 29 2 *", "*-02-29 00:00:00"),
        ("* * * * *", "* * * * *", "*-*-* *:*:00"),
        ("*/1 */1 */1 */1 */1", None, None),
    ],
)
def test_in_numbers_and_in_systemds_words(text: str, numbers: str | None, calendar: str | None) -> None:
    if numbers is None:
        with pytest.raises(CronError, match="days of the month and of the week"):
            Cron.parse(text)
        return
    cron = Cron.parse(text)
    assert (cron.numbers(), cron.calendar()) == (numbers, calendar)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must have five fields"),
        ("0 3 * *", "must have five fields"),
        ("0 0 3 * * 1", "must have five fields"),
        ("@weekly", "must have five fields"),
        ("0 3 1 * 1", "of the month and of the week, which crons combine differently"),
        ("0 3 */2 * 1", "of the month and of the week, which crons combine differently"),
        ("0 3 L * *", "'L' is no day that every cron understands"),
        ("0 3 * * 5#3", "'5#3' is no weekday that every cron understands"),
        ("0 3 ? * *", "'[?]' is no day"),
        ("5/15 3 * * *", "'5/15' is no minute that every cron understands"),
        ("H 3 * * *", "is no minute"),
        ("0 3\n1 * *\n* rm", "must have five fields"),
        ("0 3; * * *", "is no hour"),
        ("60 3 * * *", "Bad minute"),
        ("0 24 * * *", "Bad hour"),
        ("0 3 0 * *", "Bad day-of-month"),
        ("0 3 * xyz *", "Bad month"),
        ("0 3 * * 8", "Bad day-of-week"),
        ("0 3 10-5 * *", "Bad day-of-month"),
        ("*/0 3 * * *", "Bad minute"),
        ("0 3 31 2 *", "Bad day-of-month"),
        ("\u0663 3 * * *", "is no minute"),
    ],
)
def test_what_is_not_the_same_everywhere_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(CronError, match=said):
        Cron.parse(text)


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    """A field of a cron expression: any, a number, a list, a range, with or without a step."""
    number = st.integers(low, high)
    span = st.tuples(number, number).map(sorted).map(lambda pair: f"{pair[0]}-{pair[1]}")
    stepped = st.tuples(st.one_of(st.just("*"), span), st.integers(1, 9)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    term = st.one_of(number.map(str), span, stepped)
    return st.one_of(st.just("*"), st.lists(term, min_size=1, max_size=3).map(",".join))


EXPRESSIONS = st.one_of(
    st.tuples(fields(0, 59), fields(0, 23), fields(1, 28), fields(1, 12), st.just("*")),
    st.tuples(fields(0, 59), fields(0, 23), st.just("*"), fields(1, 12), fields(0, 7)),
).map(" ".join)


@given(EXPRESSIONS)
def test_numbers_fire_when_the_expression_does_and_stay_as_they_are(text: str) -> None:
    cron = Cron.parse(text)
    assert firings(cron.numbers()) == firings(text)
    assert Cron.parse(cron.numbers()) == cron
    assert not re.search("[A-Za-z]|7$", cron.numbers().split()[4])


@needs_systemd
@given(EXPRESSIONS)
@settings(max_examples=60)
def test_systemd_fires_when_cron_does(text: str) -> None:
    assert by_systemd(Cron.parse(text).calendar()) == firings(text)


@needs_systemd
def test_systemd_fires_on_a_leap_day_alone() -> None:
    assert by_systemd(Cron.parse("0 0 29 feb *").calendar()) == firings("0 0 29 2 *")
    assert [item.year for item in firings("0 0 29 2 *")][:3] == [2024, 2028, 2032]


def firings(text: str) -> list[dt.datetime]:
    return list(itertools.islice(CronSim(text, BASE), FIRINGS))


def by_systemd(calendar: str) -> list[dt.datetime]:
    command = ["systemd-analyze", "calendar", f"--iterations={FIRINGS}", f"--base-time={BASE}", calendar]
    done = subprocess.run(
        command, env=os.environ | {"TZ": "UTC"}, capture_output=True, text=True, check=True, timeout=20
    )
    found = re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ (.*) UTC", done.stdout)
    return [dt.datetime.fromisoformat(item) for item in found]


def test_the_shortest_pause_is_known() -> None:
    assert Cron.parse("0,58 * * * *").pause_s_min == 120
    assert Cron.parse("0 3 * * 1").pause_s_min == 7 * 86400
    assert Cron.parse("59,0 23,0 * * *").pause_s_min == 60
