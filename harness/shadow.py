"""Reads what two versions predicted for each request of the shadow, against the ledger of what was asked.

Rule: pure. The ledger says which requests there were: one without both predictions is not left out, whoever failed to
log it; it counts as a disagreement at its worst.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.slices import requests, scenario_facts

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from harness.model import Evidence
    from harness.slices import Mask
    from harness.stats import Counts, Reals

SCENARIO = "shadow"
_SEQUENCE_BITS = np.uint64(40)
"""A request id is (scenario << 40) | place in the schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Finite outputs of both versions, one element a request, and what there was beside them.

    `unjoined` requests got a good answer, `unanswered` ones got none; both lack a prediction. The versions are all that
    a side's logs named, of whatever request.
    """

    request_id: NDArray[np.uint64]
    primary: Reals
    candidate: Reals
    unjoined: int
    unanswered: int
    primary_versions: frozenset[str]
    candidate_versions: frozenset[str]

    def __len__(self) -> int:
        return len(self.request_id)

    @property
    def missing(self) -> int:
        """Requests without both predictions."""
        return self.unjoined + self.unanswered

    @property
    def asked(self) -> int:
        """All requests of the shadow."""
        return len(self) + self.missing


def pairs(shadow: Evidence, ledger: Evidence) -> Pairs:
    """The pairs of a shadow; raises ValueError when predictions and ledger don't fit each other."""
    table = shadow.tables["pairs"].sort_values("request_id", kind="stable")
    rows, scheduled = requests(ledger).of(SCENARIO), scenario_facts(ledger, SCENARIO)["scheduled"]
    if len(rows) != scheduled:
        raise ValueError(f"the ledger has {len(rows)} of {scheduled} requests of the shadow")
    ids = table["request_id"].to_numpy(dtype=np.uint64)
    if len(np.unique(ids)) != len(ids):
        raise ValueError("the shadow has two rows with one request_id")
    if strangers := int(np.sum(~np.isin(ids, rows.request_id))):
        raise ValueError(f"the shadow has predictions for {strangers} requests that are not in its ledger")
    primary, candidate = (table[name].to_numpy(np.float64, na_value=np.nan) for name in ("primary", "candidate"))
    both = np.isfinite(primary) & np.isfinite(candidate)
    lacking = ~np.isin(rows.request_id, ids[both])
    return Pairs(
        request_id=ids[both],
        primary=primary[both],
        candidate=candidate[both],
        unjoined=int(np.sum(lacking & rows.answered())),
        unanswered=int(np.sum(lacking & ~rows.answered())),
        primary_versions=_versions(table["primary_version"], primary),
        candidate_versions=_versions(table["candidate_version"], candidate),
    )


def _versions(column: pd.Series[str], outputs: Reals) -> frozenset[str]:
    """Every version named, and "" when a prediction names none."""
    names = np.asarray(column.astype(object).where(column.notna(), ""), dtype=object)
    return frozenset(str(name) for name in names[(names != "") | np.isfinite(outputs)])


def block_counts(joined: Pairs, differ: Mask, rate_rps: float) -> tuple[Counts, Counts]:
    """Differing and all requests in blocks of one second's worth; missing ones are added to the worst block.

    A block is `rate_rps` consecutive places in the schedule, so that losing a pair moves no other pair to another one.
    """
    place = joined.request_id & ((np.uint64(1) << _SEQUENCE_BITS) - np.uint64(1))
    _, block = np.unique(place.astype(np.int64) // max(1, round(rate_rps)), return_inverse=True)
    sizes = np.bincount(block)
    over = np.bincount(block[differ], minlength=len(sizes))
    worst = int(np.argmax(over))
    over[worst], sizes[worst] = over[worst] + joined.missing, sizes[worst] + joined.missing
    return over, sizes
