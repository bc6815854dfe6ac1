"""Says what share of a month's error budget a fault costs.

Rule: pure. The budget of 30 days is (1 − availability) × the requests of 30 days at the launch rate; the share is the
requests that got no good answer, those of whom it is not known included, over that budget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.plan_experiments import Experiment
    from harness.plan_types import Plan

DAYS = 30
DAY_S = 86_400


def budget_requests(plan: Plan) -> float:
    """How many requests may fail in 30 days at the launch rate."""
    return (1 - plan.slo.availability) * plan.traffic.launch_rps * DAYS * DAY_S


def budget_share(plan: Plan, bad: int) -> float:
    """The share of 30 days' budget that `bad` failed requests burn."""
    return bad / budget_requests(plan)


def failures_max(plan: Plan, experiment: Experiment) -> float:
    """How many requests may fail in one run of `experiment` before it is ended."""
    return experiment.budget_share_max * budget_requests(plan)
