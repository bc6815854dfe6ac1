"""The Python beside the protocol file is what the file gives, and its extensions have Triton's numbers on the wire."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from reference_service.protocol import open_inference_pb2 as pb
from tests.reference_service.running import LIMIT_S, ROOT

if TYPE_CHECKING:
    from pathlib import Path

PROTO = "reference_service/protocol/open_inference.proto"
TRITON: dict[Any, str] = {
    pb.ModelStatistics: "name=1 version=2 last_inference=3 inference_count=4 execution_count=5 inference_stats=6 "
    "batch_stats=7",
    pb.InferStatistics: "success=1 fail=2 queue=3 compute_input=4 compute_infer=5 compute_output=6",
    pb.InferBatchStatistics: "batch_size=1 compute_input=2 compute_infer=3 compute_output=4",
    pb.StatisticDuration: "count=1 ns=2",
    pb.ModelConfig: "name=1 platform=2 max_batch_size=4 input=5 output=6 instance_group=7 default_model_filename=8 "
    "dynamic_batching=11 parameters=14 backend=17",
    pb.ModelInput: "name=1 data_type=2 dims=4",
    pb.ModelOutput: "name=1 data_type=2 dims=3",
    pb.ModelInstanceGroup: "name=1 count=2 kind=4",
    pb.ModelDynamicBatching: "preferred_batch_size=1 max_queue_delay_microseconds=2",
    pb.ModelRepositoryParameter: "bool_param=1 int64_param=2 string_param=3 bytes_param=4",
    pb.RepositoryIndexRequest: "repository_name=1 ready=2",
    pb.RepositoryIndexResponse.ModelIndex: "name=1 version=2 state=3 reason=4",
    pb.RepositoryModelLoadRequest: "repository_name=1 model_name=2 parameters=3",
    pb.RepositoryModelUnloadRequest: "repository_name=1 model_name=2 parameters=3",
}
"""As read from the descriptors of tritonclient 2.73."""


def test_the_stubs_are_those_of_the_protocol_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", "."]
    command += [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([*command, PROTO], cwd=ROOT, check=True, timeout=LIMIT_S)
    for name in ("open_inference_pb2.py", "open_inference_pb2.pyi", "open_inference_pb2_grpc.py"):
        path = f"reference_service/protocol/{name}"
        assert (tmp_path / path).read_text() == (ROOT / path).read_text(), "generate it anew, as the file says"


@pytest.mark.parametrize("message", TRITON, ids=lambda message: message.DESCRIPTOR.full_name)
def test_the_extensions_have_tritons_field_numbers(message: Any) -> None:
    assert " ".join(f"{field.name}={field.number}" for field in message.DESCRIPTOR.fields) == TRITON[message]


def test_datatypes_have_tritons_numbers() -> None:
    assert (pb.TYPE_BOOL, pb.TYPE_INT64, pb.TYPE_FP32, pb.TYPE_STRING, pb.TYPE_BF16) == (1, 9, 11, 13, 14)
