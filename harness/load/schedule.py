"""When each request is to be sent, decided before the first one is.

Rule: a pure function of the specification and of (worker, workers). Arrivals are a unit-rate process mapped through
the inverse of the cumulative rate, so one formula serves every shape; nothing here can see how a run goes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.load.spec import LoadSpec, Phase

Int64s = NDArray[np.int64]
Int16s = NDArray[np.int16]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The requests of one worker, by time: `intended_ns` from the schedule's zero, and the index of the phase.

    `sequence` numbers the requests of the whole scenario from 0, over all workers.
    """

    intended_ns: Int64s
    phase: Int16s
    sequence: Int64s

    def __len__(self) -> int:
        return len(self.intended_ns)

    @property
    def digest(self) -> str:
        """SHA-256 over every instant, phase and number: two generators with one digest were to send the same."""
        content = hashlib.sha256()
        for column in (self.intended_ns, self.phase, self.sequence):
            content.update(column.astype(column.dtype.newbyteorder("<")).tobytes())
        return content.hexdigest()


def schedule(spec: LoadSpec, worker: int = 0, workers: int = 1) -> Schedule:
    """The part of the scenario's one schedule that `worker` of `workers` sends: every `workers`-th arrival.

    All workers together are therefore exactly the schedule of one. Raises ValueError for a worker that is none.
    """
    if not 0 <= worker < workers:
        raise ValueError(f"worker must be 0 to {workers - 1}, not {worker}")
    expected = np.cumsum([phase.expected for phase in spec.phases])
    units = _unit_arrivals(spec, float(expected[-1]))
    phase = np.searchsorted(expected, units, side="left").astype(np.int16)
    mine = slice(worker, None, workers)
    return Schedule(
        _instants_ns(spec.phases, expected, units, phase)[mine],
        phase[mine],
        np.arange(len(units), dtype=np.int64)[mine],
    )


def phase_starts_ns(spec: LoadSpec) -> list[int]:
    """Where each phase begins after the schedule's zero, and last where the last one ends."""
    edges = np.cumsum([0.0, *(phase.duration_s for phase in spec.phases)])
    return [round(edge * 1e9) for edge in edges]


def _unit_arrivals(spec: LoadSpec, total: float) -> Floats:
    """Instants of a process of rate 1 on (0, total], rising."""
    if spec.arrivals == "constant":
        return np.arange(0.5, total, 1.0)  # mid-interval, so that no phase begins with a request of its own
    return np.concatenate([units[units <= total] for units in _poisson_blocks(spec.seed, total)])


def _poisson_blocks(seed: int, total: float) -> Iterator[Floats]:
    """Running sums of seeded exponential gaps, block by block until `total` is passed."""
    generator, last = np.random.default_rng(seed), 0.0
    while last <= total:
        block = last + np.cumsum(generator.standard_exponential(4096))
        last = float(block[-1])
        yield block


def _instants_ns(phases: tuple[Phase, ...], expected: Floats, units: Floats, phase: Int16s) -> Int64s:
    """Each unit arrival mapped to the instant at which the cumulative rate reaches it.

    Inside a phase the area under the rate is y = r0·t + s·t²/2, with s = (r1 - r0) / duration. Its inverse
    t = 2·y / (r0 + √(r0² + 2·s·y)) holds for constant rates too, and loses no digits where s is small.
    """
    first = np.array([item.rate_rps for item in phases])
    slope = np.array([(item.last_rate_rps - item.rate_rps) / item.duration_s for item in phases])
    starts = np.cumsum([0.0, *(item.duration_s for item in phases)])[:-1]
    area = units - np.concatenate([[0.0], expected[:-1]])[phase]
    root = np.sqrt(np.maximum(first[phase] ** 2 + 2.0 * slope[phase] * area, 0.0))
    seconds = starts[phase] + 2.0 * area / (first[phase] + root)
    return np.asarray(np.rint(seconds * 1e9), dtype=np.int64)
