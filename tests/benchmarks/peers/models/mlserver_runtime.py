"""The flights model as an MLServer runtime. Rule: runs in MLServer's environment, which has nothing of this tree."""

from __future__ import annotations

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    """One ONNX Runtime session with the options that our engine has."""

    async def load(self) -> bool:
        """Load the model that the settings name."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = self.settings.parameters.uri
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The model's output for the one input."""
        batch = NumpyCodec.decode_input(payload.inputs[0])
        (answer,) = self._session.run([self._output], {self._input: batch})
        outputs = [NumpyCodec.encode_output(self._output, answer)]
        return InferenceResponse(model_name=self.name, model_version=self.version, id=payload.id, outputs=outputs)
