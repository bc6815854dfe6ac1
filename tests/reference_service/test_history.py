"""What was served is remembered across processes, never half, and a server that can't remember doesn't go on."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from reference_service.errors import StartError
from reference_service.history import History, ReplayError
from tests.reference_service.test_signing import STATEMENT

if TYPE_CHECKING:
    from pathlib import Path


def test_another_process_remembers_what_this_one_served(tmp_path: Path) -> None:
    path = tmp_path / "state" / "served.json"
    History(path).record(STATEMENT)
    older = replace(STATEMENT, version="0", counter=2)
    with pytest.raises(ReplayError, match="its counter is 2, and 3 was served already"):
        History(path).check(older)
    History(path).check(replace(older, name="another model"))
    History(path).check(replace(older, counter=3))


def test_servers_that_share_a_record_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "served.json"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: History(path).record(replace(STATEMENT, version=str(n))), range(40)))
    assert set(json.loads(path.read_bytes())["models"]["toy"]) == {str(n) for n in range(40)}
    assert sorted(item.name for item in tmp_path.iterdir()) == ["served.json", "served.json.lock"]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"schema": 2}', '{"schema": 1, "models": {"toy": {"1": {}}}}'])
def test_a_record_that_cannot_be_read_is_an_error_and_not_an_empty_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "served.json"
    path.write_text(content)
    with pytest.raises(StartError, match=r"served.json, the record of the versions served, can't be read"):
        History(path).check(STATEMENT)


def test_a_record_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="can't be written"):
        History(tmp_path / "file" / "served.json").record(STATEMENT)
