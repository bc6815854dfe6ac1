"""A fleet's specification survives its way to the supervisor, and refuses what cannot be a fleet."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.fleet.spec import FleetSpec
from tests.harness.fleet.fleet_support import standin_spec


@pytest.mark.parametrize("control", [None, Path("/somewhere/fleet.sock")])
def test_json_and_back_is_the_same_specification(tmp_path: Path, control: Path | None) -> None:
    spec = dataclasses.replace(standin_spec(tmp_path, candidate="2"), control=control)
    assert FleetSpec.from_json(spec.to_json()) == spec


def test_the_candidate_is_a_group_only_if_there_is_one(tmp_path: Path) -> None:
    zones = {"zone-a": "1", "zone-b": "1", "zone-c": "1"}
    assert standin_spec(tmp_path).groups() == zones
    assert standin_spec(tmp_path, candidate="2").groups() == zones | {"candidate": "2"}


@pytest.mark.parametrize("zones", [(), ("a", "a"), ("a", "candidate")])
def test_zones_must_be_distinct_and_not_the_candidate(tmp_path: Path, zones: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="zones must be distinct"):
        standin_spec(tmp_path, zones=zones)


def test_a_zone_without_processes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        standin_spec(tmp_path, processes_per_zone=0)
