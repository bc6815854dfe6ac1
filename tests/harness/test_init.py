"""`gonogo init` writes a Plan for what a service says of itself, and asks where that is not enough."""

from __future__ import annotations

import contextlib
import json
import tomllib
from concurrent import futures
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from harness.cli import run_cli
from harness.plan import load_plan
from harness.requests import make_requests
from reference_service.protocol import open_inference_pb2 as oip
from tests.harness.load.certificates import Authority
from tests.integration.weather_service import METHOD, Weather, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "s3cret-value"  # noqa: S105 - of no service


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEST_TOKEN", SECRET)


@contextlib.contextmanager
def _open_inference(*models: str, listing: bool = True) -> Iterator[str]:
    """A server of the protocol's calls that `init` makes."""

    def metadata(request: oip.ModelMetadataRequest, context: grpc.ServicerContext) -> oip.ModelMetadataResponse:
        if request.name not in models:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.name}")
        answer = oip.ModelMetadataResponse(name=request.name)
        answer.inputs.add(name="features", datatype="FP32", shape=[-1, 3])
        return answer

    index = b"".join(bytes([10, len(name) + 2, 10, len(name)]) + name.encode() for name in models)
    calls: dict[str, Any] = {
        "ServerLive": (lambda _request, _context: b"\x08\x01", None, None),
        "ModelMetadata": (metadata, oip.ModelMetadataRequest.FromString, oip.ModelMetadataResponse.SerializeToString),
    }
    if listing:
        calls["RepositoryIndex"] = (lambda _request, _context: index, None, None)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    handlers = {name: grpc.unary_unary_rpc_method_handler(*parts) for name, parts in calls.items()}
    service = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers)
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait(5)


def _target() -> dict[str, Any]:
    written: dict[str, Any] = tomllib.loads(Path("readiness.toml").read_text())["target"]
    return written


def test_the_only_method_that_reflection_lists_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Weather()) as address:
        assert run_cli(["init", "--target", address]) == 0
        said = capsys.readouterr().out
        assert "gonogo check readiness.toml" in said
        assert "gonogo run readiness.toml" in said
        assert run_cli(["check"]) == 0
        assert len(make_requests(load_plan(Path("readiness.toml")), address).messages) == 1
    assert _target() == {
        "provider": "attached",
        "address": address,
        "protocol": "grpc",
        "method": METHOD,
        "requests": "requests.jsonl",
    }
    assert json.loads(Path("requests.jsonl").read_text())["days"] == [0]


def test_several_methods_are_listed_to_choose_from(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Weather(more=("Rain", "Snow"))) as address:
        assert run_cli(["init", "--target", address]) == 2
        said = capsys.readouterr().err
        assert [line.strip() for line in said.splitlines() if "--method" in line] == [
            f"--method /weather.v1.Weather/{name}" for name in ("Forecast", "Rain", "Snow")
        ]
        assert not list(Path().iterdir())
        assert run_cli(["init", "--target", address, "--method", "/weather.v1.Weather/Rain"]) == 0
    assert _target()["method"] == "/weather.v1.Weather/Rain"


def test_the_only_model_of_the_open_inference_protocol_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with _open_inference("late") as address:
        assert run_cli(["init", "--target", address, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["requests"] is None
        assert run_cli(["check"]) == 0
        assert "zeros" in make_requests(load_plan(Path("readiness.toml")), address).origin
    assert _target() == {"provider": "attached", "address": address, "model": "late"}
    assert "features: FP32 [-1, 3]" in Path("readiness.toml").read_text()


def test_several_models_are_listed_and_one_that_is_not_listed_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with _open_inference("early", "late") as address:
        assert run_cli(["init", "--target", address]) == 2
        assert "--model early\n  --model late" in capsys.readouterr().err
        assert run_cli(["init", "--target", address, "--model", "late"]) == 0
        assert run_cli(["init", "--target", address, "--model", "lte", "--force"]) == 2
        assert "no metadata of model 'lte' (NOT_FOUND: no model lte)" in capsys.readouterr().err
    with _open_inference("late", listing=False) as address:
        assert run_cli(["init", "--target", address, "--force"]) == 2
        assert "--model NAME" in capsys.readouterr().err


def test_an_http_service_wants_its_method_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr("harness.discovery.REACH_LIMIT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert run_cli(["init", "--target", address]) == 2
        assert '--method "POST /predict"' in capsys.readouterr().err
        assert run_cli(["init", "--target", address, "--method", "POST /predict"]) == 0
        assert run_cli(["check"]) == 0
        assert (_target()["protocol"], _target()["method"]) == ("http", "POST /predict")
        assert run_cli(["init", "--target", address, "--method", "GET /ready", "--force"]) == 0
        assert "requests" not in _target()


def test_a_service_without_a_word_of_itself_is_written_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Weather(), reflecting=()) as address:
        assert run_cli(["init", "--target", address]) == 2
    assert "target.descriptors" in capsys.readouterr().err


def test_tls_and_metadata_are_used_and_written_as_seen_from_the_plan(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    mine, server = authority.sign("client"), authority.sign("server", "weather.example")
    pair = (server.key.read_bytes(), server.certificate.read_bytes())
    credentials = grpc.ssl_server_credentials([pair], authority.certificate.read_bytes(), require_client_auth=True)
    (tmp_path / "plans").mkdir()
    (tmp_path / "token").write_text(SECRET)
    with serving(Weather(), credentials=credentials) as address:
        call = ["init", "--target", address, "--output", "plans/readiness.toml", "--ca", authority.certificate.name]
        call += ["--certificate", mine.certificate.name, "--key", mine.key.name, "--server-name", "weather.example"]
        call += ["--metadata", "authorization=Bearer env:TEST_TOKEN", "--metadata", "x-key=file:token"]
        assert run_cli(call) == 0
        loaded = load_plan(Path("plans/readiness.toml"))
        assert make_requests(loaded, address).messages  # found by the Plan's own paths
    assert dict(loaded.plan.target.metadata) == {"authorization": "Bearer env:TEST_TOKEN", "x-key": "file:../token"}
    assert SECRET not in Path("plans/readiness.toml").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--method", "Forecast"], '--method is "/package.Service/Method", or "POST /path" for HTTP'),
        (["--metadata", "X-Key=env:TEST_TOKEN"], "metadata.X-Key: a name may hold"),
        (["--metadata", "x-key=env:NOT_SET"], "secret env:NOT_SET: the environment has no variable"),
        (["--certificate", "c.pem"], "certificate and key belong together"),
        (["--output", "nowhere/readiness.toml"], "nowhere: there is no such folder"),
        (["--target", "localhost"], 'an address is "host:port"'),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert run_cli(["init", "--target", "127.0.0.1:1", *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", ["readiness.toml", "requests.jsonl"])
def test_nothing_is_overwritten_unasked(capsys: pytest.CaptureFixture[str], name: str) -> None:
    Path(name).write_text("mine")
    with serving(Weather()) as address:
        assert run_cli(["init", "--target", address]) == 2
        assert f"{name} exists already; --force" in capsys.readouterr().err
        assert {path.name: path.read_text() for path in Path().iterdir()} == {name: "mine"}
        assert run_cli(["init", "--target", address, "--force"]) == 0
    assert Path(name).read_text() != "mine"
