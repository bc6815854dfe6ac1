"""Chooses what runs a model: TensorRT where that is possible, ONNX Runtime on the CPU otherwise.

Rule: which it took and why is told, never guessed; who asks for TensorRT by name gets it or no service. Nothing of
TensorRT is imported, let alone made, before a CUDA device was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_service.engines import EngineUnavailableError
from reference_service.errors import StartError

if TYPE_CHECKING:
    from pathlib import Path

    from reference_service.engines import Engine
    from reference_service.engines.tensorrt import TensorRtEngine
    from reference_service.registry import ModelVersion

KINDS = ("auto", "tensorrt", "onnxruntime")


def choose_engine(kind: str, version: ModelVersion, threads: int, plan_cache: Path) -> tuple[Engine, str]:
    """An engine with the model of `version`, and in words which it is and why.

    `kind` is one of KINDS. `threads` are ONNX Runtime's; built TensorRT plans are kept in `plan_cache`.

    Raises:
        StartError: TensorRT was asked for and can't run, or the plan cache can't be trusted.
    """
    if kind not in KINDS:
        raise StartError(f"there is no engine {kind!r}: choose one of {', '.join(KINDS)}")
    reason = "asked for"
    if kind != "onnxruntime":
        try:
            engine = open_tensorrt(version.model_bytes, plan_cache)
        except EngineUnavailableError as error:
            if kind == "tensorrt":
                raise StartError(f"the engine tensorrt can't run {version.subject}: {error}") from error
            reason = str(error)
        else:
            return engine, f"{engine.name}: {engine.origin}"
    from reference_service.engines.onnxruntime import OnnxRuntimeEngine  # noqa: PLC0415 - heavy, and not always needed

    return OnnxRuntimeEngine(version.model_bytes, threads), f"onnxruntime: {reason}"


def open_tensorrt(model: bytes, plan_cache: Path) -> TensorRtEngine:
    """The model in a TensorRT engine.

    Raises:
        EngineUnavailableError: it can't run here; the text says why.
        StartError: the plan cache can't be trusted.
    """
    try:
        from reference_service.engines.cuda import probe  # noqa: PLC0415 - an extra

        device = probe()
        from reference_service.engines.plan_cache import PlanCache, PlanCacheError  # noqa: PLC0415 - only with a device
        from reference_service.engines.tensorrt import TensorRtEngine  # noqa: PLC0415 - only with a device
    except ImportError as error:
        missing = error.name or str(error)
        raise EngineUnavailableError(
            f"{missing} can't be imported: install gonogo with the extra `tensorrt`"
        ) from error
    try:
        return TensorRtEngine(model, device, PlanCache(plan_cache))
    except PlanCacheError as error:
        raise StartError(str(error)) from error
