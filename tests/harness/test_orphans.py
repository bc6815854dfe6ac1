"""What outlives its owner is ended, however it hides; nothing else is touched."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness.orphans import end_orphans
from harness.process_identity import OWNER_VARIABLE, own_identity
from tests.harness.dead import dead_identity

if TYPE_CHECKING:
    from collections.abc import Iterator

SOON_S = 0.3


def started(owner: str | None, *command: str) -> subprocess.Popen[bytes]:
    mark = {} if owner is None else {OWNER_VARIABLE: owner}
    return subprocess.Popen(command or ("sleep", "60"), env=os.environ | mark, start_new_session=True)


@pytest.fixture
def others() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that nobody may touch: of a living owner, of none, of one elsewhere, and one with a mark of nothing."""
    elsewhere = "another-host/pid:[1]/boot/1/1"
    kept = [started(owner) for owner in (str(own_identity()), None, elsewhere, "nonsense")]
    yield kept
    for process in kept:
        process.kill()
        process.wait()


def test_what_belongs_to_the_dead_is_killed_even_frozen_or_in_a_session_of_its_own(
    others: list[subprocess.Popen[bytes]],
) -> None:
    owner = dead_identity()
    frozen = started(owner)
    frozen.send_signal(signal.SIGSTOP)
    parent = started(owner, "sh", "-c", "setsid sleep 61 & wait")
    ended = end_orphans(SOON_S)
    assert {frozen.pid, parent.pid} < {item.pid for item in ended}
    assert "sleep 61" in {item.command for item in ended}
    for process in (frozen, parent):
        process.wait(5)
    assert [process.poll() for process in others] == [None] * 4
    assert end_orphans(SOON_S) == []


def test_what_ends_by_itself_in_time_is_not_killed() -> None:
    process = started(dead_identity(), "sleep", "0.3")
    assert end_orphans(5.0) == []
    assert process.wait(5) == 0
