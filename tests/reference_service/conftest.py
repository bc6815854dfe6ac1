"""A tiny model version, a service of it in this process, and a GPU that is none, shared by the tests of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.reference_service.engines.fake_gpu import Gpu, fake_gpu
from tests.reference_service.running import InProcess, in_process
from tests.reference_service.tiny_registry import write_tiny_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_service.registry import ModelVersion


@pytest.fixture
def gpu() -> Iterator[Gpu]:
    with fake_gpu() as made:
        yield made


@pytest.fixture(scope="session")
def tiny_version(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    return write_tiny_version(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="session")
def service(tiny_version: ModelVersion) -> Iterator[InProcess]:
    with in_process(tiny_version) as running:
        yield running


@pytest.fixture(scope="session")
def channel(service: InProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(service.address) as channel:
        yield channel


@pytest.fixture(scope="session")
def stub(channel: grpc.Channel) -> GRPCInferenceServiceStub:
    return GRPCInferenceServiceStub(channel)
