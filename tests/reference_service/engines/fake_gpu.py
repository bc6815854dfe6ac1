"""A GPU that is none: what the CUDA runtime and TensorRT do, as far as the engine relies on it, in ordinary memory.

Rule: strict where the real thing would crash or answer wrongly. Copies must lie within memory that was taken and not
given back, and on the host's side be pinned; nothing of TensorRT is made before a device was counted; a context runs
before it is captured; a graph does what was captured, with the addresses of that time. A plan is the ONNX model behind
a mark, and ONNX Runtime computes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime

from reference_service import engines
from tests.reference_service.engines.fake_bindings import Calls, fake_module
from tests.reference_service.engines.real_bindings import ROOT, STUBS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MARK = b"a plan of the fake: "
TYPES = {onnx.TensorProto.FLOAT: "FLOAT", onnx.TensorProto.FLOAT16: "HALF", onnx.TensorProto.INT64: "INT64"}


BOUND = [f"reference_service.engines.{name}" for name in ("cuda", "tensorrt", "tensorrt_build")]


@contextlib.contextmanager
def fake_gpu() -> Iterator[Gpu]:
    """A machine with a fake GPU. The engine's modules are imported anew in the block and after it."""
    gpu, before = Gpu(), dict(sys.modules)
    sys.modules.update(gpu.install())
    _forget()
    try:
        yield gpu
    finally:
        _forget()
        for name in gpu.modules:
            sys.modules.pop(name)
        sys.modules.update({name: before[name] for name in gpu.modules if name in before})


def _forget() -> None:
    """Let the next import of what binds the bindings bind those that are there then."""
    for name in BOUND:
        sys.modules.pop(name, None)
        vars(engines).pop(name.rpartition(".")[2], None)


@dataclass(eq=False)
class Handle:
    """A stream, a graph or what launches one."""

    work: list[Callable[[], object]]

    def __int__(self) -> int:
        return id(self)


@dataclass
class Gpu:
    """The fake's state: memory by address, the capture under way, and every call."""

    calls: Calls = field(default_factory=Calls)
    memory: dict[int, tuple[Any, bool]] = field(default_factory=dict)
    taken: set[Handle] = field(default_factory=set)
    capturing: list[Callable[[], object]] | None = None
    enqueued: list[Callable[[], object]] = field(default_factory=list)
    version: str = "11.4.0.106"
    modules: dict[str, Any] = field(default_factory=dict)

    def install(self) -> dict[str, Any]:
        """The modules to import in place of the real ones."""
        runtime = fake_module("cuda.bindings.runtime", ROOT / STUBS["cuda.bindings.runtime"], _cuda(self), self.calls)
        bindings = type(sys)("cuda.bindings")
        bindings.runtime = runtime
        trt = fake_module("tensorrt", ROOT / STUBS["tensorrt"], _tensorrt(self), self.calls)
        self.modules |= {"cuda": type(sys)("cuda"), "cuda.bindings": bindings, "cuda.bindings.runtime": runtime}
        self.modules["tensorrt"] = trt
        return self.modules

    def allocate(self, size: int, *, pinned: bool) -> int:
        buffer = (ctypes.c_char * size)()
        ctypes.memset(buffer, 0xA5, size)  # memory is never zero by luck
        self.memory[ctypes.addressof(buffer)] = (buffer, pinned)
        return ctypes.addressof(buffer)

    def require(self, address: int, size: int, *, pinned: bool) -> None:
        """The bytes must lie in memory of that kind."""
        assert any(
            start <= address and address + size <= start + len(buffer)
            for start, (buffer, kind) in self.memory.items()
            if kind is pinned
        ), f"{size} bytes at {address:#x} are not in {'pinned' if pinned else 'device'} memory"

    def enqueue(self, work: Callable[[], object]) -> None:
        (self.enqueued if self.capturing is None else self.capturing).append(work)


