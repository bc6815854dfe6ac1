"""What Prometheus reads is what happened: counted by code, timed by stage, and looked at when it asks."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import grpc
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from reference_service.errors import StartError
from reference_service.protocol.messages import infer_request
from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceStub
from reference_service.telemetry.metrics import Metrics, expose
from tests.reference_service.running import in_own_process, in_process
from tests.reference_service.tiny_registry import MODEL, tiny_rows

if TYPE_CHECKING:
    from pathlib import Path

    from reference_service.registry import ModelVersion


def text_of(metrics: Metrics) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    return generate_latest(registry).decode()


def test_each_inference_is_counted_once_by_its_code_and_the_reason_it_was_refused_for(
    tiny_version: ModelVersion,
) -> None:
    with in_process(tiny_version) as running, grpc.insecure_channel(running.address) as channel:
        stub = GRPCInferenceServiceStub(channel)
        for _ in range(3):
            stub.ModelInfer(infer_request(MODEL, "features", tiny_rows(1)))
        with pytest.raises(grpc.RpcError):
            stub.ModelInfer(infer_request("other", "features", tiny_rows(1)))
    text = text_of(running.servicer.metrics)
    assert 'inference_requests_total{code="0"} 3.0' in text
    assert 'inference_requests_total{code="5"} 1.0' in text
    assert 'inference_refusals_total{reason="unknown_model"} 1.0' in text
    assert 'inference_seconds_count{stage="infer"} 3.0' in text


def test_durations_are_in_the_bucket_of_their_stage_and_cumulative() -> None:
    metrics = Metrics()
    metrics.answered(admit_ns=90_000, read_ns=100_000, infer_ns=49_000_000, answer_ns=10**9)
    text = text_of(metrics)
    for stage, bound, count in (
        ("admit", "0.0001", 1.0),
        ("read", "0.0001", 1.0),  # a bound is the most that its bucket holds
        ("infer", "0.025", 0.0),
        ("infer", "0.05", 1.0),
        ("total", "1.0", 0.0),
        ("total", "+Inf", 1.0),
    ):
        assert f'inference_seconds_bucket{{le="{bound}",stage="{stage}"}} {count}' in text
    assert 'inference_seconds_sum{stage="answer"} 1.0' in text


def test_batches_are_counted_by_why_they_began() -> None:
    metrics = Metrics()
    metrics.dispatched("full", 3, 64, 0.001)
    metrics.dispatched("delay", 1, 2, 0.001)
    text = text_of(metrics)
    assert 'batch_rows_bucket{le="64",reason="full"} 1.0' in text
    assert 'batch_rows_bucket{le="1",reason="delay"} 0.0' in text


def test_a_running_service_shows_its_model_and_what_its_clients_have_used(
    tmp_path: Path, tiny_version: ModelVersion
) -> None:
    config = tmp_path / "service.toml"
    config.write_text('[metrics]\nlisten = "127.0.0.1:0"\n[quota]\nrequests_per_day = 2\n')
    registry = tiny_version.directory.parents[1]
    with in_own_process(registry, MODEL, "--config", str(config)) as process:
        ready = process.await_event("ready")
        with grpc.insecure_channel(ready["address"]) as channel:
            stub = GRPCInferenceServiceStub(channel)
            codes = [stub.ModelInfer.future(infer_request(MODEL, "features", tiny_rows(1))).code() for _ in range(3)]
        with urllib.request.urlopen(f"http://{ready['metrics']}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    assert codes == [grpc.StatusCode.OK, grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED]
    labels = f'digest="{tiny_version.digest}",engine="onnxruntime-cpu",name="tiny",version="1"'
    assert f"model_info{{{labels}}} 1.0" in text
    assert 'quota_used{client="anyone"} 2.0' in text
    assert 'inference_refusals_total{reason="quota"} 1.0' in text
    assert "inferences_in_hand 0.0" in text


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.1:http", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_refused(listen: str) -> None:
    with pytest.raises(StartError, match="expected HOST:PORT"):
        expose(Metrics(), listen)
