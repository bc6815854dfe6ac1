"""Checks the TensorRT engine on the GPU of this machine: does it answer as ONNX Runtime does, and how fast?

Rule: built anew, never from a cache; compared and timed on the golden rows, by the same engine classes that serve. The
document says what was found and judges nothing but agreement; without a GPU there is no document at all.
"""

from __future__ import annotations

import hashlib
import math
import platform
import tempfile
import time
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from reference_service.engines import EngineUnavailableError
from reference_service.engines.choice import open_tensorrt
from reference_service.engines.onnxruntime import OnnxRuntimeEngine
from reference_service.errors import StartError
from reference_service.registry import load_golden

if TYPE_CHECKING:
    import datetime as dt

    from numpy.typing import NDArray

    from reference_service.engines import Engine
    from reference_service.engines.tensorrt import TensorRtEngine
    from reference_service.registry import ModelVersion

SCHEMA: Final = 1
KIND: Final = "gpu-check"
SIZES: Final = tuple(1 << power for power in range(11))
PADDED: Final = (3, 100, 1000)
"""Sizes between powers of two, whose batches are padded."""
CALLS_MIN: Final = 300
"""Of each size, however long they take: the fewest of which a 99th percentile can be said with 95 % confidence."""


def check_gpu(
    version: ModelVersion, *, seconds: float, tolerance: float, threads: int, now: dt.datetime
) -> dict[str, Any]:
    """What the check found, as a JSON document; `agreement.holds` says whether the answers agree within `tolerance`.

    Batches of 1, 2, 4 … 1,024 rows, the sizes that the engine has graphs for, are timed for `seconds` each, on each
    engine; ONNX Runtime has `threads`.

    Raises:
        StartError: TensorRT can't run the model here.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            tensorrt = open_tensorrt(version.model_bytes, Path(folder) / "plans")
        except EngineUnavailableError as error:
            raise StartError(f"TensorRT can't run {version.subject} here: {error}") from error
    onnx, rows = OnnxRuntimeEngine(version.model_bytes, threads), load_golden(version).inputs
    agreement = compare(tensorrt, onnx.infer(rows), rows, [*SIZES, *PADDED], tolerance)
    speed = [
        {
            "rows": size,
            "tensorrt": timed(tensorrt, rows, size, seconds),
            "onnxruntime": timed(onnx, rows, size, seconds),
        }
        for size in SIZES
    ]
    document = {**_identity(version, now), **_engine(tensorrt), "agreement": agreement, "speed": speed}
    tensorrt.close()
    return document


def compare(
    engine: Engine, expected: NDArray[np.float32], rows: NDArray[np.float32], sizes: list[int], tolerance: float
) -> dict[str, Any]:
    """How far the answers to all `rows`, asked in batches of each of `sizes`, are off `expected`.

    `difference_max` is None if any answer is not finite.
    """
    worst = 0.0
    for size in sizes:
        answers = np.concatenate([engine.infer(rows[first : first + size]) for first in range(0, len(rows), size)])
        worst = float(np.maximum(worst, np.abs(answers - expected).max()))  # NaN stays NaN
    return {
        "rows": len(rows),
        "batch_sizes": sorted(sizes),
        "difference_max": worst if math.isfinite(worst) else None,
        "tolerance": tolerance,
        "holds": worst <= tolerance,
    }


def timed(engine: Engine, rows: NDArray[np.float32], size: int, seconds: float) -> dict[str, float]:
    """Latency and throughput of calls with `size` rows, back to back."""
    clock, places = time.perf_counter_ns, max(1, len(rows) // size)
    batches = [np.ascontiguousarray(np.resize(rows[place * size :], (size, rows.shape[1]))) for place in range(places)]
    for batch in batches[:20]:
        engine.infer(batch)
    latencies_ns: list[int] = []
    end = clock() + round(seconds * 1e9)
    while len(latencies_ns) < CALLS_MIN or clock() < end:
        batch = batches[len(latencies_ns) % places]
        began = clock()
        engine.infer(batch)
        latencies_ns.append(clock() - began)
    p50, p99 = np.quantile(latencies_ns, [0.5, 0.99]) / 1e6
    rate = size * len(latencies_ns) / (sum(latencies_ns) / 1e9)
    return {"calls": len(latencies_ns), "latency_ms_p50": p50, "latency_ms_p99": p99, "rows_per_s": rate}


def _identity(version: ModelVersion, now: dt.datetime) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "subject": version.subject,
        "model": version.name,
        "version": version.version,
        "digest": version.digest,
        "model_sha256": hashlib.sha256(version.model_bytes).hexdigest(),
        "taken": now.isoformat(timespec="seconds"),
    }


def _engine(engine: TensorRtEngine) -> dict[str, Any]:
    device = engine.device
    return {
        "engine": engine.name,
        "gpu": {"name": device.name, "compute_capability": device.compute_capability, "cuda_driver": device.driver},
        "versions": {
            "tensorrt": engine.tensorrt,
            "onnxruntime": installed("onnxruntime"),
            "python": platform.python_version(),
        },
        "plan": {"origin": engine.origin, "bytes": engine.plan_bytes, "sha256": engine.plan_sha256},
        "io": engine.io,
        "tensor_types": dict(engine.tensor_types),
    }
