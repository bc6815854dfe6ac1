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

BLOCK = 1 << 16
"""Arrivals made at a time: what is needed beside the result stays below 10 MB, however long the schedule."""
PHASES_MAX = int(np.iinfo(np.int16).max)
"""The index of a phase takes two bytes a request."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The requests of `worker` of `workers`, by time: `intended_ns` from the schedule's zero, and which phase."""

    intended_ns: Int64s
    phase: Int16s
    worker: int
    workers: int

    def __len__(self) -> int:
        return len(self.intended_ns)

    @property
    def sequence(self) -> Int64s:
        """The number of each request among those of the whole scenario, over all workers, from 0."""
        return self.worker + self.workers * np.arange(len(self), dtype=np.int64)

    @property
    def digest(self) -> str:
        """SHA-256 over every instant, phase and number: two generators with one digest were to send the same."""
        content = hashlib.sha256(f"worker {self.worker} of {self.workers}".encode())
        for column in (self.intended_ns, self.phase):
            content.update(column.astype(column.dtype.newbyteorder("<"), copy=False).data)
        return content.hexdigest()


def schedule(spec: LoadSpec, worker: int = 0, workers: int = 1) -> Schedule:
    """The part of the scenario's one schedule that `worker` of `workers` sends: every `workers`-th arrival.

    All workers together are therefore exactly the schedule of one. It takes 10 bytes an arrival, and twice that while
    it is made. Raises ValueError for a worker that is none and for more phases than `PHASES_MAX`.
    """
    if not 0 <= worker < workers:
        raise ValueError(f"worker must be 0 to {workers - 1}, not {worker}")
    if len(spec.phases) > PHASES_MAX:
        raise ValueError(f"a schedule has at most {PHASES_MAX:,} phases, not {len(spec.phases):,}; make them longer")
    instants, phases, made = [np.zeros(0, np.int64)], [np.zeros(0, np.int16)], 0
    for intended_ns, phase in _arrivals(spec):
        mine = slice((worker - made) % workers, None, workers)
        instants.append(intended_ns[mine].copy())  # a view would keep the whole block
        phases.append(phase[mine].copy())
        made += len(phase)
    return Schedule(np.concatenate(instants), np.concatenate(phases), worker, workers)


def phase_starts_ns(spec: LoadSpec) -> list[int]:
    """Where each phase begins after the schedule's zero, and last where the last one ends."""
    edges = np.cumsum([0.0, *(phase.duration_s for phase in spec.phases)])
    return [round(edge * 1e9) for edge in edges]


def _arrivals(spec: LoadSpec) -> Iterator[tuple[Int64s, Int16s]]:
    """Instants and phases of all arrivals, block by block.

    An instant lies in its phase, the end excluded, and none comes before the one that precedes it: rounding to
    nanoseconds, and of the floats before that, must not undo either.
    """
    expected = np.cumsum([phase.expected for phase in spec.phases])
    edges_ns = np.array(phase_starts_ns(spec))
    last_ns = np.maximum(edges_ns[1:] - 1, edges_ns[:-1])  # a phase may be shorter than a nanosecond
    latest = 0
    for units in _unit_arrivals(spec, float(expected[-1])):
        phase = np.searchsorted(expected, units, side="left").astype(np.int16)
        instants_ns = np.clip(_instants_ns(spec.phases, expected, units, phase), edges_ns[phase], last_ns[phase])
        instants_ns = np.maximum.accumulate(np.maximum(instants_ns, latest))
        latest = int(instants_ns.max(initial=latest))
        yield instants_ns, phase


def _unit_arrivals(spec: LoadSpec, total: float) -> Iterator[Floats]:
    """Instants of a process of rate 1 on (0, total], rising, block by block."""
    if spec.arrivals == "poisson":
        return _poisson(spec.seed, total)
    # Mid-interval, so that no phase begins with a request of its own.
    return (np.arange(first + 0.5, min(total, first + BLOCK), 1.0) for first in range(0, int(total) + 1, BLOCK))


def _poisson(seed: int, total: float) -> Iterator[Floats]:
    """Running sums of seeded exponential gaps until `total` is passed."""
    generator, last = np.random.default_rng(seed), 0.0
    while last <= total:
        block = last + np.cumsum(generator.standard_exponential(BLOCK))
        last = float(block[-1])
        yield block[: np.searchsorted(block, total, side="right")]


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
