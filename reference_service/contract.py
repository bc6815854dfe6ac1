"""What a request must be for the model served, and what its answer looks like.

Rule: every check names what was expected and what came; the texts are made only when a check fails, so that a good
request pays for comparisons alone. Raw input is answered raw and typed input typed, as the protocol has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reference_service.errors import StartError, shown
from reference_service.protocol.open_inference_pb2 import ModelInferRequest, ModelInferResponse, ModelMetadataResponse
from reference_service.protocol.tensors import TensorError, decode_contents, decode_raw, encode_contents, encode_raw
from reference_service.settings import Validation
from reference_service.validation import ValueRule, check_parameters, violating

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from reference_service.manifest import Manifest, TensorFact

PLATFORM: Final = "onnxruntime_onnx"
"""The protocol's word for an ONNX model; which engine runs it is not the caller's concern."""


@dataclass(frozen=True, slots=True)
class Contract:
    """The model served, by name and version, with its one input and one output.

    A batch has at most `rows_max` rows, which bounds how long one call can hold up the others.
    """

    model: str
    version: str
    input: TensorFact
    output: TensorFact
    rows_max: int
    values: ValueRule

    @classmethod
    def of(cls, manifest: Manifest, validation: Validation = Validation()) -> Contract:  # noqa: B008 - frozen
        """The contract that a manifest declares, with the limits that the service was told.

        Raises:
            StartError: it declares more than one input or output, which this service does not offer.
        """
        if len(manifest.inputs) != 1 or len(manifest.outputs) != 1:
            raise StartError(f"{manifest.name}@{manifest.version} has not exactly one input and one output")
        given = manifest.inputs[0]
        rule = ValueRule(given, validation)
        return cls(manifest.name, manifest.version, given, manifest.outputs[0], validation.rows_max, rule)

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
        """The batch of a request for this model, as the engine may have it.

        Raises:
            InvalidRequestError: parameters, tensors or values are not those of the model.
        """
        if request.parameters:
            check_parameters(request.parameters)
        tensor = self._sole_input(request)
        if request.outputs:
            self._check_outputs(request.outputs)
        self._check_shape(tensor.shape)
        return self.values.check(self._decoded(request, tensor))

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

    def _decoded(self, request: ModelInferRequest, tensor: ModelInferRequest.InferInputTensor) -> NDArray[Any]:
        raw = request.raw_input_contents
        field = "raw_input_contents" if raw else "inputs[0].contents"
        if len(raw) > 1:
            raise violating(field, f"expected 1 entry in raw_input_contents, one for each input; got {len(raw)}")
        if raw and tensor.HasField("contents"):
            text = f"input {self.input.name!r} has both contents and raw_input_contents; expected one of them"
            raise violating(field, text)
        try:
            if raw:
                return decode_raw(raw[0], tensor.datatype, tensor.shape)
            return decode_contents(tensor.contents, tensor.datatype, tensor.shape)
        except TensorError as error:
            raise violating(field, str(error)) from error

    def _sole_input(self, request: ModelInferRequest) -> ModelInferRequest.InferInputTensor:
        if len(request.inputs) != 1:
            raise violating("inputs", f"expected 1 input, {described(self.input)}; got {len(request.inputs)}")
        tensor = request.inputs[0]
        if tensor.name != self.input.name:
            text = f"expected input {described(self.input)}; got one named {shown(tensor.name)}"
            raise violating("inputs[0].name", text)
        if tensor.datatype != self.input.datatype:
            text = f"expected input {described(self.input)}; got datatype {shown(tensor.datatype)}"
            raise violating("inputs[0].datatype", text)
        if tensor.parameters:
            # Shared memory is the only use they have in the protocol, and reaches into the server's own memory.
            text = f"no parameters of an input are offered, shared memory neither; {tensor.name!r} has some"
            raise violating("inputs[0].parameters", text)
        return tensor

    def _check_outputs(self, requested: Sequence[ModelInferRequest.InferRequestedOutputTensor]) -> None:
        if len(requested) > 1:
            raise violating("outputs", f"the model has one output, {described(self.output)}; got {len(requested)}")
        output = requested[0]
        if output.name != self.output.name:
            text = f"output {shown(output.name)} is not offered; the model has {described(self.output)}"
            raise violating("outputs[0].name", text)
        if output.parameters:
            # Classification and shared memory change what an answer means: ignoring them would mislead.
            text = f"no parameters of a requested output are offered; {output.name!r} has some"
            raise violating("outputs[0].parameters", text)

    def _check_shape(self, shape: Sequence[int]) -> None:
        if len(shape) != len(self.input.shape) or list(shape[1:]) != list(self.input.shape[1:]):
            text = f"expected input {described(self.input)}; got shape {shown(str(shape[:9]))}"
            raise violating("inputs[0].shape", text)
        if not 1 <= shape[0] <= self.rows_max:
            text = f"expected 1 to {self.rows_max} rows in a batch; got {shape[0]}"
            raise violating("inputs[0].shape[0]", text)


def described(tensor: TensorFact) -> str:
    """A tensor as an error text names it."""
    return f"{tensor.name!r} {tensor.datatype} {list(tensor.shape)}"
