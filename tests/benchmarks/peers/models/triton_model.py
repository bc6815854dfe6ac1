"""The flights model for Triton's python backend. Rule: runs in Triton's environment, which has nothing of this tree."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One ONNX Runtime session with the options that our engine has."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model beside this file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name

    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        """An answer for each request, one run of the model for each."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: pb_utils.InferenceRequest) -> pb_utils.InferenceResponse:
        batch = pb_utils.get_input_tensor_by_name(request, self._input).as_numpy()
        (answer,) = self._session.run([self._output], {self._input: batch})
        return pb_utils.InferenceResponse([pb_utils.Tensor(self._output, answer)])
