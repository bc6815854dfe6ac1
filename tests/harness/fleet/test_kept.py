"""A fleet that takes over from one that is gone is known by its callers: the same authority, the same load key."""

from __future__ import annotations

import stat
import tomllib
from typing import TYPE_CHECKING

from harness.fleet.certificates import Authority
from harness.fleet.credentials import keep, make_credentials
from harness.fleet.ports import HeldPort
from harness.fleet.service_toml import write_service_toml
from harness.fleet.spec import FleetSpec
from tests.harness.fleet.fleet_support import standin_spec
from tests.harness.fleet.test_certificates import shaken

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = ("zone-a", "zone-b")


def test_what_one_fleet_was_known_by_holds_for_the_next(tmp_path: Path) -> None:
    keep(tmp_path / "kept")
    first, second = (make_credentials(tmp_path / name, GROUPS, kept=tmp_path / "kept") for name in ("one", "two"))
    assert first.load_key.read_text() == second.load_key.read_text()
    assert first.admin_key.read_text() != second.admin_key.read_text()
    assert first.ca.read_bytes() == second.ca.read_bytes()
    assert first.edge.key.read_bytes() != second.edge.key.read_bytes()


def test_a_caller_of_the_first_believes_the_second_and_nobody_elses(tmp_path: Path) -> None:

    keep(tmp_path / "kept")
    first = make_credentials(tmp_path / "one", GROUPS, kept=tmp_path / "kept")
    second = make_credentials(tmp_path / "two", GROUPS, kept=tmp_path / "kept")
    stranger = make_credentials(tmp_path / "three", GROUPS)
    (tmp_path / "again").mkdir()
    authority = Authority(tmp_path / "again", tmp_path / "kept")
    assert shaken(authority, second.edge, first.ours, first.ca) == ""
    assert "verify failed" in shaken(authority, stranger.edge, first.ours, first.ca)


def test_what_is_kept_is_closed_to_others_and_a_fleet_without_it_writes_no_authoritys_key(tmp_path: Path) -> None:
    keep(tmp_path / "kept")
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "kept").iterdir()}
    assert (modes["ca.key"], modes["gonogo.apikey"]) == (0o600, 0o600)
    credentials = make_credentials(tmp_path / "fleet", GROUPS, kept=tmp_path / "kept")
    assert not (credentials.ca.parent / "ca.key").exists()


def test_the_edges_port_may_be_chosen_and_held_by_two_of_one_user() -> None:
    first = HeldPort()
    second = HeldPort(first.number)
    assert second.number == first.number
    for port in (first, second):
        port.release()


def test_with_state_each_zone_records_its_answers_in_a_folder_of_its_own(tmp_path: Path) -> None:
    credentials = make_credentials(tmp_path / "secrets", GROUPS)
    told = tomllib.loads(write_service_toml(tmp_path, "zone-a", credentials, tmp_path / "state").read_text())
    assert told["audit"] == {"mode": "durable", "directory": str(tmp_path / "state" / "zone-a" / "audit")}
    assert "audit" not in tomllib.loads(write_service_toml(tmp_path, "zone-b", credentials).read_text())


def test_the_specification_carries_it_to_the_supervisor(tmp_path: Path) -> None:
    spec = standin_spec(tmp_path, state=tmp_path / "state", kept=tmp_path / "kept", edge_port=4321)
    assert FleetSpec.from_json(spec.to_json()) == spec
