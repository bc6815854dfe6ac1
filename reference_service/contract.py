"""What a request must be for the model served, and what its answer looks like.

Rule: every check names what was expected and what came; the texts are made only when a check fails, so that a good
request pays for comparisons alone. Raw input is answered raw and typed input typed, as the protocol has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reference_service.errors import InvalidRequestError, StartError, shown
from reference_service.protocol.open_inference_pb2 import ModelInferRequest, ModelInferResponse, ModelMetadataResponse
from reference_service.protocol.tensors import decode_contents, decode_raw, encode_contents, encode_raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from reference_service.manifest import Manifest, TensorFact

PLATFORM: Final = "onnxruntime_onnx"
"""The protocol's word for an ONNX model; which engine runs it is not the caller's concern."""
BATCH_ROWS_MAX: Final = 1024
"""A call runs inline in the event loop, so its size bounds how long all others wait: 1,024 rows take about 0.1 ms."""


@dataclass(frozen=True, slots=True)
class Contract:
    """The model served, by name and version, with its one input and one output."""

    model: str
    version: str
    input: TensorFact
    output: TensorFact

    @classmethod
    def of(cls, manifest: Manifest) -> Contract:
        """The contract that a manifest declares.

        Raises:
            StartError: it declares more than one input or output, which this service does not offer.
        """
        if len(manifest.inputs) != 1 or len(manifest.outputs) != 1:
            raise StartError(f"{manifest.name}@{manifest.version} has not exactly one input and one output")
        return cls(manifest.name, manifest.version, manifest.inputs[0], manifest.outputs[0])

    def metadata(self) -> ModelMetadataResponse:
        """What ModelMetadata answers."""
        inputs, outputs = (
            [ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype, shape=spec.shape)]
            for spec in (self.input, self.output)
        )
        return ModelMetadataResponse(
            name=self.model, versions=[self.version], platform=PLATFORM, inputs=inputs, outputs=outputs
        )

    def serves(self, model: str, version: str) -> bool:
        """Whether this is the model that a request names; an empty version means the one served."""
        return model == self.model and version in {"", self.version}

    def read(self, request: ModelInferRequest) -> NDArray[Any]:
        """The batch of a request for this model.

        Raises:
            InvalidRequestError: its tensors are not those of the model.
            TensorError: its values do not fit its shape.
        """
        tensor = self._sole_input(request)
        self._check_outputs(request.outputs)
        self._check_shape(tensor.shape)
        if not request.raw_input_contents:
            return decode_contents(tensor.contents, tensor.datatype, tensor.shape)
        if len(request.raw_input_contents) != 1:
            raise InvalidRequestError(
                f"expected 1 entry in raw_input_contents, one for each input; got {len(request.raw_input_contents)}"
            )
        if tensor.HasField("contents"):
            raise InvalidRequestError(
                f"input {self.input.name!r} has both contents and raw_input_contents; expected one of them"
            )
        return decode_raw(request.raw_input_contents[0], tensor.datatype, tensor.shape)

    def answer(self, request: ModelInferRequest, outputs: NDArray[Any]) -> ModelInferResponse:
        """The response to `request`: raw exactly if the request was."""
        tensor = ModelInferResponse.InferOutputTensor(
            name=self.output.name, datatype=self.output.datatype, shape=outputs.shape
        )
        response = ModelInferResponse(
            model_name=self.model, model_version=self.version, id=request.id, outputs=[tensor]
        )
        if request.raw_input_contents:
            response.raw_output_contents.append(encode_raw(outputs, self.output.datatype))
        else:
            response.outputs[0].contents.CopyFrom(encode_contents(outputs, self.output.datatype))
        return response

    def _sole_input(self, request: ModelInferRequest) -> ModelInferRequest.InferInputTensor:
        if len(request.inputs) != 1:
            raise InvalidRequestError(f"expected 1 input, {described(self.input)}; got {len(request.inputs)}")
        tensor = request.inputs[0]
        if tensor.name != self.input.name:
            raise InvalidRequestError(f"expected input {described(self.input)}; got one named {shown(tensor.name)}")
        if tensor.datatype != self.input.datatype:
            raise InvalidRequestError(f"expected input {described(self.input)}; got datatype {shown(tensor.datatype)}")
        return tensor

    def _check_outputs(self, requested: Sequence[ModelInferRequest.InferRequestedOutputTensor]) -> None:
        for output in requested:
            if output.name != self.output.name:
                raise InvalidRequestError(
                    f"output {shown(output.name)} is not offered; the model has {described(self.output)}"
                )
            if output.parameters:
                # Classification and shared memory change what an answer means: ignoring them would mislead.
                raise InvalidRequestError(f"no parameters of a requested output are offered; {output.name!r} has some")

    def _check_shape(self, shape: Sequence[int]) -> None:
        if len(shape) != len(self.input.shape) or list(shape[1:]) != list(self.input.shape[1:]):
            raise InvalidRequestError(f"expected input {described(self.input)}; got shape {shown(str(list(shape)))}")
        if not 1 <= shape[0] <= BATCH_ROWS_MAX:
            raise InvalidRequestError(f"expected 1 to {BATCH_ROWS_MAX} rows in a batch; got {shape[0]}")


def described(tensor: TensorFact) -> str:
    """A tensor as an error text names it."""
    return f"{tensor.name!r} {tensor.datatype} {list(tensor.shape)}"
