"""How fast the engine alone is: one row at a time, in this process, without a network.

Rule: every call is timed and kept, in order; percentiles are for whoever reads the file.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from reference_service.engines.onnxruntime import make_onnxruntime_engine
from reference_service.loading import load_engine
from reference_service.registry import load_golden

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reference_service.engines import Engine
    from reference_service.registry import ModelVersion


def bench(version: ModelVersion, seconds: float, threads: int = 1) -> dict[str, Any]:
    """Time the engine on the golden rows, in a cycle, for `seconds`; the result is a JSON document."""
    engine = load_engine(version, partial(make_onnxruntime_engine, threads=threads))
    latencies_ns = time_rows(engine, load_golden(version).inputs, seconds)
    name = engine.name
    engine.close()
    inputs = [{"name": item.name, "datatype": item.datatype, "shape": item.shape} for item in version.manifest.inputs]
    return {
        "model": version.name,
        "version": version.version,
        "digest": version.digest,
        "engine": name,
        "model_bytes": len(version.model_bytes),
        "framework": version.manifest.framework,
        "inputs": inputs,
        "latencies_ns": latencies_ns,
    }


def time_rows(engine: Engine, rows: NDArray[np.float32], seconds: float) -> list[int]:
    """Nanoseconds of each call with one row, until `seconds` have passed."""
    clock = time.perf_counter_ns
    end = clock() + round(seconds * 1e9)
    latencies_ns: list[int] = []
    began = clock()
    while began < end:
        index = len(latencies_ns) % len(rows)
        row = rows[index : index + 1]
        began = clock()
        engine.infer(row)
        latencies_ns.append(clock() - began)
    return latencies_ns
