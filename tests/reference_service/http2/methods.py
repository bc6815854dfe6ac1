"""Methods that do one thing each, for tests of the server that answers them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def echo(raw: bytes, context: Any) -> bytes:
    context.set_trailing_metadata((("said", raw[:16].hex()), ("raw-bin", raw[:16])))
    return raw


async def seen(raw: bytes, context: Any) -> bytes:
    del raw
    return repr(sorted(tuple(pair) for pair in context.invocation_metadata())).encode()


async def refuse(raw: bytes, context: Any) -> bytes:
    await context.abort(grpc.StatusCode.FAILED_PRECONDITION, raw.decode(), (("why-bin", b"\0\xff"),))


async def broken(raw: bytes, context: Any) -> bytes:
    del raw, context
    raise RuntimeError("a secret of the inside")


async def who(raw: bytes, context: Any) -> bytes:
    del raw
    return repr(context.peer_identities()).encode()


async def block(raw: bytes, context: Any) -> bytes:
    del context
    time.sleep(float(raw))  # noqa: ASYNC251 - as an engine holds the loop
    return raw


async def upper(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
    del context
    async for request in requests:
        yield request.upper()


def methods(stopped: list[bytes], sent: list[int]) -> dict[str, Any]:
    """All of them; what is given up is put into `stopped`, what `count` sends is counted in `sent`."""

    async def wait(raw: bytes, context: Any) -> bytes:
        del context
        try:
            await asyncio.sleep(float(raw))
        except asyncio.CancelledError:
            stopped.append(raw)
            raise
        return raw

    async def count(raw: bytes, context: Any) -> AsyncIterator[bytes]:
        del raw, context
        for _ in range(100_000):
            sent[0] += 1
            yield bytes(1000)

    handlers = (echo, seen, refuse, wait, broken, who, block)
    return {
        **{handler.__name__: grpc.unary_unary_rpc_method_handler(handler) for handler in handlers},
        "count": grpc.unary_stream_rpc_method_handler(count),
        "upper": grpc.stream_stream_rpc_method_handler(upper),
    }
