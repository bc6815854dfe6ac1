"""Reads the pairs of predictions that two versions gave for one request.

Rule: pure. A request that only one version logged is not left out: it counts as a disagreement at its worst.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.model import Evidence
    from harness.slices import Mask
    from harness.stats import Counts, Reals

_SEQUENCE_BITS = np.uint64(40)
"""A request id is (scenario << 40) | place in the schedule."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Probabilities by both versions, one element a request, and how many requests only one version logged."""

    request_id: NDArray[np.uint64]
    primary: Reals
    candidate: Reals
    unjoined: int

    def __len__(self) -> int:
        return len(self.request_id)


def pairs(evidence: Evidence) -> Pairs:
    """The pairs of a shadow; raises ValueError when table and counts don't fit each other."""
    facts: Any = evidence.facts
    table = evidence.tables["pairs"].sort_values("request_id", kind="stable")
    ids = table["request_id"].to_numpy(dtype=np.uint64)
    if len(np.unique(ids)) != len(ids) or len(ids) != facts["joined"]:
        raise ValueError(f"the shadow has {len(ids)} rows, not {facts['joined']} pairs each with its own request")
    unjoined = int(facts["unjoined_primary"]) + int(facts["unjoined_candidate"])
    if min(facts["unjoined_primary"], facts["unjoined_candidate"]) < 0:
        raise ValueError("a count of unjoined requests is below zero")
    primary, candidate = (table[name].to_numpy(np.float64, na_value=np.nan) for name in ("primary", "candidate"))
    return Pairs(ids, primary, candidate, unjoined)


def block_counts(joined: Pairs, differ: Mask, rate_rps: float) -> tuple[Counts, Counts]:
    """Differing and all requests in blocks of one second's worth; unjoined ones are added to the worst block.

    A block is `rate_rps` consecutive places in the schedule, so that losing a pair moves no other pair to another one.
    """
    place = joined.request_id & ((np.uint64(1) << _SEQUENCE_BITS) - np.uint64(1))
    scenario = joined.request_id >> _SEQUENCE_BITS
    keys = np.stack([scenario.astype(np.int64), place.astype(np.int64) // max(1, round(rate_rps))], axis=1)
    _, block = np.unique(keys, axis=0, return_inverse=True)
    sizes = np.bincount(block.ravel())
    over = np.bincount(block.ravel()[differ], minlength=len(sizes))
    worst = int(np.argmax(over))
    over[worst], sizes[worst] = over[worst] + joined.unjoined, sizes[worst] + joined.unjoined
    return over, sizes