def _cuda(gpu: Gpu) -> dict[str, Any]:  # noqa: C901 - a function for each of CUDA's
    def ok(*values: Any) -> tuple[Any, ...]:
        return (gpu.modules["cuda.bindings.runtime"].cudaError_t.cudaSuccess, *values)

    def take(work: Any = ()) -> Any:
        handle = Handle(list(work))
        gpu.taken.add(handle)
        return ok(handle)

    def give_back(handle: Any) -> Any:
        gpu.taken.remove(handle)
        return ok()

    def free(address: Any) -> Any:
        del gpu.memory[address]
        return ok()

    def copy(dst: Any, src: Any, count: int, kind: Any, stream: Any) -> Any:
        assert stream in gpu.taken
        to_host = kind.name == "cudaMemcpyDeviceToHost"
        gpu.require(dst, count, pinned=to_host)
        gpu.require(src, count, pinned=not to_host)
        gpu.enqueue(functools.partial(ctypes.memmove, dst, src, count))
        return ok()

    def begin(_stream: Any, mode: Any) -> Any:
        assert mode.name == "cudaStreamCaptureModeThreadLocal"
        assert gpu.capturing is None
        assert not gpu.enqueued
        gpu.capturing = []
        return ok()

    def end(_stream: Any) -> Any:
        work, gpu.capturing = gpu.capturing, None
        return take(work)

    def instantiate(graph: Any, flags: int) -> Any:
        assert flags == 0
        return take(graph.work)

    def launch(graph: Any, stream: Any) -> Any:
        assert {graph, stream} <= gpu.taken
        gpu.enqueued.extend(graph.work)
        return ok()

    def synchronize(stream: Any) -> Any:
        assert stream in gpu.taken
        assert gpu.capturing is None, "a wait ends a capture"
        while gpu.enqueued:
            gpu.enqueued.pop(0)()
        return ok()

    properties = type("Properties", (), {"name": b"Fake GPU\0\0", "major": 9, "minor": 0})
    return {
        "cudaStreamNonBlocking": 1,
        "cudaDriverGetVersion": lambda: ok(12090),
        "cudaFree": free,
        "cudaFreeHost": free,
        "cudaGetDeviceCount": lambda: ok(1),
        "cudaGetDeviceProperties": lambda _device: ok(properties),
        "cudaGraphDestroy": give_back,
        "cudaGraphExecDestroy": give_back,
        "cudaGraphInstantiate": instantiate,
        "cudaGraphLaunch": launch,
        "cudaMalloc": lambda size: ok(gpu.allocate(size, pinned=False)),
        "cudaMallocHost": lambda size: ok(gpu.allocate(size, pinned=True)),
        "cudaMemcpyAsync": copy,
        "cudaStreamBeginCapture": begin,
        "cudaStreamCreateWithFlags": lambda flags: take() if flags == 1 else None,
        "cudaStreamDestroy": give_back,
        "cudaStreamEndCapture": end,
        "cudaStreamSynchronize": synchronize,
    }


