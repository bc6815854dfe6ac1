"""The calls of Triton's that this service does not offer, each answered with what to do instead.

Rule: they are known by name, so that a client learns more than that a method is missing. Nothing of the request is
read, and a caller who would be refused elsewhere is refused here first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc

from reference_service.auth.caller import INFER
from reference_service.calls import metadata_of, refuse, request_id_in, request_id_or_new
from reference_service.errors import NotOfferedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from reference_service.calls import Context, FrontDoor, Trailers

_MEMORY = "memory is not shared with callers: send the values in raw_input_contents"
NOT_OFFERED: Final = {
    "ModelStreamInfer": "there is no stream of inferences: call ModelInfer for each, as many at once as you like",
    **dict.fromkeys(
        (
            *("SystemSharedMemoryStatus", "SystemSharedMemoryRegister", "SystemSharedMemoryUnregister"),
            *("CudaSharedMemoryStatus", "CudaSharedMemoryRegister", "CudaSharedMemoryUnregister"),
        ),
        _MEMORY,
    ),
    "TraceSetting": "tracing is set in the service's configuration; a traceparent that says so traces one call",
    "LogSettings": "logging is set where the service is started, and can't be changed by a caller",
}
"""Name of the call → what its caller is told."""


def not_offered(door: FrontDoor, trailers: Callable[[], Trailers]) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """A handler for each of those calls. They take streams, of which a single message is one."""
    return {name: _handler(door, trailers, name, instead) for name, instead in NOT_OFFERED.items()}


def _handler(
    door: FrontDoor, trailers: Callable[[], Trailers], name: str, instead: str
) -> grpc.RpcMethodHandler[Any, Any]:
    refusal: Exception = NotOfferedError(f"{name} is not offered: {instead}")

    async def handle(_requests: AsyncIterator[bytes], context: Context) -> None:
        metadata, error = metadata_of(context), refusal
        try:
            door.admit(context, metadata, INFER)
        except Exception as not_admitted:  # noqa: BLE001 - one place turns every error into a code
            error = not_admitted
        await refuse(context, error, trailers(), request_id_in(metadata) or request_id_or_new(""))

    return grpc.stream_stream_rpc_method_handler(handle)
