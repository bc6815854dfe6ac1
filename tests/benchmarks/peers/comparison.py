"""The comparison: rounds in which every contender gets the load in turn, and what came of it.

Rule: only ratios within a round mean anything, so each is taken within its round and their median counts. The order is
turned round by round, so that no contender always follows the same one.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.benchmarks.machine import Machine
from tests.benchmarks.peers.environments import UnavailableError
from tests.benchmarks.peers.load import WARM_UP_S, WrongAnswerError, check_size, drive, request_body

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.benchmarks.peers.contender import Bench, Contender, Running


@dataclass(slots=True)
class Standing:
    """What is known of a contender: a figure for each round, or `unknown`, the reason why there is none."""

    contender: Contender
    version: str = ""
    unknown: str = ""
    rps: list[float] = field(default_factory=list)
    mean_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    foreign_cores: list[float] = field(default_factory=list)
    resident_mib: float = 0.0
    answered: int = 0

    def facts(self) -> dict[str, Any]:
        """All of it, for a JSON file."""
        names = ("version", "unknown", "rps", "mean_ms", "cpu_us", "foreign_cores", "resident_mib", "answered")
        return {"name": self.contender.name, **{name: getattr(self, name) for name in names}}


def compare(
    bench: Bench, contenders: Sequence[Contender], *, rounds: int, seconds: float, tell: Callable[[str], None]
) -> list[Standing]:
    """Start every contender, load each in turn, `rounds` times for `seconds`, and stop them."""
    body = bench.scratch / "request.body"
    body.write_bytes(request_body(bench.rows[0]))
    standings = [Standing(contender) for contender in contenders]
    with contextlib.ExitStack() as stack:
        live: list[tuple[Standing, Running]] = []
        for standing in standings:
            tell(f"starting {standing.contender.name}")
            started = _start(stack, bench, standing)
            if started:
                live.append((standing, started))
        for turn in range(rounds):
            shift = turn % len(live)
            for standing, started in live[shift:] + live[:shift]:
                _measure(bench, standing, started, seconds)
                tell(f"round {turn + 1}: {standing.contender.name}: {standing.rps[-1]:,.0f}/s")
        for standing, started in live:
            _prove(standing, started)
    return standings


def over(one: Standing, other: Standing) -> list[float]:
    """How many times the calls of `other` the first answered, round by round."""
    return [mine / theirs for mine, theirs in zip(one.rps, other.rps, strict=True)]


def better(standings: Sequence[Standing], group: str) -> Standing | None:
    """The contender of a group with the highest median; None if none could be had."""
    known = [standing for standing in standings if standing.contender.group == group and standing.rps]
    return max(known, key=lambda standing: median(standing.rps), default=None)


def _start(stack: contextlib.ExitStack, bench: Bench, standing: Standing) -> Running | None:
    try:
        started = stack.enter_context(standing.contender.start(bench))
        bench.check(started.address, started.credentials)
    except (UnavailableError, WrongAnswerError) as error:
        standing.unknown = str(error)
        return None
    standing.version = started.version
    return started


def _prove(standing: Standing, started: Running) -> None:
    try:
        started.prove(standing.answered)
    except WrongAnswerError as error:
        standing.unknown = str(error)
        standing.rps.clear()


def _measure(bench: Bench, standing: Standing, started: Running, seconds: float) -> None:
    body = bench.scratch / "request.body"
    answer_bytes = bench.check(started.address, started.credentials)
    drive(started.address, started.credentials, body, WARM_UP_S)
    machine, cpu_s = Machine(), started.server.cpu_s()
    load = drive(started.address, started.credentials, body, seconds)
    standing.cpu_us.append((started.server.cpu_s() - cpu_s) / load.answered * 1e6)
    standing.foreign_cores.append(machine.foreign_cores())
    check_size(load, answer_bytes)
    bench.check(started.address, started.credentials)
    standing.rps.append(load.rps)
    standing.answered += load.answered
    standing.mean_ms.append(load.mean_ms)
    standing.resident_mib = started.server.resident_bytes() / 2**20