def _tensorrt(gpu: Gpu) -> dict[str, Any]:  # noqa: C901 - a class for each of TensorRT's
    def trt() -> Any:
        return gpu.modules["tensorrt"]

    def new(kind: str, **values: Any) -> Any:
        made = object.__new__(getattr(trt(), kind))
        for name, value in values.items():
            object.__setattr__(made, name, value)
        return made

    def probed() -> None:
        assert "cudaGetDeviceCount" in gpu.calls.made, "made before the device was probed"

    def memory(content: bytes) -> Any:
        return np.frombuffer(content, np.uint8)

    class Builder:
        def __init__(self, _logger: Any) -> None:
            probed()

        def create_network(self, flags: int = 0) -> Any:
            assert flags == 0
            return new("INetworkDefinition")

        def create_builder_config(self) -> Any:
            return new("IBuilderConfig", _profiles=[], _cleared=[])

        def create_optimization_profile(self) -> Any:
            return new("IOptimizationProfile")

        def build_serialized_network(self, network: Any, config: Any) -> Any:
            assert config._cleared == ["TF32"]
            (profile,) = config._profiles
            assert profile._shapes[0][0] == network._input.name
            rows = [shape[0] for shape in profile._shapes[0][1:]]
            assert rows == sorted(rows)
            assert rows[0] == 1
            return memory(MARK + network._model)

    class OnnxParser:
        def __init__(self, network: Any, logger: Any) -> None:
            self._network, self._logger, self.num_errors = network, logger, 0

        def parse(self, model: bytes) -> bool:
            assert isinstance(model, bytes)
            try:
                graph = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(model)).graph
            except Exception:  # noqa: BLE001 - whatever is wrong with it
                object.__setattr__(self, "num_errors", 1)
                self._logger.log(trt().ILogger.Severity.ERROR, "a line that the logger heard")
                return False
            _describe(self._network, graph, model)
            return True

        def get_error(self, _index: int) -> Any:
            return new("ParserError")

    def _describe(network: Any, graph: Any, model: bytes) -> None:
        known = {item.name: item.type.tensor_type for item in [*graph.value_info, *graph.input, *graph.output]}
        inputs = [tensor(item.name, known[item.name]) for item in graph.input]
        layers = [[tensor(name, known[name]) for name in node.output] for node in graph.node]
        values = {"_model": model, "_input": inputs[0], "_inputs": inputs, "_layers": layers, "num_inputs": len(inputs)}
        values |= {"num_outputs": len(graph.output), "num_layers": len(layers)}
        for name, value in values.items():
            object.__setattr__(network, name, value)

    def tensor(name: str, kind: Any) -> Any:
        shape = trt().Dims([item.dim_value or -1 for item in kind.shape.dim])
        return new("ITensor", name=name, dtype=trt().DataType[TYPES[kind.elem_type]], shape=shape)

    class ParserError:
        def desc(self) -> str:
            return "not a model"

        def node_name(self) -> str:
            return "a node"

    class INetworkDefinition:
        def get_input(self, index: int) -> Any:
            return self._inputs[index]

        def get_layer(self, index: int) -> Any:
            return new("ILayer", _outputs=self._layers[index], num_outputs=len(self._layers[index]))

    class ILayer:
        def get_output(self, index: int) -> Any:
            return self._outputs[index]

    class IBuilderConfig:
        def clear_flag(self, flag: Any) -> None:
            self._cleared.append(flag.name)

        def add_optimization_profile(self, profile: Any) -> int:
            self._profiles.append(profile)
            return 0

        def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
            return new("ITimingCache", _content=bytes(serialized_timing_cache))

        def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:  # noqa: FBT001
            assert ignore_mismatch is False
            self._cache = cache
            return True

        def get_timing_cache(self) -> Any:
            return new("ITimingCache", _content=self._cache._content + b"+")

    class ITimingCache:
        def serialize(self) -> Any:
            return memory(self._content)

    class IOptimizationProfile:
        def set_shape(self, name: str, *shapes: Any) -> None:
            self._shapes = [(name, *shapes)]

    class Dims:
        def __init__(self, shape: Any = ()) -> None:
            self._shape = tuple(shape)

        def __getitem__(self, index: int) -> int:
            return self._shape[index]

        def __len__(self) -> int:
            return len(self._shape)

    class Runtime:
        def __init__(self, _logger: Any) -> None:
            probed()

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
            assert isinstance(serialized_engine, bytes)
            assert self.engine_host_code_allowed is False
            if not serialized_engine.startswith(MARK):
                raise AssertionError("the real one would run whatever this is")
            session = onnxruntime.InferenceSession(serialized_engine[len(MARK) :], providers=["CPUExecutionProvider"])
            names = [*session.get_inputs(), *session.get_outputs()]
            return new("ICudaEngine", _session=session, _tensors=names, num_io_tensors=len(names))

    class ICudaEngine:
        def get_tensor_name(self, index: int) -> str:
            return str(self._tensors[index].name)

        def get_tensor_dtype(self, name: str) -> Any:
            kinds = {"tensor(float)": "FLOAT", "tensor(float16)": "HALF"}
            return trt().DataType[kinds[next(item.type for item in self._tensors if item.name == name)]]

        def get_tensor_shape(self, name: str) -> Any:
            shape = next(item.shape for item in self._tensors if item.name == name)
            return trt().Dims([item if isinstance(item, int) else -1 for item in shape])

        def get_tensor_mode(self, name: str) -> Any:
            return trt().TensorIOMode["INPUT" if name == self._tensors[0].name else "OUTPUT"]

        def create_execution_context(self) -> Any:
            return new("IExecutionContext", _session=self._session, _places={}, _shape=(), _ran=False)

    class IExecutionContext:
        def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
            assert profile_index == 0
            assert any(int(handle) == stream_handle for handle in gpu.taken)
            return True

        def set_input_shape(self, name: str, shape: Any) -> bool:
            assert name == self._session.get_inputs()[0].name
            self._shape = tuple(shape)
            return True

        def set_tensor_address(self, name: str, memory: int) -> bool:
            self._places[name] = memory
            return True

        def infer_shapes(self) -> list[str]:
            return []

        def execute_async_v3(self, stream_handle: int) -> bool:
            assert any(int(handle) == stream_handle for handle in gpu.taken)
            assert self._ran or gpu.capturing is None, "captured before it ever ran"
            self._ran = True
            places, shape, session = dict(self._places), self._shape, self._session
            gpu.enqueue(lambda: _compute(gpu, session, places, shape))
            return True

    return {"__version__": gpu.version, **{name: item for name, item in locals().items() if isinstance(item, type)}}


def _compute(gpu: Gpu, session: Any, places: dict[str, int], shape: tuple[int, ...]) -> None:
    source, target = session.get_inputs()[0].name, session.get_outputs()[0].name
    size = int(np.prod(shape)) * 4
    gpu.require(places[source], size, pinned=False)
    rows = np.frombuffer(ctypes.string_at(places[source], size), np.float32).reshape(shape)
    answer = np.ascontiguousarray(session.run([target], {source: rows})[0])
    gpu.require(places[target], answer.nbytes, pinned=False)
    ctypes.memmove(places[target], answer.ctypes.data, answer.nbytes)
