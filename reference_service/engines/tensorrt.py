"""Runs a model with TensorRT on an NVIDIA GPU.

Rule: one engine is one worker, with a stream and pinned buffers of its own, and one call at a time. Batches are padded
to the next power of two, and each such size is a CUDA graph of its own (copy in, run, copy out), captured at start with
a context of its own: a call is one copy into pinned memory, one launch and one wait.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack, suppress
from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np
import tensorrt as trt

from reference_service.engines import EngineError, EngineUnavailableError
from reference_service.engines.cuda import Stream
from reference_service.engines.plan_cache import DamagedPlanError
from reference_service.engines.tensorrt_build import ROWS_MAX, Log, build_plan, extents

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from reference_service.engines.cuda import Device
    from reference_service.engines.plan_cache import PlanCache

BUCKETS: Final = tuple(1 << power for power in range(ROWS_MAX.bit_length()))
"""1, 2, 4 … the largest batch."""
VERSIONS: Final = ((11, 4), (12,))
"""From the first on, below the second: 10 needs flags that 11 no longer has, and 12 is not known."""


class TensorRtEngine:
    """A model in a TensorRT engine of its own. `origin` says whether its plan was built or found, and how long it took.

    `device` and `tensorrt` are what it runs on, `io` the type of input and output by name; `tensor_types` counts the
    graph's tensors by type, empty if the plan was not built now.

    Raises:
        EngineUnavailableError: TensorRT, the device or the model does not allow it.
    """

    def __init__(self, model: bytes, device: Device, cache: PlanCache) -> None:
        major, minor = (int(part) for part in trt.__version__.split(".")[:2])
        if not VERSIONS[0] <= (major, minor) < VERSIONS[1]:
            raise EngineUnavailableError(f"TensorRT {trt.__version__} is installed; this engine speaks 11.4 up to 12")
        self.name = f"tensorrt-{major}.{minor}-{device.name.replace(' ', '-')}"
        self.device, self.tensorrt = device, trt.__version__
        self.tensor_types: Mapping[str, int] = {}
        self._log, self._one_at_a_time, self._held = Log(), Lock(), ExitStack()
        try:
            plan = self._plan(model, device, cache)
            self.plan_sha256, self.plan_bytes = hashlib.sha256(plan).hexdigest(), len(plan)
            self._prepare(plan)
        except EngineError as error:
            with suppress(EngineError):  # the first error is the one to tell
                self.close()
            raise EngineUnavailableError(str(error)) from error

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """The model's output for `batch`. Raises EngineError if the device fails."""
        answer = np.empty((len(batch), self._host_output.shape[1]), np.float32)
        with self._one_at_a_time:
            for first in range(0, len(batch), ROWS_MAX):
                self._run(batch[first : first + ROWS_MAX], answer[first : first + ROWS_MAX])
        return answer

    def close(self) -> None:
        """Give back graphs and memory, then the contexts, then the engine and runtime that they were made of."""
        self._held.close()

    def _run(self, rows: NDArray[np.float32], answer: NDArray[np.float32]) -> None:
        index = (len(rows) - 1).bit_length()
        self._host_input[: len(rows)] = rows
        self._host_input[len(rows) : BUCKETS[index]] = 0  # never what another caller sent
        self._launch[index]()
        self._stream.synchronize()
        answer[:] = self._host_output[: len(rows)]

    def _plan(self, model: bytes, device: Device, cache: PlanCache) -> bytes:
        """The plan from the cache, or built and kept there."""
        place = {"tensorrt": trt.__version__, "gpu": device.name, "compute_capability": device.compute_capability}
        place["driver"] = str(device.driver)
        key = {"content": "plan", "model": hashlib.sha256(model).hexdigest(), "rows_max": str(ROWS_MAX), **place}
        refused = ""
        try:
            if (plan := cache.read(key)) is not None:
                self.origin = "plan from the cache"
                return plan
        except DamagedPlanError as error:
            refused = f", because {error}"
        began = time.monotonic()
        built = build_plan(model, device, _timings(cache, {"content": "timings", **place}), self._log)
        self.origin = f"plan built in {time.monotonic() - began:.1f} s{refused}"
        self.tensor_types = built.tensor_types
        cache.write(key, built.plan)
        cache.write({"content": "timings", **place}, built.timings)
        return built.plan

    def _prepare(self, plan: bytes) -> None:
        """The engine, its buffers, and a captured graph for each size of batch."""
        runtime = self._log.made(lambda: trt.Runtime(self._log), "Runtime")
        self._held.callback(lambda: runtime)  # kept alive until all made of it are gone
        runtime.engine_host_code_allowed = False
        engine = self._log.present(runtime.deserialize_cuda_engine(plan), "deserialising the plan")
        self._held.callback(lambda: engine)
        self._contexts: list[trt.IExecutionContext] = []
        self._held.callback(self._contexts.clear)
        self._stream = Stream()
        self._held.callback(self._stream.close)
        (source, features), (target, outputs) = self._tensors(engine)
        self._host_input = self._stream.pinned_array((ROWS_MAX, features))
        self._host_output = self._stream.pinned_array((ROWS_MAX, outputs))
        self._addresses = {
            source: self._stream.device_memory(self._host_input.nbytes),
            target: self._stream.device_memory(self._host_output.nbytes),
        }
        self._launch = [self._captured(engine, rows, source, target) for rows in BUCKETS]

    def _tensors(self, engine: trt.ICudaEngine) -> tuple[tuple[str, int], tuple[str, int]]:
        """(name, columns) of input and output, which must be FP32: the service takes and gives nothing else."""
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self.io = {name: engine.get_tensor_dtype(name).name for name in names}
        shapes = {name: extents(engine.get_tensor_shape(name)) for name in names}
        modes = {engine.get_tensor_mode(name): name for name in names}
        fits = all(len(shape) == 2 and shape[0] == -1 and shape[1] > 0 for shape in shapes.values())  # noqa: PLR2004
        if len(names) != 2 or len(modes) != 2 or not fits or set(self.io.values()) != {"FLOAT"}:  # noqa: PLR2004
            raise EngineError(f"the engine has {self.io} of {shapes}; one FLOAT input and output of [-1, n] fit")
        source, target = modes[trt.TensorIOMode.INPUT], modes[trt.TensorIOMode.OUTPUT]
        return (source, shapes[source][1]), (target, shapes[target][1])

    def _captured(self, engine: trt.ICudaEngine, rows: int, source: str, target: str) -> Callable[[], None]:
        """What answers the first `rows` of the host's input into its output."""
        context, log = self._log.present(engine.create_execution_context(), "create_execution_context"), self._log
        self._contexts.append(context)
        log.require(context.set_optimization_profile_async(0, self._stream.handle), "set_optimization_profile_async")
        self._stream.synchronize()
        log.require(context.set_input_shape(source, (rows, self._host_input.shape[1])), "set_input_shape")
        for name, address in self._addresses.items():
            log.require(context.set_tensor_address(name, address), "set_tensor_address")
        log.require(not context.infer_shapes(), "infer_shapes")

        def enqueue() -> None:
            self._stream.copy_to_device(self._addresses[source], self._host_input[:rows])
            log.require(context.execute_async_v3(self._stream.handle), "execute_async_v3")
            self._stream.copy_to_host(self._host_output[:rows], self._addresses[target])

        enqueue()  # the first run allocates and loads kernels, which a capture may not
        self._stream.synchronize()
        launch = self._stream.capture(enqueue)
        launch()  # the first launch uploads the graph, which no caller should wait for
        self._stream.synchronize()
        return launch


def _timings(cache: PlanCache, key: Mapping[str, str]) -> bytes:
    """What earlier builds here learned; nothing if that is gone or damaged, for then it is learned anew."""
    try:
        return cache.read(key) or b""
    except DamagedPlanError:
        return b""
