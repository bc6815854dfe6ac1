"""Any schedule that a test may draw, and the law that it must follow, written down once more and differently.

Rule: nothing here calls the code under test; the cumulative rate is a table of areas of trapezoids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st

from harness.load.phases import ramp, soak, spike, staircase, sustained
from harness.load.piecewise import piecewise
from harness.load.spec import LoadSpec, Phase
from tests.harness.load.test_spec import a_spec

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATES = st.floats(1.0, 400.0)
TIMES_S = st.floats(0.05, 4.0)


@st.composite
def any_phase(draw: st.DrawFn) -> tuple[Phase, ...]:
    """One phase, as hostile as they come: from 0 or to 0, a few microseconds long, a thousandfold steep."""
    first, last = draw(st.tuples(*[st.just(0.0) | st.floats(1e-3, 1e5)] * 2).filter(any))
    limit_s = 2000.0 / (first + last)  # at most a thousand arrivals
    duration_s = draw(st.floats(1e-6, 20.0).map(lambda wanted: min(wanted, limit_s)))
    return (Phase("any", first, duration_s, draw(st.sampled_from([last, None])) if first else last),)


SHAPES: tuple[st.SearchStrategy[tuple[Phase, ...]], ...] = (
    st.builds(sustained, RATES, TIMES_S, st.sampled_from([0.0, 0.5])),
    st.builds(spike, RATES, RATES, TIMES_S, TIMES_S, TIMES_S),
    st.builds(ramp, RATES | st.just(0.0), RATES, TIMES_S, st.sampled_from([0.0, 0.5])),
    st.builds(staircase, RATES, RATES, st.integers(1, 5), TIMES_S),
    st.builds(soak, RATES, st.floats(1.0, 4.0), st.floats(0.3, 2.0)),
    st.sampled_from(["a 50x1, up 50-0x2, b 0-300x0.5", "stairs 10-90/5x3", "short 900x10ms, long 2x1m"]).map(piecewise),
    any_phase(),
)


@st.composite
def specs(draw: st.DrawFn) -> LoadSpec:
    """One to four shapes, one after the other, in either law of arrivals."""
    shapes = draw(st.lists(st.one_of(*SHAPES), min_size=1, max_size=4))
    joined = [phase for shape in shapes for phase in shape]
    phases = tuple(
        Phase(f"{index}-{phase.name}", phase.rate_rps, phase.duration_s, phase.end_rate_rps)
        for index, phase in enumerate(joined)
    )
    arrivals, seed = draw(st.sampled_from(["poisson", "constant"])), draw(st.integers(0, 2**32))
    return a_spec(phases=phases, seed=seed, arrivals=arrivals)


def cumulative(spec: LoadSpec, instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """The number of arrivals expected until each instant."""
    counts, begin_s = np.zeros(len(instants_ns)), 0.0
    for phase in spec.phases:
        inside_s = np.clip(instants_ns / 1e9 - begin_s, 0.0, phase.duration_s)
        last_rps = phase.rate_rps if phase.end_rate_rps is None else phase.end_rate_rps
        rate_rps = phase.rate_rps + (last_rps - phase.rate_rps) * inside_s / phase.duration_s
        counts += (phase.rate_rps + rate_rps) / 2 * inside_s
        begin_s += phase.duration_s
    return counts
