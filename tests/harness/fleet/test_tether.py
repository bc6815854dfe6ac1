"""A tethered process dies with its starter, and becomes exactly the command that it was given."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from harness.fleet.tether import CANNOT_EXECUTE, main, tethered
from tests.harness.fleet.fleet_support import is_gone, wait_until

if TYPE_CHECKING:
    import pytest

STARTER = """
import subprocess, sys
from harness.fleet.tether import tethered
child = subprocess.Popen(tethered(["sleep", "60"]), start_new_session=True)
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_the_process_dies_when_its_starter_is_killed() -> None:
    command = [sys.executable, "-c", STARTER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        child = int(starter.stdout.readline())
        assert not is_gone(child)
        starter.kill()
    wait_until(lambda: is_gone(child), 5, "the tethered process is gone")


def test_the_command_gets_its_arguments_and_returns_its_status() -> None:
    script = "import sys; print(sys.argv[1:]); sys.exit(7)"
    command = tethered([sys.executable, "-c", script, "two words", ""])
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.returncode) == ("['two words', '']\n", 7)


def test_a_command_that_cannot_start_says_so() -> None:
    done = subprocess.run(tethered(["/no/such/program"]), check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == CANNOT_EXECUTE
    assert done.stderr.startswith("cannot start /no/such/program: ")


def test_a_process_whose_starter_is_already_gone_never_becomes_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    became: list[object] = []
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: type("Libc", (), {"prctl": lambda *_: 0}))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("os.execvp", lambda *arguments: became.append(arguments))
    assert main(["1000000000", "sleep", "60"]) == 128 + 9
    assert became == []
