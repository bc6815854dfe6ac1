"""The candidate answers live traffic in the shadow: does it decide as the version in service does?"""

from __future__ import annotations

import numpy as np

from harness.checks import limited, proportion, unknown
from harness.model import Case, Check, Gate
from harness.shadow import Pairs, block_counts, pairs


def judge(case: Case) -> tuple[Check, ...]:
    """Enough pairs, few unjoined, and the same decision at the model's threshold in nearly all of them."""
    facts, shadow, target = case.evidence["shadow"].facts, case.plan.shadow, case.plan.target
    if (facts["primary_version"], facts["candidate_version"]) != (target.version, target.candidate):
        return (unknown("pairs", "the shadow compared other versions than the Plan names"),)
    joined = pairs(case.evidence["shadow"])
    if len(joined) < shadow.pairs_min:
        words = f"{len(joined):,} pairs compared; at least {shadow.pairs_min - len(joined):,} more are needed"
        return (unknown("pairs", words),)
    return (_agreement(case, joined), _unjoined(case, joined))


def _unjoined(case: Case, joined: Pairs) -> Check:
    ratio, limit = joined.unjoined / (len(joined) + joined.unjoined), case.plan.shadow.unjoined_ratio_max
    words = f"{joined.unjoined:,} requests were logged by one version only; {100 * limit:g} % allowed"
    return limited("unjoined", ratio, limit, "ratio", reason=words, n=len(joined) + joined.unjoined)


def _agreement(case: Case, joined: Pairs) -> Check:
    threshold = float(case.evidence["shadow"].facts["threshold"])
    if not 0 < threshold < 1:
        raise ValueError(f"the decision threshold must lie between 0 and 1, not {threshold}")
    same = (joined.primary >= threshold) == (joined.candidate >= threshold)
    same &= np.isfinite(joined.primary) & np.isfinite(joined.candidate)
    blocks = block_counts(joined, ~same, case.plan.traffic.launch_rps)
    what = "requests were decided otherwise, or by one version only"
    return proportion("disagreement", blocks, 1 - case.plan.shadow.agreement_min, case.plan.slo.confidence, what=what)


GATE = Gate(
    id="shadow_agreement",
    area="Release",
    title="The next version decides alike",
    failure_title="The next version decides otherwise",
    why="A new version that decides differently changes what users get; that must be meant, not met by surprise.",
    advice="List the requests on which the versions differ and let the model's owner say which is right.",
    requires=("shadow",),
    judge=judge,
)
