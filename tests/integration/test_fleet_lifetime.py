"""A fleet ends whole, whatever ends it, and one that cannot start says why and leaves nothing behind.

Rule: the service is a stand-in, because what is shown is the fleet's doing alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from harness.fleet.client import FleetClient, FleetError
from harness.fleet.commands import SOCKET_VARIABLE, fleet_down, fleet_status, fleet_up
from harness.fleet.lifecycle import start_fleet
from tests.harness.fleet.fleet_support import Load, all_gone, standin_spec, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

GONE_LIMIT_S = 5.0
"""What the harness promises: nothing of it is alive that long after its end."""

NEVER_SERVES = ("{python}", "-c", "import time; time.sleep(60)", "{prediction_log}")

HOLDER = """
import sys
import tempfile
from harness.fleet.lifecycle import start_fleet
from harness.fleet.spec import FleetSpec
fleet = start_fleet(FleetSpec.from_json(sys.argv[1]), lease=True)
print(fleet.client.socket_path, flush=True)
sys.stdin.read()
"""


def pids_of(status: dict[str, Any]) -> list[int]:
    groups = [*status["zones"].values(), *([status["candidate"]] if "candidate" in status else [])]
    return [pid for group in groups for pid in group["pids"]] + [status["edge"]["pid"], status["supervisor"]["pid"]]


def processes_naming(directory: Path) -> list[psutil.Process]:
    """Processes with `directory` in their command line: every one of a fleet whose files are there."""
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if any(str(directory) in word for word in process.info["cmdline"] or [])]


@pytest.fixture
def socket_directory() -> Iterator[Path]:
    directory = Path(f"/tmp/gonogo-test-{os.getpid()}-{time.monotonic_ns()}")  # noqa: S108 - short, and closed by the fleet
    yield directory
    assert not directory.exists(), "the fleet left its sockets behind"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_death_of_the_lease_holder_ends_every_process(tmp_path: Path, end: signal.Signals) -> None:
    command = [sys.executable, "-c", HOLDER, standin_spec(tmp_path, candidate="2").to_json()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        assert holder.stdout is not None
        client = FleetClient(Path(holder.stdout.readline().decode().strip()))
        pids = pids_of(client.status())
        client.freeze("zone-b")
        holder.send_signal(end)
    wait_until(lambda: all_gone(pids), GONE_LIMIT_S, "every process of the fleet is gone, the frozen ones too")
    wait_until(lambda: not client.socket_path.parent.exists(), GONE_LIMIT_S, "the sockets are removed")
    assert processes_naming(tmp_path) == []


def test_the_death_of_the_holder_during_the_start_ends_every_process(tmp_path: Path) -> None:
    spec = standin_spec(tmp_path, service_command=NEVER_SERVES)
    with subprocess.Popen([sys.executable, "-c", HOLDER, spec.to_json()], stdin=subprocess.PIPE) as holder:
        wait_until(lambda: processes_naming(tmp_path / "fleet.json"), 10, "the supervisor runs")
        supervisor = psutil.Process(processes_naming(tmp_path / "fleet.json")[0].pid)
        wait_until(supervisor.children, 10, "the supervisor has spawned processes")
        pids = [supervisor.pid, *(child.pid for child in supervisor.children())]
        holder.kill()
    wait_until(lambda: all_gone(pids), GONE_LIMIT_S, "supervisor and services are gone")


def test_the_death_of_the_supervisor_ends_every_process_and_the_next_fleet_starts(
    tmp_path: Path, socket_directory: Path
) -> None:
    spec = standin_spec(tmp_path, control=socket_directory / "fleet.sock")
    with start_fleet(spec, lease=True) as fleet:
        pids = pids_of(fleet.client.status())
        fleet.client.freeze("zone-a")
        os.kill(fleet.client.status()["supervisor"]["pid"], signal.SIGKILL)
        wait_until(lambda: all_gone(pids), GONE_LIMIT_S, "every process died with the supervisor")
    with start_fleet(spec, lease=True) as fleet:
        assert fleet.client.status()["zones"]["zone-a"]["state"] == "up"


def test_a_lease_taken_later_ends_a_fleet_that_had_none(tmp_path: Path, socket_directory: Path) -> None:
    fleet = start_fleet(standin_spec(tmp_path, control=socket_directory / "fleet.sock"), lease=False)
    try:
        pids = pids_of(fleet.client.status())
        fleet.client.lease().close()
        wait_until(lambda: all_gone(pids), GONE_LIMIT_S, "the broken lease ended the fleet")
    finally:
        fleet.close()


def test_ctrl_c_in_the_terminal_does_not_reach_the_fleet(tmp_path: Path) -> None:
    with start_fleet(standin_spec(tmp_path), lease=True) as fleet:
        sessions = {os.getsid(pid) for pid in pids_of(fleet.client.status())}
        assert os.getsid(0) not in sessions


def test_two_fleets_at_once_do_not_meet(tmp_path: Path) -> None:
    first_spec = standin_spec(tmp_path / "first")
    second_spec = standin_spec(tmp_path / "second", version="7")
    with start_fleet(first_spec, lease=True) as first, start_fleet(second_spec, lease=True) as second:
        first_pids, second_pids = pids_of(first.client.status()), pids_of(second.client.status())
        assert set(first_pids).isdisjoint(second_pids)
        first.client.kill("zone-a")
        with Load(first) as load, Load(second) as other:
            wait_until(lambda: len(load.answers) > 20 and len(other.answers) > 20, 10, "20 answers from each")
        assert {answer.version for answer in load.answers} == {"1"}
        assert {answer.version for answer in other.answers} == {"7"}
        assert second.client.status()["zones"]["zone-a"]["state"] == "up"


def test_a_service_that_cannot_start_is_named_with_its_exit_code_and_the_end_of_its_log(tmp_path: Path) -> None:
    script = "import sys; print('no model {model} version {version}'); sys.exit(3 if '{zone}' == 'zone-b' else 0)"
    spec = standin_spec(tmp_path, zones=("zone-b",), service_command=("{python}", "-c", script))
    with pytest.raises(FleetError, match=r"zone-b-0 ended with exit code 3\n(.|\n)*no model echo version 1"):
        start_fleet(spec, lease=True)
    assert processes_naming(tmp_path) == []


def test_a_service_that_never_serves_is_given_up_at_the_limit(tmp_path: Path) -> None:
    spec = standin_spec(tmp_path, service_command=NEVER_SERVES)
    with pytest.raises(FleetError, match="not ready after 4 s: zone-a is starting and does not answer SERVING"):
        start_fleet(spec, lease=True, ready_limit_s=4)
    assert processes_naming(tmp_path) == []
    assert json.loads((tmp_path / "fleet.json").read_text())["zones"] == ["zone-a", "zone-b", "zone-c"]


def test_a_supervisor_that_cannot_start_says_why(tmp_path: Path) -> None:
    tmp_path.joinpath("routes").write_text("a file where the edge's directory should be")
    with pytest.raises(FleetError, match=r"the fleet could not be started(.|\n)*routes"):
        start_fleet(standin_spec(tmp_path), lease=True)
    assert processes_naming(tmp_path) == []


def test_up_leaves_a_fleet_running_that_status_shows_and_down_ends(
    tmp_path: Path, socket_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SOCKET_VARIABLE, str(socket_directory / "fleet.sock"))
    status = fleet_up(standin_spec(tmp_path))
    pids = pids_of(status)
    try:
        assert fleet_status()["address"] == status["address"]
        with pytest.raises(FleetError, match="already up"):
            fleet_up(standin_spec(tmp_path))
    finally:
        fleet_down()
    wait_until(lambda: all_gone(pids), GONE_LIMIT_S, "every process is gone after down")
    with pytest.raises(FleetError, match="no fleet answers"):
        fleet_status()


def test_logs_and_control_socket_may_share_a_directory_that_does_not_exist_yet() -> None:
    with tempfile.TemporaryDirectory(prefix="gonogo-test-") as short:
        directory = Path(short) / "fleet"
        with start_fleet(standin_spec(directory, control=directory / "fleet.sock"), lease=True) as fleet:
            assert fleet.client.status()["zones"]["zone-a"]["state"] == "up"
        assert not (directory / "fleet.sock").exists()
        assert (directory / "supervisor.log").exists()
