"""An edge that is left alone after a restart is the new one, or the restart has shown nothing."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from chaoslib.exceptions import ActivityFailed

from experiments import faults
from experiments.actions.edge import settle_edge
from experiments.probes import edge_process
from harness.fault_journal import FAULTS_VARIABLE
from harness.fleet.commands import SOCKET_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

RESTART, EDGE = "edge_restart", "edge"


@pytest.fixture(autouse=True)
def restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart that was asked for just now, of a fleet that is not there."""
    monkeypatch.setenv(FAULTS_VARIABLE, str(tmp_path / "faults"))
    monkeypatch.setenv(SOCKET_VARIABLE, str(tmp_path / "fleet.sock"))
    faults.request(RESTART, EDGE, undo=settle_edge)


def test_a_former_edge_that_is_left_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_process, "_one_edge", lambda _: [1])  # runs since this machine does
    with pytest.raises(ActivityFailed, match="the former one"):
        edge_process.edge_has_changed(RESTART)
    assert faults.is_open(RESTART, EDGE)


def test_an_edge_begun_since_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["/bin/sleep", "30"]) as process:
        monkeypatch.setattr(edge_process, "_one_edge", lambda _: [process.pid])
        found = edge_process.edge_has_changed(RESTART)
        process.kill()
    assert found["pids"] == [process.pid]
    assert not faults.is_open(RESTART, EDGE)


def test_an_undo_is_content_with_any_edge_that_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_process, "_one_edge", lambda _: [1])
    assert settle_edge() == {"was_open": True}
    assert not faults.is_open(RESTART, EDGE)
