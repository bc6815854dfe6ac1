"""What it costs to write a ledger of a million requests as a HdrHistogram log."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from harness.hlog import hlog
from harness.slices import Requests

ROWS, SECONDS = 1_000_000, 1000


def test_a_million_rows_become_a_log(benchmark: Any) -> None:
    rng = np.random.default_rng(1)
    intended = np.sort(rng.integers(0, SECONDS * 1_000_000_000, ROWS)).astype(np.float64)
    names = {
        name: pd.Categorical.from_codes(np.zeros(ROWS, np.int8), [name])
        for name in ("scenario", "phase", "zone", "version")
    }
    ledger = Requests(
        request_id=np.arange(ROWS, dtype=np.uint64),
        scenario=names["scenario"],
        phase=names["phase"],
        intended_ns=intended,
        sent_ns=intended,
        done_ns=intended + rng.lognormal(15, 0.6, ROWS).round(),
        status=np.zeros(ROWS, np.int64),
        zone=names["zone"],
        model_version=names["version"],
    )
    text = benchmark.pedantic(hlog, (ledger, "run", "model@1", "2025-03-01T12:00:00+00:00"), rounds=3)
    assert text.count("\nTag=") == SECONDS
