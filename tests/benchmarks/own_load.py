"""One load by the real Locust and our engine, and what its ledger says of the generator.

Rule: what makes a run valid is what makes it so for a gate: lag, requests not sent, completeness, the drain.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.fleet.tether import tethered
from harness.load.golden import REFERENCE_VERSION, golden_requests
from harness.load.ledger import complete
from harness.load.pool import write_pool
from harness.load.process import start_scenario
from harness.load.spec import LoadSpec
from harness.model import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from harness.load.spec import Phase

UNSENT_SHARE_MAX = 0.001
"""A tenth of the budget of a p99 limit, which is one request in a hundred."""
HOLD = "hold"


@dataclass(frozen=True)
class Run:
    """A finished load: its whole ledger and summary; figures are of the phase `hold`."""

    table: pd.DataFrame
    summary: dict[str, Any]
    zero_ns: int

    @property
    def held(self) -> pd.DataFrame:
        """The rows of the phase that counts."""
        return self.table[self.table["phase"] == HOLD]

    def lag_ms(self, share: float) -> float:
        """How late requests were sent, at the quantile `share`; infinite where none was."""
        lag_ns = (self.held["sent_ns"] - self.held["intended_ns"]).dropna()
        return float(lag_ns.astype("int64").quantile(share)) / 1e6 if len(lag_ns) else float("inf")

    @property
    def response_ms(self) -> NDArray[np.float64]:
        """Response times of all requests of the hold, in the order of intent. All must have been answered."""
        assert set(self.held["status"]) == {Status.OK}
        return (self.held["done_ns"] - self.held["intended_ns"]).to_numpy("float64") / 1e6

    @property
    def intended_ns(self) -> NDArray[np.int64]:
        """When each request of the hold was due, on CLOCK_MONOTONIC."""
        return self.held["intended_ns"].to_numpy("int64") + self.zero_ns

    def count(self, status: Status) -> int:
        """How many requests of the hold ended so."""
        return int((self.held["status"] == status).sum())

    def objections(self, lag_ms_max: float) -> list[str]:
        """Why this run is not valid with lag of up to `lag_ms_max` at p99; empty when it is."""
        rows, late = len(self.held), self.count(Status.GENERATOR_LATE)
        lag, failed = self.lag_ms(0.99), rows - late - self.count(Status.OK)
        facts = {name: self.summary[name] for name in ("finished", "drained", "gaps", "workers_lost")}
        whole = facts == {"finished": True, "drained": True, "gaps": 0, "workers_lost": 0}
        found = {
            f"lag p99 {lag:.2f} ms": lag > lag_ms_max,
            f"{late} of {rows} not sent in time": late > UNSENT_SHARE_MAX * rows,
            f"{failed} failed": failed > 0,
            f"not whole: {facts}": not whole,
        }
        return [text for text, bad in found.items() if bad]


def messages() -> list[bytes]:
    """Real requests: the golden set of the reference model."""
    return golden_requests(REFERENCE_VERSION)


def drive(directory: Path, address: str, phases: Sequence[Phase], **changes: Any) -> Run:
    """Run `scenarios/sustained.py` with a specification as its own options would make it, unless changed."""
    pool = directory / "pool"
    if not pool.exists():
        write_pool(pool, messages())
    fields: dict[str, Any] = {
        "scenario": "sustained",
        "target": address,
        "phases": tuple(phases),
        "requests": str(pool),
        "ledger": str(directory / "ledger.arrow"),
        "zero_ns": time.monotonic_ns(),
    }
    spec = LoadSpec(**fields | changes)
    start_scenario(spec, directory, tethered=tethered).wait()
    return Run(*complete(spec, Path(spec.ledger)), spec.zero_ns)
