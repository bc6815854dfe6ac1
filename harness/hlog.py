"""Turns a ledger into a HdrHistogram log, the text that every HdrHistogram port can read, add up and draw.

Rule: pure; no row is dropped unsaid. What is in a histogram: the response times (done − intended) of good answers, in
whole microseconds. What is not: every other row, counted by its cause in a comment, because a percentile of the good
answers alone says nothing of the failed ones. Each row belongs to the second and the phase in which it was due.
"""

from __future__ import annotations

import datetime as dt
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd
from hdrh.histogram import HdrHistogram

from harness.model import Status
from harness.slices import SECOND_NS, Requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SIGNIFICANT_FIGURES = 3
"""A value is kept to one part in a thousand, the usual setting of HdrHistogram; counts are exact."""
US_NS = 1000
MS_US = 1000
_UNSENT = {
    Status.OPEN_AT_CUTOFF: "open at cut-off",
    Status.CAP_FULL: "not sent, too many open requests",
    Status.GENERATOR_LATE: "not sent, the generator fell behind",
}


class Interval(NamedTuple):
    """One second of one phase: how often each response time of a good answer occurred.

    `second` counts from the start of the run; `values_us` are different and ascending, `counts` stands beside them.
    """

    second: int
    tag: str
    values_us: NDArray[np.int64]
    counts: NDArray[np.int64]


def hlog(rows: Requests, run_id: str, subject: str, as_of: str) -> str:
    """The log of a whole ledger, ASCII. `as_of` is the ISO instant at which the run, and so its clock, started.

    All histograms have one range, chosen from the data, so that none is out of range and any may be added together.
    """
    start_s = dt.datetime.fromisoformat(as_of).timestamp()
    comments = [
        "[Histogram log format version 1.3]",
        f"run {json.dumps(run_id)} of {json.dumps(subject)}",
        "values: response time (done - intended) of good answers, in microseconds; Interval_Max in milliseconds",
        "intervals: the second of the run in which a request was due; Tag: scenario/phase",
        *_accounts(rows),
        f"[BaseTime: {start_s:.3f} (seconds since epoch)]",
        f"[StartTime: {start_s:.3f} (seconds since epoch), {as_of}]",
    ]
    legend = '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'
    found = list(intervals(rows))
    largest_us = max((int(item.values_us[-1]) for item in found), default=0)
    return "\n".join([*(f"#{line}" for line in comments), legend, *(_line(item, largest_us) for item in found), ""])


def intervals(rows: Requests) -> Iterator[Interval]:
    """Every second of every phase that had a good answer, in order of time and then of tag.

    Raises ValueError for a request due before the run began: a log has no way to say that.
    """
    if len(rows) and rows.intended_ns.min() < 0:
        raise ValueError("the ledger has a request that was due before the run began")
    good = rows.where(rows.answered())
    if not len(good):
        return
    columns = {
        "second": (good.intended_ns // SECOND_NS).astype(np.int64),
        "tag": _tags(good),
        "value_us": np.rint((good.done_ns - good.intended_ns) / US_NS).astype(np.int64),
    }
    counted = pd.DataFrame(columns).groupby(list(columns), sort=True, observed=True).size()
    second, tag, value_us = (counted.index.get_level_values(name).to_numpy() for name in columns)
    counts = np.asarray(counted, dtype=np.int64)
    changes = np.flatnonzero((second[1:] != second[:-1]) | (tag[1:] != tag[:-1])) + 1
    for start, end in pairwise([0, *changes.tolist(), len(counts)]):
        yield Interval(int(second[start]), str(tag[start]), value_us[start:end], counts[start:end])


def _tags(rows: Requests) -> Any:
    """`scenario/phase` of each row, a categorical. A log's tag must hold no space and no comma: such are %-encoded."""
    codes, names = zip(*(pd.factorize(column, sort=True) for column in (rows.scenario, rows.phase)), strict=True)
    both = codes[0] * len(names[1]) + codes[1]
    labels = [f"{quote(str(one), safe='')}/{quote(str(other), safe='')}" for one in names[0] for other in names[1]]
    return pd.Categorical.from_codes(both, pd.Index(labels, dtype=object))


def _accounts(rows: Requests) -> list[str]:
    """For each tag, how many rows there are and where each of them went; the parts add up."""
    table = pd.DataFrame({"tag": _tags(rows), "good": rows.answered(), "status": rows.status})
    lines = []
    for tag, part in table.groupby("tag", sort=True, observed=True):
        lost = part.loc[~part["good"], "status"]
        causes = {name: int((lost == status).sum()) for status, name in _UNSENT.items()}
        failed = len(lost) - sum(causes.values())
        parts = [
            f"{len(part) - len(lost)} good answers",
            f"{failed} failed",
            *(f"{n} {why}" for why, n in causes.items()),
        ]
        lines.append(f"{tag}: {len(part)} scheduled = {' + '.join(parts)}; only good answers are in the histograms")
    return lines


def _line(interval: Interval, largest_us: int) -> str:
    """An interval as the log spells it: seconds since the run's start, a length of 1 s, the maximum, the histogram."""
    histogram = HdrHistogram(1, max(2, largest_us), SIGNIFICANT_FIGURES)
    for value_us, count in zip(interval.values_us.tolist(), interval.counts.tolist(), strict=True):
        if not histogram.record_value(value_us, count):
            raise ValueError(f"{value_us} us does not fit into a histogram up to {largest_us} us")
    largest_ms = int(interval.values_us[-1]) / MS_US
    return f"Tag={interval.tag},{interval.second:.3f},1.000,{largest_ms:.3f},{histogram.encode().decode()}"
