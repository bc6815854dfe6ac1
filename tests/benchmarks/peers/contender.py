"""What takes part in a comparison, and what all that do share.

Rule: a contender is started by a context manager and ends with it; what keeps it from starting is an UnavailableError.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from reference_service.protocol.messages import SERVICE
from reference_service.protocol.open_inference_pb2 import ServerMetadataRequest, ServerMetadataResponse
from tests.benchmarks.peers.load import check_answers
from tests.benchmarks.peers.processes import START_LIMIT_S, check_alive

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from tests.benchmarks.peers.load import Credentials
    from tests.benchmarks.peers.processes import Server


@dataclass(frozen=True, slots=True)
class Running:
    """A contender that answers on `address` whoever has `credentials`; `version` is what it says that it is.

    `prove` is told how many calls were answered, and raises WrongAnswerError unless all that is said to be on was.
    """

    address: str
    server: Server
    credentials: Credentials
    version: str
    prove: Callable[[int], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Contender:
    """`group` is whose it is: of several contenders of a peer the better one counts."""

    name: str
    group: str
    start: Callable[[Bench], AbstractContextManager[Running]]


@dataclass(frozen=True, slots=True)
class Bench:
    """What all contenders share: the model file, the golden rows f32[n, K], and folders for what they need."""

    model: Path
    rows: NDArray[np.float32]
    expected: NDArray[np.float32]
    cache: Path
    scratch: Path

    def folder(self, name: str) -> Path:
        """A new folder."""
        made = self.scratch / name
        made.mkdir(parents=True)
        return made

    def check(self, address: str, credentials: Credentials) -> int:
        """The size in bytes of a right answer; raises WrongAnswerError if one is not right."""
        return check_answers(address, credentials, self.rows, self.expected)

    def wait_for_answer(self, server: Server, address: str, credentials: Credentials) -> None:
        """Return once the server answers a call; raises UnavailableError."""
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                self.check(address, credentials)
            except grpc.RpcError:
                check_alive(server, deadline)
                time.sleep(0.1)
            else:
                return

    @staticmethod
    def server_version(address: str, credentials: Credentials) -> str:
        """What the server says its version is."""
        with credentials.channel(address) as channel:
            ask = channel.unary_unary(f"/{SERVICE}/ServerMetadata")
            answer = ask(ServerMetadataRequest().SerializeToString(), timeout=10, metadata=credentials.metadata)
        return ServerMetadataResponse.FromString(answer).version
