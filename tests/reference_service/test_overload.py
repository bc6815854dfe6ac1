"""A full service refuses early and says when to return; no estimate, however wrong, refuses for ever."""

from __future__ import annotations

import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_service.errors import DeadlineError, OverloadedError
from reference_service.overload import RETRY_AFTER_S_MIN, Admission, DrainRate


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def answered_in(admission: Admission, clock: Clock, seconds: float, times: int = 1) -> None:
    for _ in range(times):
        ticket = admission.enter(None)
        clock.now += seconds
        admission.leave(ticket)


def test_one_more_than_may_be_in_hand_is_refused_until_one_leaves() -> None:
    admission = Admission(2)
    first, _ = admission.enter(None), admission.enter(1.0)
    with pytest.raises(OverloadedError) as caught:
        admission.enter(None)
    assert caught.value.retry_after_s == RETRY_AFTER_S_MIN  # nothing has been measured yet
    admission.leave(first)
    admission.enter(None)
    assert (admission.in_flight, admission.admitted, admission.refused_full) == (2, 3, 1)


def test_a_refusal_says_when_what_is_in_hand_will_be_done() -> None:
    clock = Clock()
    admission = Admission(3, clock)
    answered_in(admission, clock, 0.2)
    for _ in range(3):
        admission.enter(None)
    with pytest.raises(OverloadedError) as caught:
        admission.enter(None)
    assert caught.value.retry_after_s == pytest.approx(0.6)


def test_a_deadline_sooner_than_what_is_in_hand_and_itself_take_is_refused() -> None:
    clock = Clock()
    admission = Admission(10, clock)
    answered_in(admission, clock, 0.1)
    admission.enter(None)
    admission.enter(0.21)
    with pytest.raises(DeadlineError, match=r"about 300\.0 ms now and the deadline is in 290\.0 ms"):
        admission.enter(0.29)
    assert admission.refused_late == 1


def test_a_deadline_that_has_passed_is_refused_even_by_an_idle_service() -> None:
    with pytest.raises(DeadlineError):
        Admission(10).enter(0.0)


def test_an_idle_service_measures_anew_what_it_has_become() -> None:
    clock = Clock()
    admission = Admission(10, clock)
    answered_in(admission, clock, 60.0)  # a stall at the start
    answered_in(admission, clock, 0.001, 2000)
    admission.enter(0.01)  # alone, whatever was measured
    admission.enter(0.1)


def test_time_without_work_is_not_counted() -> None:
    rate = DrainRate()
    rate.left(1, 10.0, 10.1)
    rate.left(1, 50.0, 50.1)
    rate.left(10, 50.05, 51.1)  # ten came during the one before
    assert rate.seconds_for(1) == pytest.approx(0.1)
    assert rate.seconds_for(20) == pytest.approx(2.0)


@given(st.lists(st.tuples(st.booleans(), st.none() | st.floats(0, 1), st.floats(0, 0.5)), max_size=200))
def test_the_count_is_right_whoever_comes_and_leaves(steps: list[tuple[bool, float | None, float]]) -> None:
    clock = Clock()
    admission = Admission(5, clock)
    tickets: list[float] = []
    for comes, remaining_s, passes_s in steps:
        clock.now += passes_s
        if not comes and tickets:
            admission.leave(tickets.pop(0))
        elif comes:
            try:
                tickets.append(admission.enter(remaining_s))
            except (OverloadedError, DeadlineError):
                assert tickets or not remaining_s or remaining_s < 1e-5
        assert admission.in_flight == len(tickets) <= 5


def test_letting_in_and_out_costs_next_to_nothing() -> None:
    admission = Admission(10)
    seconds = min(timeit.repeat(lambda: admission.leave(admission.enter(1.0)), number=10_000, repeat=5)) / 10_000
    assert seconds < 5e-6  # 0.7 µs on an idle machine
