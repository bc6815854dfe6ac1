"""Nothing is touched that the allow-list does not name, and no check of one thing lets another be written."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments.cloud import calls
from experiments.cloud.allow_list import ALLOW_VARIABLE, Allowed, AllowList, Refused, allow_list

ROOT = Path(__file__).parents[3]
TABLE: dict[str, Any] = {"projects": ["p"], "zones": ["z"], "label": "chaos=allowed", "name_prefix": "chaos-"}
MACHINE = "projects/p/zones/z/instances/vm"
LABELLED = {"chaos": "allowed"}


@pytest.fixture
def allowed() -> AllowList:
    return AllowList.of(TABLE, "allow.toml")


def test_what_carries_the_label_in_a_listed_place_is_allowed(allowed: AllowList) -> None:
    assert allowed.by_label(MACHINE, LABELLED, "z").path == MACHINE
    assert allowed.by_name("projects/p/zones/z/networkEndpointGroups/chaos-neg", "z")


@pytest.mark.parametrize(
    ("path", "labels", "places"),
    [
        ("projects/other/zones/z/instances/vm", LABELLED, ["z"]),
        ("projects/p/zones/y/instances/vm", LABELLED, ["y"]),
        ("projects/p/instances/db", LABELLED, ["z", "y"]),
        ("projects/p/instances/db", LABELLED, ["z", ""]),
        (MACHINE, {}, ["z"]),
        (MACHINE, {"chaos": "never"}, ["z"]),
        (MACHINE, {"allowed": "chaos"}, ["z"]),
        ("projects/p/zones/z/instances/../../z2", LABELLED, ["z"]),
        ("projects/p/zones/z/instances/", LABELLED, ["z"]),
    ],
)
def test_anything_else_is_refused(allowed: AllowList, path: str, labels: dict[str, str], places: list[str]) -> None:
    with pytest.raises(Refused):
        allowed.by_label(path, labels, *places)


@pytest.mark.parametrize("prefix", ["", "other-"])
def test_what_has_no_labels_is_refused_unless_its_name_begins_right(prefix: str) -> None:
    one = AllowList.of(TABLE | {"name_prefix": prefix}, "allow.toml")
    with pytest.raises(Refused, match="name_prefix"):
        one.by_name("projects/p/zones/z/networkEndpointGroups/chaos-neg", "z")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"project": ["p"]}, "unknown key 'project'"),
        ({"zones": "z"}, "zones must be a list"),
        ({"zones": [""]}, "zones must be a list"),
        ({"label": "chaos"}, "label must be"),
        ({"label": "chaos="}, "label must be"),
        ({"label": "a=b,c=d"}, "label must be"),
        ({"name_prefix": 1}, "name_prefix must be"),
    ],
)
def test_an_allow_list_that_makes_no_sense_is_refused_by_its_key(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(Refused, match=named):
        AllowList.of(TABLE | changed, "allow.toml")


@pytest.mark.parametrize("missing", ["projects", "zones", "label"])
def test_an_allow_list_without_one_of_its_parts_is_refused(missing: str) -> None:
    with pytest.raises(Refused, match=missing):
        AllowList.of({key: value for key, value in TABLE.items() if key != missing}, "allow.toml")


def test_without_a_readable_file_nothing_is_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(ALLOW_VARIABLE, raising=False)
    with pytest.raises(Refused, match="no allow-list"):
        allow_list()
    monkeypatch.setenv(ALLOW_VARIABLE, str(tmp_path / "none.toml"))
    with pytest.raises(Refused, match="can't be read"):
        allow_list()


@pytest.mark.parametrize(
    ("url", "is_covered"),
    [
        (f"https://compute.googleapis.com/compute/v1/{MACHINE}/suspend?alt=json", True),
        (f"https://compute.googleapis.com/compute/v1/{MACHINE}", True),
        (f"https://compute.googleapis.com/compute/v1/{MACHINE}2/suspend", False),
        ("https://compute.googleapis.com/compute/v1/projects/p/zones/z/instances/other/suspend", False),
        (f"https://compute.googleapis.com/compute/v1/projects/q/zones/z/instances/vm?x=/{MACHINE}/", False),
        (f"https://compute.googleapis.com/compute/v1/projects/q/x/{MACHINE}/suspend", False),
    ],
)
def test_a_check_of_one_resource_lets_no_other_be_written(url: str, *, is_covered: bool) -> None:
    sent = []
    request = SimpleNamespace(method="POST", uri=url, body=None, execute=lambda **_options: sent.append(url) or {})
    if is_covered:
        calls.write(request, Allowed(MACHINE, "label"))
    else:
        with pytest.raises(Refused):
            calls.write(request, Allowed(MACHINE, "label"))
    assert bool(sent) is is_covered


def test_only_the_allow_list_says_what_is_allowed_and_only_one_place_sends() -> None:
    sources = [*(ROOT / "experiments" / "cloud").glob("*.py"), *(ROOT / "experiments").glob("*/gcp/*.py")]
    called = {
        (path.name, node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""))
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    }
    assert {name for name, function in called if function == "Allowed"} == {"allow_list.py"}
    assert {name for name, function in called if function == "execute"} == {"calls.py"}
