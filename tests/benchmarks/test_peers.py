"""The reference service beside MLServer and Triton, in turns, under one load.

Rule: recorded, not asserted; what could not be had or proven is recorded as UNKNOWN, and its goals are not met.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.load.golden import REFERENCE_VERSION
from tests.benchmarks.claims import spread
from tests.benchmarks.measured import ROOT
from tests.benchmarks.peers.comparison import compare
from tests.benchmarks.peers.contender import Bench
from tests.benchmarks.peers.field import contenders
from tests.benchmarks.peers.table import measured

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.claims import Claims
    from tests.benchmarks.peers.comparison import Standing

ROUNDS, SECONDS = 5, 4.0


@pytest.mark.bench
@pytest.mark.timeout(1800)
def test_the_service_beside_other_inference_servers(claims: Claims, tmp_path: Path) -> None:
    with np.load(REFERENCE_VERSION / "golden.npz", allow_pickle=False) as golden:
        rows, expected = golden["inputs"], golden["expected"]
    bench = Bench(REFERENCE_VERSION / "model.onnx", rows, expected, ROOT / ".benchmarks" / "peers", tmp_path)

    def run() -> list[Standing]:
        return compare(bench, contenders(), rounds=ROUNDS, seconds=SECONDS, tell=claims.write)

    standings = claims.benchmark.pedantic(run, rounds=1)
    for goal, ratios in measured(standings):
        claims.at_least(f"{goal.ours} over {goal.group}", median(ratios) if ratios else 0.0, goal.ratio)
    said = [
        f"{one.contender.name} {spread(one.rps)}/s" if one.rps else f"{one.contender.name} UNKNOWN: {one.unknown}"
        for one in standings
    ]
    claims.note("; ".join(said), peers=[one.facts() for one in standings])
