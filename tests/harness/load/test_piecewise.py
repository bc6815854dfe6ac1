"""A line of text becomes the phases that it says, or an error that helps to put it right."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.load.phases import spike
from harness.load.piecewise import EXAMPLE, piecewise
from harness.load.spec import Phase


@pytest.mark.parametrize(
    ("text", "phases"),
    [
        ("hold 200x5", (Phase("hold", 200.0, 5.0),)),
        ("climb 200-800x30", (Phase("climb", 200.0, 30.0, 800.0),)),
        ("fall 800 - 0 x 2m", (Phase("fall", 800.0, 120.0, 0.0),)),
        (" a 0.5x8h ,b_2 1x500ms", (Phase("a", 0.5, 28_800.0), Phase("b_2", 1.0, 0.5))),
        ("up 100-300/3x30s", tuple(Phase(f"up-step-0{rate}", float(rate), 10.0) for rate in (100, 200, 300))),
        ("down 20-10/2x4", (Phase("down-step-0020", 20.0, 2.0), Phase("down-step-0010", 10.0, 2.0))),
        ("level 20-20/5x4", (Phase("level-step-0020", 20.0, 4.0),)),
        ("before 200x3, peak 600x10, after 200x5", spike(200.0, 600.0, 3.0, 10.0, 5.0)),
    ],
)
def test_says_what_is_meant(text: str, phases: tuple[Phase, ...]) -> None:
    assert piecewise(text) == phases


def test_the_example_is_right() -> None:
    assert [phase.name for phase in piecewise(EXAMPLE.strip('"'))] == ["warmup", "peak", "climb"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", 'part 1, ""'),
        ("a 1x1,", 'part 2, ""'),
        ("600x10", 'part 1, "600x10"'),
        ("a 1x1, peak 600", 'part 2, "peak 600"'),
        ("a 1x1, peak 600*10, b 1x1", 'part 2, "peak 600*10"'),
        ("peak x10", 'part 1, "peak x10"'),
        ("peak 600x10d", 'part 1, "peak 600x10d"'),
        ("peak -5x10", 'part 1, "peak -5x10"'),
        ("peak infx10", 'part 1, "peak infx10"'),
        ("spike/peak 5x10", 'part 1, "spike/peak 5x10"'),  # the timeline calls a phase SCENARIO/PHASE
        ("peak 5x1 b 5x1", 'part 1, "peak 5x1 b 5x1"'),
        ("stairs 5/2x10", 'part 1, "stairs 5/2x10"'),
        ("a 1x1, pause 0x5", 'part 2, "pause 0x5"'),
        ("a 1x1, b 5x0", 'part 2, "b 5x0"'),
        ("stairs 5-9/0x10", 'part 1, "stairs 5-9/0x10"'),
    ],
)
def test_names_the_part_that_is_wrong_and_shows_a_right_one(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(part)}.*right would be {re.escape(EXAMPLE)}$"):
        piecewise(text)


def test_two_phases_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r'^part 3, "peak 2x1": there is a phase peak already; right would be "peak-2'):
        piecewise("peak 1x1, calm 1x1, peak 2x1")


@given(st.text(alphabet="ab 0123456789.-x/,smh\n", max_size=30))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_text_is_either_read_or_refused(text: str) -> None:
    try:
        phases = piecewise(text)
    except ValueError as error:
        assert str(error).startswith("part ")  # noqa: PT017 - an error is one of two right answers
    else:
        assert len({phase.name for phase in phases}) == len(phases) >= text.count(",") + 1
