"""The shipped, signed versions change places in one running server under load, and nobody loses an answer."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Self

import grpc
import numpy as np
import pytest

from reference_service.auth.keys import new_key
from reference_service.protocol import headers
from reference_service.protocol import open_inference_pb2 as pb
from reference_service.protocol.messages import infer_request, output_array
from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceStub
from reference_service.registry import load_golden, load_version
from reference_service.trust import RELEASE_TRUST, open_trust
from tests.reference_service.certificates import signed
from tests.reference_service.running import LIMIT_S, ROOT, in_own_process, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODELS, MODEL = ROOT / "reference_service" / "models", "flight-delay"
TRUST = open_trust(RELEASE_TRUST, None, clock=lambda: datetime(2027, 1, 1, tzinfo=UTC))
GOLDEN = {version: load_golden(load_version(MODELS, MODEL, version, TRUST)) for version in ("1", "2")}
RATE_RPS = 200
ANSWERS = 150
CONFIG = """
[tls]
certificate = "server.pem"
key = "file:server.key"
[auth]
keys = "keys.json"
[registry]
state = "state/served.json"
"""


@dataclass
class Server:
    """The real command, and what its clients need to call it."""

    address: str
    folder: Path
    infer_key: str
    log: list[dict[str, Any]]

    def stub(self) -> GRPCInferenceServiceStub:
        authority = grpc.ssl_channel_credentials((self.folder / "ca.pem").read_bytes())
        return GRPCInferenceServiceStub(grpc.secure_channel(self.address, authority))

    @property
    def bearer(self) -> tuple[tuple[str, str]]:
        return (("authorization", f"Bearer {self.infer_key}"),)

    def models(self, *arguments: str, key: str = "admin.key") -> subprocess.CompletedProcess[str]:
        """Run `reference-service models` against the server."""
        command = [sys.executable, "-m", "reference_service.cli", "models", *arguments]
        command += ["--address", self.address, "--ca", str(self.folder / "ca.pem")]
        command += ["--key-reference", f"file:{self.folder / key}"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    authority = signed("authority")
    signed("server", authority).write(tmp_path)
    (tmp_path / "ca.pem").write_bytes(authority.chain_pem)
    expires = datetime.now(UTC) + timedelta(days=1)
    made = {scope: new_key(scope, (scope,), expires) for scope in ("infer", "admin")}
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [entry for _, entry in made.values()]}))
    for scope, (key, _) in made.items():
        (tmp_path / f"{scope}.key").write_text(key)
    (tmp_path / "service.toml").write_text(CONFIG)
    options = ("--config", str(tmp_path / "service.toml"), "--drain-notice", "0")
    with in_own_process(MODELS, MODEL, *options, unsigned=False) as process:
        address = process.await_event("ready")["address"]
        yield Server(address, tmp_path, made["infer"][0], process.events)


@dataclass
class Load:
    """A row of the golden set every 1/200 s, at its own time whatever the answers do; `calls` are (row, sent, call)."""

    server: Server
    calls: list[tuple[int, float, Any]] = field(default_factory=list)
    answered: dict[str, int] = field(default_factory=lambda: {"1": 0, "2": 0})

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(LIMIT_S)

    def more_of(self, version: str) -> None:
        """Wait for another hundred and fifty answers by `version`."""
        wanted = self.answered[version] + ANSWERS
        wait_for(lambda: self.answered[version] >= wanted)

    def _send(self) -> None:
        stub, begun = self.server.stub(), time.monotonic()
        for number in count():
            if self._stop.wait(max(0, begun + number / RATE_RPS - time.monotonic())):
                return
            row = number % 256
            request = infer_request(MODEL, "features", GOLDEN["1"].inputs[row])
            call = stub.ModelInfer.future(request, timeout=5, metadata=self.server.bearer)
            self.calls.append((row, time.monotonic(), call))
            call.add_done_callback(self._count)

    def _count(self, call: Any) -> None:
        if call.code() is grpc.StatusCode.OK:
            self.answered[call.result().model_version] += 1


def test_promote_and_roll_back_under_load_lose_nothing_and_every_answer_is_of_the_version_it_names(
    server: Server,
) -> None:
    switched: list[tuple[float, float, str]] = []

    def switch(version: str, *command: str) -> None:
        before = time.monotonic()
        done = server.models(*command, "--model", MODEL)
        assert done.returncode == 0, done.stderr
        switched.append((before, time.monotonic(), version))

    with Load(server) as load:
        load.more_of("1")
        switch("2", "promote", "2")
        load.more_of("2")
        switch("1", "rollback")
        load.more_of("1")
    assert [call.code() for _, _, call in load.calls if call.code() is not grpc.StatusCode.OK] == []
    (_, promoted, _), (rolling, rolled, _) = switched
    for row, _, call in load.calls:
        answer = call.result()
        assert dict(call.trailing_metadata())[headers.MODEL_VERSION] == answer.model_version
        expected = GOLDEN[answer.model_version].expected[row]
        assert output_array(answer, "late_probability").ravel() == pytest.approx([expected], abs=1e-5)
    for after, until, version in ((promoted, rolling, "2"), (rolled, float("inf"), "1")):
        there = {call.result().model_version for _, sent, call in load.calls if after < sent < until}
        assert there == {version}  # from the moment that the command says so
    apart = np.abs(GOLDEN["1"].expected[:256] - GOLDEN["2"].expected[:256])
    assert np.median(apart) > 1e-3  # so that an answer can be told to be of one version and not the other
    assert (server.folder / "state" / "served.json").exists()


def test_who_may_only_infer_can_change_nothing_and_a_second_rollback_is_refused(server: Server) -> None:
    refused = server.models("promote", "2", "--model", MODEL, key="infer.key")
    assert (refused.returncode, refused.stderr.startswith("Error: PERMISSION_DENIED")) == (2, True)
    assert "'admin'" in refused.stderr
    assert server.models("list").stdout.splitlines() == [
        "flight-delay@1  READY  current",
        "flight-delay@2  UNAVAILABLE  not loaded",
    ]
    assert server.models("load", "2", "--model", MODEL).returncode == 0
    named = infer_request(MODEL, "features", GOLDEN["1"].inputs[0], version="2")
    assert server.stub().ModelInfer(named, timeout=5, metadata=server.bearer).model_version == "2"
    back = server.models("rollback", "--model", MODEL)
    assert back.returncode == 2
    assert back.stderr.strip() == (
        "Error: FAILED_PRECONDITION: there is no promotion to undo: version '1' of 'flight-delay' is current"
    )
    statistics = server.stub().ModelStatistics(pb.ModelStatisticsRequest(), timeout=5, metadata=server.bearer)
    assert [(item.version, item.inference_count) for item in statistics.model_stats] == [("1", 0), ("2", 1)]
    assert server.models("unload", "2", "--model", MODEL).stdout == "unloaded flight-delay@2\n"
