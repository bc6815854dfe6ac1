"""The offset between two clocks is never claimed more exactly than the exchange that it comes from allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.messages import Clock, clock_of

DELAYS = st.integers(1, 10**9)


@given(st.integers(-(10**15), 10**15), st.lists(st.tuples(st.integers(0, 10**15), DELAYS, DELAYS), min_size=1))
def test_the_true_offset_lies_within_the_bound(offset_ns: int, trips: list[tuple[int, int, int]]) -> None:
    exchanges = [(asked, asked + there - offset_ns, asked + there + back) for asked, there, back in trips]
    clock = clock_of(exchanges)
    assert abs(clock.offset_ns - offset_ns) <= clock.bound_ns
    assert clock.bound_ns <= min(there + back + 1 for _, there, back in trips) // 2


def test_the_fastest_exchange_counts() -> None:
    assert clock_of([(0, 500, 1000), (2000, 2010, 2020)]) == Clock(0, 10)


def test_without_an_exchange_nothing_is_known() -> None:
    with pytest.raises(ValueError, match="empty"):
        clock_of([])
