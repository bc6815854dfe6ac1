"""An asyncio gRPC server that does what each request tells it to, for tests; prints its port, at its end what it saw.

Rule: runs alone: `grpc_aio_peer.py PORT OPTIONS`. SIGTERM lets calls in flight finish for two seconds. A request is
JSON, and may name: sleep_s, code, size (of the answer), initial and trailing metadata, early (send headers first).
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import Any

import grpc
import grpc.aio

GRACE_S = 2.0
LARGEST = 64 << 20
CODES = {code.value[0]: code for code in grpc.StatusCode}


SEEN: list[dict[str, Any]] = []


async def answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    """Do as told."""
    told = json.loads(request[: request.rindex(b"}") + 1])
    metadata = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
    seen = {"size": len(request), "metadata": metadata, "left_s": context.time_remaining()}
    try:
        if told.get("early"):
            await context.send_initial_metadata(tuple(map(tuple, told.get("initial", ()))))
        await asyncio.sleep(told.get("sleep_s", 0))
        context.set_trailing_metadata(tuple(map(tuple, told.get("trailing", ()))))
        if told.get("code"):
            await context.abort(CODES[told["code"]], "as told")
        SEEN.append({**seen, "end": "answered"})
        return b"x" * int(told.get("size", 0))
    except asyncio.CancelledError:
        SEEN.append({**seen, "end": "cancelled"})
        raise
    except grpc.aio.AbortError:
        SEEN.append({**seen, "end": "aborted"})
        raise


class AnyMethod(grpc.GenericRpcHandler):
    """Serves every method by `answer`."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        del handler_call_details
        return grpc.unary_unary_rpc_method_handler(answer)


async def serve(port: int, options: list[tuple[str, Any]]) -> None:
    """Serve until SIGTERM."""
    sizes = [("grpc.max_receive_message_length", LARGEST), ("grpc.max_send_message_length", LARGEST)]
    server = grpc.aio.server(options=[*sizes, ("grpc.so_reuseport", 0), *map(tuple, options)])
    server.add_generic_rpc_handlers((AnyMethod(),))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    told_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    sys.stdout.write(f"{bound}\n")
    sys.stdout.flush()
    await told_to_end.wait()
    await server.stop(GRACE_S)
    sys.stdout.writelines(json.dumps(call) + "\n" for call in SEEN)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), json.loads(sys.argv[2])))
