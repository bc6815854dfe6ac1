"""Mirrors live traffic to the candidate and joins both versions' logged predictions by request id.

Rule: every request that either side logged has its row, with the version that the log names; nothing is dropped.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.artifact import load_artifact
from harness.collectors import CollectError, Collector, Context
from harness.collectors.driving import finish, load_spec, start
from harness.load.spec import Phase
from harness.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.load.spec import LoadSpec

LOG_SETTLE_S = 3.0
"""Longest wait for both sides' buffered logs to reach the disk."""
LOG_PAUSE_S = 0.4
"""Time between two looks at the logs: more than the 0.25 s between two flushes of the reference service."""


class Prediction(NamedTuple):
    """What a prediction log says of its request."""

    output: float
    version: str


Predictions = dict[int, Prediction]
_NONE = Prediction(math.nan, "")


def collect(context: Context) -> tuple[Evidence, ...]:
    """Mirror for the length of one scenario, then join what was logged while it ran."""
    fleet = context.require_fleet()
    if not context.plan.target.candidate:
        raise CollectError("the Plan names no candidate version; set target.candidate")
    launch = context.plan.traffic.launch_rps
    spec = load_spec(context, "shadow", (Phase("hold", launch, context.profile.shadow_s),))
    context.progress.step("Shadow: the candidate answers a copy of the traffic", spec.duration_s + 3)
    fleet.client.route(to="primary", mirror=True)
    try:
        finish(start(context, spec, "sustained.py"))
    finally:
        fleet.client.route(to="primary", mirror=False)
    status = fleet.client.status()
    primary_logs = [Path(log) for zone in status["zones"].values() for log in zone["prediction_logs"]]
    candidate_logs = [Path(log) for log in status["candidate"]["prediction_logs"]]
    primary, candidate = _settled(spec, primary_logs, candidate_logs)
    return (_evidence(context, primary, candidate),)


def _settled(spec: LoadSpec, primary_logs: list[Path], candidate_logs: list[Path]) -> tuple[Predictions, Predictions]:
    """Both sides' predictions of this scenario once they are of the same requests and grow no more."""
    deadline = time.monotonic() + LOG_SETTLE_S
    before = -1
    while True:
        primary, candidate = (predictions(logs, spec.scenario_index) for logs in (primary_logs, candidate_logs))
        settled = primary.keys() == candidate.keys() and len(primary) == before
        if settled or time.monotonic() > deadline:
            return primary, candidate
        before = len(primary)
        time.sleep(LOG_PAUSE_S)


def predictions(logs: Iterable[Path], scenario_index: int) -> Predictions:
    """Last prediction by request id, of the requests of one scenario, in each log's files of predictions.

    Raises CollectError for a file that can't be read: a log's files are whole, whatever ended their writer.
    """
    found: Predictions = {}
    for part in sorted(part for log in logs for part in log.glob("part-*.parquet")):
        try:
            table = pq.read_table(part, columns=["request_id", "model_version", "outputs"]).to_pydict()
            outputs = [float(values[0]) for values in table["outputs"]]
        except (OSError, pa.ArrowException, KeyError, TypeError, IndexError, ValueError) as error:
            raise CollectError(f"{part}: not a file of predictions ({error!r})") from error
        for request_id, version, output in zip(table["request_id"], table["model_version"], outputs, strict=True):
            number = _number(request_id)
            if number is not None and number >> 40 == scenario_index:
                found[number] = Prediction(output, str(version))
    return found


def _number(request_id: str) -> int | None:
    """The id as the ledger has it; None for one that is not ours: a probe or a person's call."""
    try:
        return int(request_id, 16)
    except (ValueError, TypeError):
        return None


def outer_join(primary: Predictions, candidate: Predictions) -> pd.DataFrame:
    """A row for each request that either side logged: NaN and "" where a side did not."""
    ids = sorted(primary.keys() | candidate.keys())
    columns: dict[str, pd.Series[Any]] = {"request_id": pd.Series(ids, dtype="uint64")}
    for side, found in (("primary", primary), ("candidate", candidate)):
        rows = [found.get(key, _NONE) for key in ids]
        columns[side] = pd.Series([row.output for row in rows], dtype="float64")
        columns[f"{side}_version"] = pd.Series([row.version for row in rows], dtype="object")
    return pd.DataFrame(columns)[["request_id", "primary", "candidate", "primary_version", "candidate_version"]]


def _evidence(context: Context, primary: Predictions, candidate: Predictions) -> Evidence:
    target = context.plan.target
    facts = {
        "primary_version": target.version,
        "candidate_version": target.candidate,
        "primary_threshold": _threshold(context, target.version),
        "candidate_threshold": _threshold(context, target.candidate),
        "primary_logged": len(primary),
        "candidate_logged": len(candidate),
        "joined": len(primary.keys() & candidate.keys()),
        "unjoined_primary": len(primary.keys() - candidate.keys()),
        "unjoined_candidate": len(candidate.keys() - primary.keys()),
    }
    tables = {"pairs": outer_join(primary, candidate)}
    return Evidence(id="shadow", collector="shadow", subject=context.run.info.subject, facts=facts, tables=tables)


def _threshold(context: Context, version: str) -> float:
    """The probability from which on `version` decides yes, by its own manifest."""
    target = context.plan.target
    manifest = load_artifact(context.loaded.resolve(target.registry), target.model, version).manifest
    try:
        return float(manifest["decision"]["threshold"])
    except (KeyError, TypeError, ValueError) as error:
        raise CollectError(f"the manifest of {target.model}@{version} states no decision.threshold") from error


COLLECTORS = (Collector(ids=("shadow",), order=40, collect=collect, needs_control=True),)
