"""The reference service as a contender: bare, and with everything on.

Rule: it is started by its own command line, as a user starts it. That everything is on is proven, not assumed:
strangers and NaN are refused, and metrics, spans and predictions of the load are found where they should be.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Final

import grpc
import numpy as np

from reference_service.auth.keys import new_key
from reference_service.protocol.messages import MODEL_INFER, infer_request
from tests.benchmarks.peers.certificates import preload, write_identities
from tests.benchmarks.peers.contender import Contender, Running
from tests.benchmarks.peers.load import CALL_LIMIT_S, INPUT, MODEL, Credentials, WrongAnswerError
from tests.benchmarks.peers.processes import START_LIMIT_S, check_alive, running, wait_for_listener
from tests.benchmarks.rivals import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.benchmarks.peers.contender import Bench
    from tests.benchmarks.peers.processes import Server

OURS: Final = "ours"
SETTLE_LIMIT_S: Final = 15.0
"""How long telemetry may take to arrive: exporters send every few seconds."""
EVERYTHING: Final = """
engine = "onnxruntime"
[auth]
keys = "keys.json"
[quota]
requests_per_day = 1000000000
[validation]
out_of_range = "reject"
margin = 1.0
[metrics]
listen = "127.0.0.1:{metrics}"
[traces]
endpoint = "http://127.0.0.1:{sink}"
ratio = 0.1
[predictions]
directory = "predictions"
ratio = 1.0
"""
TLS: Final = """
[tls]
certificate = "server.pem"
key = "file:{folder}/server.key"
"""
MUTUAL: Final = """
client_ca = "ca.pem"
[auth.mtls.clients]
billing = ["infer"]
"""
"""The client of the comparison is not `billing`: its certificate lets it connect, and its key says who it is."""


def bare() -> Contender:
    """No authentication, no TLS, no telemetry."""
    return Contender("ours, bare", OURS, _bare)


def everything(transport: str = "") -> Contender:
    """API key, quota, limits, validation, metrics, traces of a tenth, every prediction; `transport` is TLS or mTLS."""
    name = f"ours, everything on{transport and f', {transport}'}"
    return Contender(name, OURS, lambda bench: _everything(bench, transport))


@contextlib.contextmanager
def _bare(bench: Bench) -> Iterator[Running]:
    with running(_serve(bench), bench.folder("bare") / "log") as server:
        address = _ready_address(server)
        yield Running(address, server, Credentials(), f"gonogo {bench.server_version(address, Credentials())}")


@contextlib.contextmanager
def _everything(bench: Bench, transport: str) -> Iterator[Running]:
    folder = bench.folder(f"everything-{transport}")
    sink, metrics = free_port(), free_port()
    credentials = _configure(folder, transport, sink=sink, metrics=metrics)
    collect = [sys.executable, "-m", "tests.benchmarks.peers.sink", f"{sink}", f"{folder / 'spans'}"]
    with running(collect, folder / "sink.log") as collector:
        wait_for_listener(collector, sink)
        with running(_serve(bench, "--config", f"{folder / 'service.toml'}"), folder / "log") as server:
            address = _ready_address(server)

            def prove(answered: int) -> None:
                _prove_guarded(address, credentials, bench)
                _prove_told(folder, metrics, answered)

            version = bench.server_version(address, credentials)
            yield Running(address, server, credentials, f"gonogo {version}", prove)


def _configure(folder: Path, transport: str, *, sink: int, metrics: int) -> Credentials:
    """Write `service.toml` and what it names; what a caller must then present."""
    key, entry = new_key("bench", ("infer",), dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
    (folder / "keys.json").write_text(json.dumps({"keys": [entry]}))
    (folder / "predictions").mkdir()
    settings = EVERYTHING.format(sink=sink, metrics=metrics)
    if transport:
        write_identities(folder)
        settings += TLS.format(folder=folder) + (MUTUAL if transport == "mTLS" else "")
    (folder / "service.toml").write_text(settings)
    metadata = (("x-api-key", key),)
    if not transport:
        return Credentials(metadata)
    if transport == "TLS":
        return Credentials(metadata, folder / "ca.pem")
    return Credentials(metadata, folder / "ca.pem", folder / "client.pem", folder / "client.key", preload(folder))


def _serve(bench: Bench, *more: str) -> list[str]:
    registry = bench.model.parents[2]
    return [
        sys.executable, "-m", "reference_service.cli", "serve", "--registry", f"{registry}", "--model", MODEL,
        "--version", bench.model.parent.name, "--listen", "127.0.0.1:0", *more,
    ]  # fmt: skip


def _ready_address(server: Server) -> str:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        for line in server.log.read_text().splitlines():
            if '"event": "ready"' in line:
                return str(json.loads(line)["address"])
        check_alive(server, deadline)
        time.sleep(0.05)


def _prove_guarded(address: str, credentials: Credentials, bench: Bench) -> None:
    stranger = Credentials((), credentials.authority, credentials.certificate, credentials.key)
    _expect(address, stranger, bench.rows[0], grpc.StatusCode.UNAUTHENTICATED)
    _expect(address, credentials, np.full_like(bench.rows[0], np.nan), grpc.StatusCode.INVALID_ARGUMENT)


def _expect(address: str, credentials: Credentials, row: np.ndarray, want: grpc.StatusCode) -> None:
    message = infer_request(MODEL, INPUT, row).SerializeToString()
    code = grpc.StatusCode.OK
    with credentials.channel(address) as channel:
        try:
            channel.unary_unary(MODEL_INFER)(message, timeout=CALL_LIMIT_S, metadata=credentials.metadata)
        except grpc.RpcError as error:
            code = error.code()
    if code is not want:
        raise WrongAnswerError(f"not everything is on: expected {want.name}, got {code.name}")


def _prove_told(folder: Path, metrics: int, answered: int) -> None:
    """Wait until metrics, spans and predictions account for the calls; raises WrongAnswerError."""
    found: dict[str, bool] = {}
    deadline = time.monotonic() + SETTLE_LIMIT_S
    while time.monotonic() < deadline:
        found = {
            "metrics": _counted(metrics) >= answered,
            "spans": int((folder / "spans").read_text() or 0) >= answered // 20,  # a tenth, of which some may be late
            "predictions": any(path.stat().st_size for path in (folder / "predictions").rglob("*.parquet")),
        }
        if all(found.values()):
            return
        time.sleep(0.2)
    missing = ", ".join(name for name, there in found.items() if not there)
    raise WrongAnswerError(f"not everything is on: {missing} of {answered} calls did not arrive")


def _counted(port: int) -> float:
    """The sum of every counter of requests on the page of metrics; 0 where there is no page."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            page = answer.read().decode()
    except OSError:
        return 0.0
    return sum(float(value) for value in re.findall(r"^\w*requests_total(?:\{.*\})? ([\d.e+]+)$", page, re.MULTILINE))
