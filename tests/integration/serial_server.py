"""A gRPC server that serves one request at a time, each for as long as it is told; prints its port when it serves.

Rule: runs alone, in a process of its own: `python serial_server.py MILLISECONDS`. Its capacity is therefore known.
"""

from __future__ import annotations

import asyncio
import sys
import time

import grpc
import grpc.aio


class OneAtATime(grpc.GenericRpcHandler):
    """Serves any method, in the order of arrival, by instants: what the event loop's timer is late by is not added."""

    def __init__(self, service_s: float) -> None:
        self._service_s = service_s
        self._free_at = 0.0

    async def answer(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        """Wait for one's turn, and for its service."""
        del request, context
        now = time.monotonic()
        self._free_at = max(now, self._free_at) + self._service_s
        await asyncio.sleep(self._free_at - now)
        return b""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        del handler_call_details
        return grpc.unary_unary_rpc_method_handler(self.answer)


async def serve(service_ms: float) -> None:
    """Serve until killed."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((OneAtATime(service_ms / 1000),))
    bound = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{bound}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
