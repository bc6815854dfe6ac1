"""The real command in a process of its own: it starts, says so, refuses what it cannot do, and leaves without loss."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from reference_service.protocol.messages import infer_request, output_array
from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.reference_service.running import LIMIT_S, ROOT, in_own_process, recorded, serve_command, wait_for
from tests.reference_service.tiny_registry import MODEL, tiny_answers, tiny_rows, write_tiny_version

if TYPE_CHECKING:
    from pathlib import Path

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
ROWS = tiny_rows(1)


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    write_tiny_version(tmp_path / "registry")
    return tmp_path / "registry"


class Edge:
    """Calls without pause on several threads, and stops, as an edge does, once health says NOT_SERVING."""

    def __init__(self, address: str) -> None:
        self.answered = 0
        self.errors: list[grpc.RpcError] = []
        self.saw_not_serving_at = 0.0
        self._leave = threading.Event()
        self._channel = grpc.insecure_channel(address)
        self._threads = [threading.Thread(target=self._call_on) for _ in range(4)]
        self._threads.append(threading.Thread(target=self._check_health))
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(LIMIT_S)
        self._channel.close()

    def _call_on(self) -> None:
        stub = GRPCInferenceServiceStub(self._channel)
        request = infer_request(MODEL, "features", ROWS)
        while not self._leave.is_set():
            try:
                stub.ModelInfer(request, timeout=5)
                self.answered += 1
            except grpc.RpcError as error:
                self.errors.append(error)

    def _check_health(self) -> None:
        stub = health_pb2_grpc.HealthStub(self._channel)
        while stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status != NOT_SERVING:
            time.sleep(0.1)
        self.saw_not_serving_at = time.monotonic()
        self._leave.set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_loses_no_call_and_exits_0_after_health_says_so(
    registry: Path, tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "predictions"
    with in_own_process(registry, MODEL, "--prediction-log", str(log)) as process:
        edge = Edge(process.await_event("ready")["address"])
        wait_for(lambda: edge.answered > 50)
        process.popen.send_signal(number)
        edge.join()
        assert process.popen.wait(LIMIT_S) == 0
        assert process.await_event("drained")["cut_off"] == 0
        process.await_event("stopped")
        assert 0 < edge.saw_not_serving_at < time.monotonic()
    assert edge.errors == []
    assert len(recorded(log)) == edge.answered
    assert [event["event"] for event in process.events] == ["engine", "ready", "draining", "drained", "stopped"]


def test_ready_names_what_is_served_and_the_first_call_is_answered(registry: Path) -> None:
    with in_own_process(registry, MODEL) as process:
        ready = process.await_event("ready")
        assert (ready["model"], ready["model_version"], ready["engine"]) == (MODEL, "1", "onnxruntime-cpu")
        assert (ready["zone"], ready["pid"]) == ("zone-t", process.popen.pid)
        with grpc.insecure_channel(ready["address"]) as channel:
            answer = GRPCInferenceServiceStub(channel).ModelInfer(infer_request(MODEL, "features", ROWS))
        np.testing.assert_allclose(output_array(answer, "p"), tiny_answers(ROWS), rtol=1e-6)


def test_predictions_outlive_a_sigkill_but_for_the_last_moments(registry: Path, tmp_path: Path) -> None:
    log = tmp_path / "predictions"
    with in_own_process(registry, MODEL, "--prediction-log", str(log)) as process:
        with grpc.insecure_channel(process.await_event("ready")["address"]) as channel:
            call = infer_request(MODEL, "features", ROWS)
            GRPCInferenceServiceStub(channel).ModelInfer(call, metadata=[("x-request-id", "00000000000000aa")])
        wait_for(lambda: recorded(log), limit_s=2)
        process.popen.kill()
    assert [prediction["request_id"] for prediction in recorded(log)] == ["00000000000000aa"]


def test_a_bound_socket_that_does_not_listen_holds_the_port_for_the_service(registry: Path) -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        with in_own_process(registry, MODEL, "--listen", address) as process:
            assert process.await_event("ready")["address"] == address
            with grpc.insecure_channel(address) as channel:
                assert GRPCInferenceServiceStub(channel).ModelInfer(infer_request(MODEL, "features", ROWS)).outputs


def refusal(command: list[str]) -> str:
    """The one line with which the command refuses to start."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


def test_a_missing_registry_version_or_log_folder_is_refused_by_name(registry: Path, tmp_path: Path) -> None:
    assert "nowhere" in refusal(serve_command(tmp_path / "nowhere", MODEL))
    assert "/9/" in refusal(serve_command(registry, MODEL, version="9"))
    (tmp_path / "file").touch()
    log = str(tmp_path / "file" / "log")
    assert log in refusal(serve_command(registry, MODEL, "--prediction-log", log))


def test_a_tampered_model_is_refused(registry: Path) -> None:
    model = registry / MODEL / "1" / "model.onnx"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    assert "is not the file its manifest names" in refusal(serve_command(registry, MODEL))


def test_a_port_in_use_and_an_address_of_nobody_are_refused(registry: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert address in refusal(serve_command(registry, MODEL, "--listen", address))
    assert "no-port" in refusal(serve_command(registry, MODEL, "--listen", "no-port"))
