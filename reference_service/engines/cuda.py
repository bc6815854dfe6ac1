"""A CUDA device with its stream, memory and captured graphs, by `cuda.bindings.runtime`.

Rule: every call's error is checked, and whatever is taken is put on a stack that gives it back in reverse. A `Device`
is had by `probe` alone, and all of TensorRT is made for a `Device`: a TensorRT runtime that is made without a driver
ends the process with a segmentation fault, so types hold the order.
"""

from __future__ import annotations

import ctypes
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from cuda.bindings import runtime

from reference_service.engines import EngineError, EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The first CUDA device that this process may see (CUDA_VISIBLE_DEVICES chooses among several).

    `driver` is the newest CUDA version that the installed driver supports, as 1000 * major + 10 * minor.
    """

    name: str
    compute_capability: str
    driver: int


def probe() -> Device:
    """The device to run on.

    Raises:
        EngineUnavailableError: there is none, or no driver that this CUDA runtime can use.
    """
    status, count = runtime.cudaGetDeviceCount()
    if status != runtime.cudaError_t.cudaSuccess:
        raise EngineUnavailableError(f"no CUDA device ({status.name})")
    if not count:
        raise EngineUnavailableError("no CUDA device (the driver counts 0)")
    try:
        properties = value(runtime.cudaGetDeviceProperties(0), "cudaGetDeviceProperties")
        driver = value(runtime.cudaDriverGetVersion(), "cudaDriverGetVersion")
    except EngineError as error:
        raise EngineUnavailableError(f"the CUDA device can't be asked what it is ({error})") from error
    name = properties.name.decode("utf-8", "replace").strip("\0 ")
    return Device(name=name, compute_capability=f"{properties.major}.{properties.minor}", driver=driver)


def value(result: tuple[runtime.cudaError_t, Value], call: str) -> Value:
    """What `call` returned beside its error. Raises EngineError unless it succeeded."""
    done((result[0],), call)
    return result[1]


def done(result: tuple[runtime.cudaError_t], call: str) -> None:
    """Raise EngineError unless `call` succeeded."""
    (error,) = result
    if error != runtime.cudaError_t.cudaSuccess:
        raise EngineError(f"{call}: {error.name}")


class Stream:
    """A stream of its own, which never waits for the default stream, with the memory and graphs used on it.

    `handle` is its address, as TensorRT wants it.
    """

    def __init__(self) -> None:
        self._held = ExitStack()
        self._stream = value(
            runtime.cudaStreamCreateWithFlags(runtime.cudaStreamNonBlocking), "cudaStreamCreateWithFlags"
        )
        self._held.callback(lambda: done(runtime.cudaStreamDestroy(self._stream), "cudaStreamDestroy"))
        self.handle = int(self._stream)

    def device_memory(self, size_bytes: int) -> int:
        """The address of new memory on the device."""
        address = value(runtime.cudaMalloc(size_bytes), "cudaMalloc")
        self._held.callback(lambda: done(runtime.cudaFree(address), "cudaFree"))
        return address

    def pinned_array(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """A zeroed array in page-locked host memory, which the device copies from and to without staging.

        It lives as long as this stream.
        """
        count = shape[0] * shape[1]
        address = value(runtime.cudaMallocHost(count * ctypes.sizeof(ctypes.c_float)), "cudaMallocHost")
        self._held.callback(lambda: done(runtime.cudaFreeHost(address), "cudaFreeHost"))
        array: NDArray[np.float32] = np.ctypeslib.as_array((ctypes.c_float * count).from_address(address))
        array[:] = 0
        return array.reshape(shape)

    def copy_to_device(self, address: int, source: NDArray[np.float32]) -> None:
        """Enqueue a copy of the pinned `source`."""
        to_device = runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy(address, source.ctypes.data, source.nbytes, to_device)

    def copy_to_host(self, target: NDArray[np.float32], address: int) -> None:
        """Enqueue a copy into the pinned `target`."""
        to_host = runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(target.ctypes.data, address, target.nbytes, to_host)

    def _copy(self, target: int, source: int, size_bytes: int, kind: runtime.cudaMemcpyKind) -> None:
        done(runtime.cudaMemcpyAsync(target, source, size_bytes, kind, self._stream), "cudaMemcpyAsync")

    def synchronize(self) -> None:
        """Wait until all that was enqueued is done; an error of any of it is raised here."""
        done(runtime.cudaStreamSynchronize(self._stream), "cudaStreamSynchronize")

    def capture(self, enqueue: Callable[[], None]) -> Callable[[], None]:
        """What launches again, as one CUDA graph, all that `enqueue` puts on this stream.

        Thread-local capture: another thread's allocations neither break it nor are broken by it.
        """
        mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        done(runtime.cudaStreamBeginCapture(self._stream, mode), "cudaStreamBeginCapture")
        try:
            enqueue()
        except BaseException:
            _, unfinished = runtime.cudaStreamEndCapture(self._stream)  # the first error is the one to tell
            if unfinished is not None:
                runtime.cudaGraphDestroy(unfinished)
            raise
        graph = value(runtime.cudaStreamEndCapture(self._stream), "cudaStreamEndCapture")
        try:
            launchable = value(runtime.cudaGraphInstantiate(graph, 0), "cudaGraphInstantiate")
        finally:
            done(runtime.cudaGraphDestroy(graph), "cudaGraphDestroy")
        self._held.callback(lambda: done(runtime.cudaGraphExecDestroy(launchable), "cudaGraphExecDestroy"))
        return lambda: done(runtime.cudaGraphLaunch(launchable, self._stream), "cudaGraphLaunch")

    def close(self) -> None:
        """Give everything back; what could not be given back is raised after all the rest was."""
        self._held.close()
