"""The one load that every server gets, and the one client that says whether its answers are right.

Rule: h2load counts a refused gRPC call as success, because its HTTP status is 200. So the answers are compared with the
golden set before and after, and in between every response must have carried as many bytes as a right answer.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc

from reference_service.protocol.messages import MODEL_INFER, infer_request, output_array
from reference_service.protocol.open_inference_pb2 import ModelInferResponse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

MODEL: Final = "flight-delay"
INPUT, OUTPUT = "features", "late_probability"
CONNECTIONS, STREAMS = 4, 16
WARM_UP_S: Final = 1
CHECKED_ROWS: Final = 25
TOLERANCE: Final = 1e-5
CALL_LIMIT_S: Final = 10.0


class WrongAnswerError(Exception):
    """A server answered something else than the model does; the text says what."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a caller presents: metadata, and with `authority` (a CA file) TLS, with certificate and key files mutual."""

    metadata: tuple[tuple[str, str], ...] = ()
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    preload: Path | None = None

    @property
    def scheme(self) -> str:
        """Of the URL that h2load is given."""
        return "https" if self.authority else "http"

    def h2load_environment(self) -> Mapping[str, str]:
        """What h2load needs beside its options: it has none for a client's certificate (see `certificates`)."""
        if not (self.preload and self.certificate and self.key):
            return {}
        return {
            "LD_PRELOAD": f"{self.preload}",
            "H2LOAD_CERTIFICATE": f"{self.certificate}",
            "H2LOAD_KEY": f"{self.key}",
        }

    def channel(self, address: str) -> grpc.Channel:
        """A client's channel."""
        if self.authority is None:
            return grpc.insecure_channel(address)
        own = [path.read_bytes() if path else None for path in (self.key, self.certificate)]
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(self.authority.read_bytes(), *own))


@dataclass(frozen=True, slots=True)
class Load:
    """What h2load saw: calls answered with a 2xx in `seconds`, and what they took."""

    answered: int
    seconds: float
    mean_ms: float
    data_bytes: int

    @property
    def rps(self) -> float:
        """Calls answered a second."""
        return self.answered / self.seconds


def request_body(row: NDArray[np.float32]) -> bytes:
    """One row as a gRPC message with its length before it."""
    message = infer_request(MODEL, INPUT, row).SerializeToString()
    return b"\0" + len(message).to_bytes(4, "big") + message


def h2load_command(url: str, body: Path, seconds: float, metadata: tuple[tuple[str, str], ...]) -> list[str]:
    """The command line, the same for every server but for its URL and its caller's credential."""
    own = [f"--header={name}: {value}" for name, value in metadata]
    return [
        "h2load",
        f"--clients={CONNECTIONS}",
        f"--max-concurrent-streams={STREAMS}",
        "--threads=1",
        f"--duration={round(seconds * 1000)}ms",
        f"--data={body}",
        "--header=content-type: application/grpc",
        "--header=te: trailers",
        *own,
        url,
    ]


def drive(address: str, credentials: Credentials, body: Path, seconds: float) -> Load:
    """Run h2load; every call must have ended with a 2xx.

    Raises:
        WrongAnswerError: one did not.
    """
    command = h2load_command(f"{credentials.scheme}://{address}{MODEL_INFER}", body, seconds, credentials.metadata)
    environment = {**os.environ, **credentials.h2load_environment()}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds + 60, env=environment)
    return _parse(done.stdout + done.stderr, seconds)


def check_answers(
    address: str, credentials: Credentials, rows: NDArray[np.float32], expected: NDArray[np.float32]
) -> int:
    """Ask for the first rows one by one; the size in bytes of the answer to the first, with its gRPC prefix.

    Raises:
        WrongAnswerError: an answer is not the model's, or none came.
    """
    with credentials.channel(address) as channel:
        call = channel.unary_unary(MODEL_INFER)
        sizes = [
            _check(call(request_body(row)[5:], timeout=CALL_LIMIT_S, metadata=credentials.metadata), want)
            for row, want in zip(rows[:CHECKED_ROWS], expected[:CHECKED_ROWS], strict=True)
        ]
    return sizes[0]


def check_size(load: Load, answer_bytes: int) -> None:
    """Raise WrongAnswerError unless the calls answered carried whole answers; those cut off at the end may add some."""
    least = load.answered * answer_bytes
    if not least <= load.data_bytes <= least + CONNECTIONS * STREAMS * answer_bytes:
        raise WrongAnswerError(f"{load.answered} answers of {answer_bytes} bytes, but {load.data_bytes} bytes came")


def _check(raw: bytes, expected: np.float32) -> int:
    (value,) = output_array(ModelInferResponse.FromString(raw), OUTPUT).ravel()
    if not abs(float(value) - float(expected)) <= TOLERANCE:
        raise WrongAnswerError(f"answered {value}, the model says {expected}")
    return len(raw) + 5


def _parse(text: str, seconds: float) -> Load:
    answered = re.search(r"status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx", text)
    data = re.search(r"\((\d+)\) data", text)
    mean = re.search(r"time for request: +\S+ +\S+ +([\d.]+)(us|ms|s) ", text)
    if not (answered and data and mean and re.search(r" 0 failed, 0 errored, 0 timeout", text)):
        raise WrongAnswerError(f"h2load: {text[-600:]}")
    to_ms = {"us": 1e-3, "ms": 1.0, "s": 1e3}[mean[2]]
    return Load(int(answered[1]), seconds, float(mean[1]) * to_ms, int(data[1]))
