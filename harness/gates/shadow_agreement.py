"""The candidate answers live traffic in the shadow: does it decide as the version in service does?"""

from __future__ import annotations

from harness.checks import limited, proportion, unknown
from harness.model import Case, Check, Gate
from harness.shadow import Pairs, block_counts, pairs


def judge(case: Case) -> tuple[Check, ...]:
    """Enough pairs, few unjoined, and the same decision, each at its version's threshold, in nearly all of them."""
    facts, shadow, target = case.evidence["shadow"].facts, case.plan.shadow, case.plan.target
    joined = pairs(case.evidence["shadow"], case.evidence["ledger"])
    primary = joined.primary_versions | {facts["primary_version"]}
    candidate = joined.candidate_versions | {facts["candidate_version"]}
    if others := (primary - {target.version}) | (candidate - {target.candidate}):
        names = ", ".join(sorted(str(name) or "unnamed" for name in others))
        return (unknown("pairs", f"the shadow compared other versions than the Plan names: {names}"),)
    if len(joined) < shadow.pairs_min:
        words = f"{len(joined):,} pairs compared; at least {shadow.pairs_min - len(joined):,} more are needed"
        return (unknown("pairs", words),)
    if joined.unjoined / joined.asked <= shadow.unjoined_ratio_max < joined.missing / joined.asked:
        words = f"{joined.unanswered:,} of {joined.asked:,} requests got no good answer: too many to compare the others"
        return (unknown("unjoined", words),)
    return (_agreement(case, joined), _unjoined(case, joined))


def _unjoined(case: Case, joined: Pairs) -> Check:
    ratio, limit = joined.missing / joined.asked, case.plan.shadow.unjoined_ratio_max
    words = f"{joined.missing:,} of {joined.asked:,} requests lack a prediction; {100 * limit:g} % allowed"
    return limited("unjoined", ratio, limit, "ratio", reason=words, n=joined.asked)


def _agreement(case: Case, joined: Pairs) -> Check:
    differ = (joined.primary >= _threshold(case, "primary")) != (joined.candidate >= _threshold(case, "candidate"))
    blocks = block_counts(joined, differ, case.plan.traffic.launch_rps)
    what = "requests were decided otherwise, or lack a prediction"
    return proportion("disagreement", blocks, 1 - case.plan.shadow.agreement_min, case.plan.slo.confidence, what=what)


def _threshold(case: Case, side: str) -> float:
    threshold = float(case.evidence["shadow"].facts[f"{side}_threshold"])
    if not 0 < threshold < 1:
        raise ValueError(f"the {side}'s decision threshold must lie between 0 and 1, not {threshold}")
    return threshold


GATE = Gate(
    id="shadow_agreement",
    area="Release",
    title="The next version decides alike",
    failure_title="The next version decides otherwise",
    why="A new version that decides differently changes what users get; that must be meant, not met by surprise.",
    advice="List the requests on which the versions differ and let the model's owner say which is right.",
    requires=("ledger", "shadow"),
    judge=judge,
)
