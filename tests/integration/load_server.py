"""A gRPC server that answers every unary call at once, for tests of the load engine; prints its port when it serves.

Rule: runs alone, in a process of its own, so that a test can freeze it.
"""

from __future__ import annotations

import asyncio
import sys

import grpc
import grpc.aio

ANSWER = b"x" * 120


async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    """Say who answered, as the reference service does; a request that says "fail" fails."""
    context.set_trailing_metadata((("x-zone", "zone-a"), ("x-model-version", "1")))
    if request == b"fail":
        await context.abort(grpc.StatusCode.UNAVAILABLE, "as asked")
    return ANSWER


class EveryMethod(grpc.GenericRpcHandler):
    """Serves any method by `answer`."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        del handler_call_details
        return grpc.unary_unary_rpc_method_handler(answer)


async def serve(port: int) -> None:
    """Serve until killed."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((EveryMethod(),))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    sys.stdout.write(f"{bound}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
