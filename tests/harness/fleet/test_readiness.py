"""What a fleet lacks is said in words that lead to the cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.fleet.readiness import LOG_LINES, ProcessDiedError, accepts, log_tail, refuse_dead

if TYPE_CHECKING:
    from pathlib import Path


def test_the_tail_of_a_log_is_its_last_lines_under_its_path(tmp_path: Path) -> None:
    log = tmp_path / "zone-a-0.log"
    log.write_text("".join(f"line {number}\n" for number in range(LOG_LINES + 5)))
    lines = log_tail(log).splitlines()
    assert lines[0] == f"the end of {log}:"
    assert lines[1:] == [f"    line {number}" for number in range(5, LOG_LINES + 5)]


def test_a_process_that_died_unasked_is_named_with_its_exit_code_and_log(tmp_path: Path) -> None:
    log = tmp_path / "zone-a-0.log"
    log.write_text("no such model\n")
    dead = {"name": "zone-a-0", "exit_code": 3, "log": str(log), "died_unasked": True}
    with pytest.raises(ProcessDiedError, match=r"zone-a-0 ended with exit code 3\n(.|\n)*no such model"):
        refuse_dead([dead])


def test_a_process_killed_on_request_is_no_reason_to_give_up(tmp_path: Path) -> None:
    refuse_dead([{"name": "zone-a-0", "exit_code": -9, "log": str(tmp_path), "died_unasked": False}])


def test_a_socket_on_which_nobody_listens_is_not_open(tmp_path: Path) -> None:
    assert not accepts(str(tmp_path / "admin.sock"))
