"""A claim says whether it was met, the table shows it, and what is kept does not say who measured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.benchmarks.claims import Claims, table
from tests.benchmarks.conftest import pytest_benchmark_update_commit_info, pytest_benchmark_update_machine_info
from tests.benchmarks.machine import FOREIGN_CORES_MAX, TRIES, Machine, undisturbed


def a_benchmark() -> Any:
    return SimpleNamespace(extra_info={})


def test_claims_are_met_up_to_their_limit_and_shown_so() -> None:
    lines: list[str] = []
    claims = Claims(a_benchmark(), lines.append)
    claims.at_most("lag, ms", 1.0, 1.0)
    claims.at_least("ratio", 1.99, 2.0)
    claims.note("what was measured", runs=[1, 2])
    facts = claims.benchmark.extra_info
    assert (facts["lag, ms"]["met"], facts["ratio"]["met"], facts["runs"]) == (True, False, [1, 2])
    assert lines[0].startswith("what was measured; other work on the machine took ")

    judged = {"wall_s": {"value": 3, "limit": 2.5, "met": False}, "rows": 10}
    shown = [line.split() for line in table([("test_a", facts), ("test_b", judged), ("test_c", {})])]
    assert shown == [
        ["claim", "measured", "limit", "met"],
        ["test_a"],
        ["lag,", "ms", "1", "at", "most", "1", "yes"],
        ["ratio", "1.99", "at", "least", "2", "NO"],
        ["test_b"],
        ["wall_s", "3", "at", "most", "2.5", "NO"],
    ]
    assert table([("test_c", {})]) == []


def test_neither_host_nor_folder_is_kept() -> None:
    machine, commit = {"node": "host", "cpu": {}}, {"id": "f00", "project": "folder", "branch": "mine", "dirty": False}
    pytest_benchmark_update_machine_info(machine)
    pytest_benchmark_update_commit_info(commit)
    assert (machine, commit) == ({"cpu": {}}, {"id": "f00", "dirty": False})


def test_own_work_is_not_foreign(monkeypatch: Any) -> None:
    readings = iter([(100.0, 50.0, 20.0), (110.0, 63.0, 31.0)])  # wall, everybody, ours: 10 s, 13 s, 11 s
    monkeypatch.setattr("tests.benchmarks.machine._reading", lambda: next(readings))
    assert Machine().foreign_cores() == 0.2


def test_what_other_work_spoiled_is_taken_again(monkeypatch: Any) -> None:
    found = iter([FOREIGN_CORES_MAX + 0.1, FOREIGN_CORES_MAX, 0.0])
    monkeypatch.setattr(Machine, "foreign_cores", lambda _: next(found))
    runs = iter(range(TRIES))
    assert undisturbed(lambda: next(runs)) == 1
