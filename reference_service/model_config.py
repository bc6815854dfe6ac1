"""A served version in the words of Triton's model configuration, which load testers for Triton read.

Rule: says only what is true here; a field that has no meaning for this service stays empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_service.contract import PLATFORM
from reference_service.manifest import MODEL_FILE
from reference_service.protocol.open_inference_pb2 import (
    ModelConfig,
    ModelDynamicBatching,
    ModelInput,
    ModelInstanceGroup,
    ModelOutput,
    ModelParameter,
)

if TYPE_CHECKING:
    from reference_service.serving import Served
    from reference_service.settings import Batching


def config_of(served: Served, batching: Batching | None) -> ModelConfig:
    """The configuration of a version; `batching` is None if each request runs alone."""
    contract, engine = served.contract, served.engine.name
    kind = ModelInstanceGroup.KIND_GPU if engine.startswith("tensorrt") else ModelInstanceGroup.KIND_CPU
    taken, given = contract.input, contract.output
    return ModelConfig(
        name=contract.model,
        platform=PLATFORM,
        backend=engine.partition("-")[0],
        max_batch_size=min(contract.rows_max, batching.rows_max) if batching else contract.rows_max,
        input=[ModelInput(name=taken.name, data_type=f"TYPE_{taken.datatype}", dims=taken.shape[1:])],
        output=[ModelOutput(name=given.name, data_type=f"TYPE_{given.datatype}", dims=given.shape[1:])],
        instance_group=[ModelInstanceGroup(name=engine, count=1, kind=kind)],
        default_model_filename=MODEL_FILE,
        dynamic_batching=_batching(batching),
        parameters={
            "version": ModelParameter(string_value=contract.version),
            "digest": ModelParameter(string_value=served.version.digest),
        },
    )


def _batching(batching: Batching | None) -> ModelDynamicBatching | None:
    if batching is None:
        return None
    return ModelDynamicBatching(max_queue_delay_microseconds=round(batching.delay_ms_max * 1000))
