"""Real peers for the tests of the gRPC sender: grpcio servers, threaded here or asyncio in a process of their own.

Rule: every peer listens on loopback and is gone when its block ends, frozen or not.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from harness.fleet.tether import tethered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answer = Callable[[bytes, grpc.ServicerContext], bytes]

AIO_PEER = Path(__file__).with_name("grpc_aio_peer.py")
READY_LIMIT_S = 10.0


class AnyMethod(grpc.GenericRpcHandler):
    """Serves every unary method by `answer`, messages being bytes."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        del handler_call_details
        return grpc.unary_unary_rpc_method_handler(self._answer)


@contextlib.contextmanager
def threaded_server(
    answer: Answer,
    *options: tuple[str, Any],
    credentials: grpc.ServerCredentials | None = None,
    **keywords: Any,
) -> Iterator[str]:
    """A threaded grpcio server in this process; its address."""
    server = grpc.server(ThreadPoolExecutor(4), options=options, **keywords)
    server.add_generic_rpc_handlers((AnyMethod(answer),))
    bound = (
        server.add_insecure_port("127.0.0.1:0")
        if credentials is None
        else server.add_secure_port("127.0.0.1:0", credentials)
    )
    server.start()
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        server.stop(0).wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


class AioPeer:
    """A grpc.aio server in a process of its own (grpc_aio_peer.py); it can be frozen, killed and started again."""

    def __init__(self, *options: tuple[str, Any], port: int = 0) -> None:
        self._options, self.port = options, port
        self.process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, at the same port as before."""
        self.kill()
        command = tethered([sys.executable, str(AIO_PEER), str(self.port), json.dumps(self._options)])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def seen(self) -> list[dict[str, Any]]:
        """Ask it to end, and read what it has seen of each call, in the order of their ends."""
        assert self.process is not None
        self.signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=READY_LIMIT_S)
        return [json.loads(line) for line in output.splitlines()]

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()


@contextlib.contextmanager
def aio_peer(*options: tuple[str, Any], started: bool = True) -> Iterator[AioPeer]:
    """A running asyncio server, or one that is only about to be started, at a port of its own."""
    peer = AioPeer(*options, port=0 if started else free_port())
    if started:
        peer.start()
    try:
        yield peer
    finally:
        peer.kill()


@contextlib.contextmanager
def program(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A program that listens on `port`."""
    with subprocess.Popen(tethered(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            yield process
        finally:
            process.kill()


def wait_for_port(port: int) -> None:
    """Wait until somebody listens on `port`."""
    deadline = time.monotonic() + READY_LIMIT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.01)
    raise AssertionError(f"nothing listens on port {port}")
