"""No loss, no damage and no worsening of evidence makes any gate pass that did not pass before."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.gates import all_gates
from harness.judge import _result
from harness.model import Decision, Outcome
from tests.builders import World, drilled
from tests.harness.worsening import CHANGES, tightened

if TYPE_CHECKING:
    from collections.abc import Callable

GATES = all_gates()
steps = st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, max_size=4)
seeds = st.integers(0, 2**32).map(Random)
limited = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def passing(world: World, touched: tuple[str, ...], before: dict[str, bool]) -> dict[str, bool]:
    """Which gates pass; those that can't see what was touched stay as they were."""
    return {
        name: _result(gate, name, world.plan, world.run, world.evidence).outcome is Outcome.PASS
        if name not in before or not touched or set(touched) & set(gate.requires)
        else before[name]
        for name, gate in GATES.items()
    }


@settings(limited, max_examples=25)
@given(steps, seeds, st.sampled_from([tightened, lambda world, _: world]))
def test_no_worsening_makes_a_gate_pass(
    names: list[str], pick: Random, limits: Callable[[World, Random], World]
) -> None:
    world = limits(drilled(), pick)
    before = passing(world, (), {})
    for name in names:
        touched, change = CHANGES[name]
        try:
            world = change(world, pick)
        except (KeyError, ValueError, TypeError, IndexError):
            continue  # what it would worsen is already gone
        after = passing(world, touched, before)
        gained = {gate for gate in GATES if after[gate] and not before[gate]}
        assert not gained, f"{name} made {gained} pass"
        before = after


@settings(limited, max_examples=6)
@given(steps, seeds)
def test_no_worsening_turns_a_no_go_into_a_go(names: list[str], pick: Random) -> None:
    world = drilled()
    decisions = [world.judge().decision]
    for name in names:
        try:
            world = CHANGES[name][1](world, pick)
        except (KeyError, ValueError, TypeError, IndexError):
            continue
        decisions.append(world.judge().decision)
    assert decisions == sorted(decisions, key=[Decision.GO, Decision.NO_GO].index)


def test_every_change_can_hurt() -> None:
    """A change that never costs a pass would prove nothing in the tests above."""
    whole = passing(drilled(), (), {})
    harmless = {"zone stays away"}  # a share of the rows at a time; its own test is the gate's
    for name, (touched, change) in CHANGES.items():
        worlds = (change(drilled(), Random(seed)) for seed in range(40))  # noqa: S311 - choices of a test
        assert name in harmless or any(passing(world, touched, whole) != whole for world in worlds), name
