"""What the audit journal costs: calls a second and their mean time with it and without, and one sync of this disk."""

from __future__ import annotations

import os
import time
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.load.golden import REFERENCE_VERSION
from reference_service.protocol.audit import encode
from tests.benchmarks.claims import spread
from tests.benchmarks.peers.load import MODEL, Credentials, drive, request_body
from tests.reference_service.running import in_own_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.claims import Claims

ROUNDS, SECONDS, SYNCS = 3, 3.0, 200
KEPT_MIN = 0.5
"""The share of the throughput that must be left; measured, not derived."""


def syncs_ms(path: Path) -> list[float]:
    """How long this disk takes to keep one more record, each time."""
    line, taken = encode("0" * 16, "1", [0.5], time.time_ns()), []
    with path.open("ab", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(line)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(1000 * (time.perf_counter() - began))
    return taken


def driven(body: Path, *options: str) -> tuple[float, float]:
    """(calls answered a second, their mean time in ms) of the service started with these options."""
    registry = REFERENCE_VERSION.parents[1]
    with in_own_process(registry, MODEL, *options, unsigned=False) as process:
        address = process.await_event("ready")["address"]
        drive(address, Credentials(), body, 1.0)
        load = drive(address, Credentials(), body, SECONDS)
    return load.rps, load.mean_ms


@pytest.mark.bench
@pytest.mark.timeout(200)
def test_the_service_with_and_without_its_audit_journal(claims: Claims, tmp_path: Path) -> None:
    body = tmp_path / "body"
    with np.load(REFERENCE_VERSION / "golden.npz", allow_pickle=False) as golden:
        body.write_bytes(request_body(golden["inputs"][0]))

    def run() -> list[tuple[tuple[float, float], tuple[float, float]]]:
        rounds = []
        for number in range(ROUNDS):
            audit = ("--audit", "durable", "--audit-directory", str(tmp_path / f"audit-{number}"))
            rounds.append((driven(body), driven(body, *audit)))
        return rounds

    rounds = claims.benchmark.pedantic(run, rounds=1)
    without, with_it = [[item[place] for item in rounds] for place in (0, 1)]
    taken = sorted(syncs_ms(tmp_path / "one"))
    claims.at_least("share of calls a second left", median(b[0] / a[0] for a, b in rounds), KEPT_MIN)
    claims.note(
        f"without {spread([rps for rps, _ in without])}/s, with {spread([rps for rps, _ in with_it])}/s; "
        f"mean {spread([ms for _, ms in without])} and {spread([ms for _, ms in with_it])} ms; "
        f"one sync {median(taken):.2f} ms at the median, {taken[-2]:.2f} ms at p99"
    )
