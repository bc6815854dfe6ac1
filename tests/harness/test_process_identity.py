"""A process is known to be dead although its number lives on, its name lies, or the machine was started anew."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.process_identity import Life, ProcessIdentity, own_identity

if TYPE_CHECKING:
    from pathlib import Path


def test_this_process_lives_and_its_text_names_it() -> None:
    own = own_identity()
    assert own.pid == os.getpid()
    assert own.life() is Life.ALIVE
    assert ProcessIdentity.parse(str(own)) == own


def test_a_frozen_process_lives_and_a_killed_one_is_dead_even_before_anybody_looks() -> None:
    process = subprocess.Popen(["sleep", "60"])
    identity = ProcessIdentity.of(process.pid)
    process.send_signal(signal.SIGSTOP)
    assert identity.life() is Life.ALIVE
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the process table
    assert identity.life() is Life.DEAD
    process.wait()
    assert identity.life() is Life.DEAD
    with pytest.raises(ProcessLookupError):
        ProcessIdentity.of(process.pid)


def test_a_number_given_to_another_process_is_not_the_old_one() -> None:
    own = own_identity()
    assert replace(own, started_ticks=own.started_ticks - 1).life() is Life.DEAD


def test_what_lived_before_the_machine_was_started_is_dead() -> None:
    assert replace(own_identity(), boot="before").life() is Life.DEAD


def test_what_is_elsewhere_is_neither_alive_nor_dead() -> None:
    for changes in ({"host": "another"}, {"host": "another", "boot": "other"}, {"namespace": "pid:[1]"}):
        assert replace(own_identity(), **changes).life() is Life.ELSEWHERE


def test_a_name_that_looks_like_the_rest_of_the_line_deceives_nobody(tmp_path: Path) -> None:
    odd = tmp_path / "a) Z 1 (b"
    shutil.copy("/bin/sleep", odd)
    with subprocess.Popen([odd, "60"]) as process:
        identity = ProcessIdentity.of(process.pid)
        assert identity.life() is Life.ALIVE
        assert identity.started_ticks >= own_identity().started_ticks
        process.kill()


@pytest.mark.parametrize("text", ["", "12", "a/b/c/d/e", "host/ns/boot/1/"])
def test_a_text_that_names_no_process_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|invalid literal"):
        ProcessIdentity.parse(text)
