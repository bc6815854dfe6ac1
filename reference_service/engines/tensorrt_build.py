"""Builds a TensorRT plan from the bytes of an ONNX model.

Rule: bytes, never a path, so that what was verified is what is parsed. The types in the graph are the precision: since
TensorRT 11 every network is strongly typed and no flag makes it otherwise. Whatever may be null or false is checked.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import tensorrt as trt

from reference_service.engines import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reference_service.engines.cuda import Device

ROWS_MAX: Final = 1024
"""The largest batch that one launch takes; as many as the service takes in one call unless it is told otherwise."""
ROWS_EXPECTED: Final = 8
"""The batch for which TensorRT picks the fastest kernels; all others up to the largest run with the same."""

Object = TypeVar("Object")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A plan, the timings that building it took, and how many of the graph's tensors have which type."""

    plan: bytes
    timings: bytes
    tensor_types: Mapping[str, int]


class Log(trt.ILogger):
    """What TensorRT says. Its last errors explain what the API only answers with None or False.

    TensorRT logs from threads of its own; a deque's append is atomic.
    """

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self._errors: deque[str] = deque(maxlen=3)

    def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
        """Keep errors; the rest is chatter."""
        if severity in {trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR}:
            self._errors.append(msg)

    def failure(self, what: str) -> EngineError:
        """The error that `what` failed, with the reasons heard."""
        return EngineError("; ".join([f"TensorRT: {what} failed", *self._errors]))

    def present(self, result: Object | None, what: str) -> Object:
        """`result`, which is None where `what` failed."""
        if result is None:
            raise self.failure(what)
        return result

    def made(self, make: Callable[[], Object], what: str) -> Object:
        """What `make` makes; the bindings raise TypeError where TensorRT gave them nothing."""
        try:
            return make()
        except TypeError as error:
            raise self.failure(what) from error

    def require(self, held: bool, what: str) -> None:  # noqa: FBT001 - reads as "require (answer), of (call)"
        """Raise unless `what` answered true."""
        if not held:
            raise self.failure(what)


def build_plan(model: bytes, device: Device, timings: bytes, log: Log) -> Built:  # noqa: ARG001 - shows it was probed
    """The plan of `model` for the device of this process. `timings` of an earlier build, or b"", make it quicker.

    Raises:
        EngineError: TensorRT can't parse or build it, or it has not one FP32 input and output [rows, …].
    """
    builder = log.made(lambda: trt.Builder(log), "Builder")
    network = log.present(builder.create_network(), "create_network")
    parser = log.made(lambda: trt.OnnxParser(network, log), "OnnxParser")
    if not parser.parse(model):
        raise log.failure("parsing the model" + _parse_errors(parser))
    config = log.present(builder.create_builder_config(), "create_builder_config")
    # On by default: FP32 would be multiplied with 10 bits of mantissa, which the graph did not ask for.
    config.clear_flag(trt.BuilderFlag.TF32)
    _add_profile(builder, config, _sole_input(network, log), log)
    cache = log.present(config.create_timing_cache(timings), "create_timing_cache")
    # A cache of another device must not decide here, so a mismatch is an error; False says so.
    log.require(config.set_timing_cache(cache, False), "set_timing_cache")
    plan = log.present(builder.build_serialized_network(network, config), "build_serialized_network")
    learned = log.present(config.get_timing_cache(), "get_timing_cache")
    kept = log.present(learned.serialize(), "serialising the timing cache")
    return Built(
        plan=bytes(memoryview(plan)), timings=bytes(memoryview(kept)), tensor_types=_tensor_types(network, log)
    )


def _parse_errors(parser: trt.OnnxParser) -> str:
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    return "".join(f"; {error.desc()} (node {error.node_name()!r})" for error in errors if error is not None)


def _sole_input(network: trt.INetworkDefinition, log: Log) -> trt.ITensor:
    if network.num_inputs != 1 or network.num_outputs != 1:
        raise EngineError(
            f"the model has {network.num_inputs} inputs and {network.num_outputs} outputs; 1 of each fits"
        )
    tensor = log.present(network.get_input(0), "get_input")
    shape = extents(tensor.shape)
    if len(shape) != 2 or shape[0] != -1 or shape[1] < 1:  # noqa: PLR2004 - rows and features
        raise EngineError(f"the model's input {tensor.name!r} is {shape}; only [-1, features] can be batched")
    return tensor


def _add_profile(builder: trt.Builder, config: trt.IBuilderConfig, tensor: trt.ITensor, log: Log) -> None:
    profile = log.present(builder.create_optimization_profile(), "create_optimization_profile")
    least, expected, most = (trt.Dims((rows, tensor.shape[1])) for rows in (1, ROWS_EXPECTED, ROWS_MAX))
    profile.set_shape(tensor.name, least, expected, most)
    log.require(config.add_optimization_profile(profile) == 0, "add_optimization_profile")


def _tensor_types(network: trt.INetworkDefinition, log: Log) -> Mapping[str, int]:
    """How many tensors between layers have which type: what the plan was told to compute in."""
    found: Counter[str] = Counter()
    for index in range(network.num_layers):
        layer = log.present(network.get_layer(index), "get_layer")
        outputs = (log.present(layer.get_output(place), "get_output") for place in range(layer.num_outputs))
        found.update(tensor.dtype.name for tensor in outputs)
    return dict(sorted(found.items()))


def extents(dims: trt.Dims) -> list[int]:
    """A shape of TensorRT as a list; -1 is free."""
    return [dims[index] for index in range(len(dims))]
