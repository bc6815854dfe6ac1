"""A small HTTP/JSON service that knows nothing of gonogo: it predicts, and can be asked to misbehave.

Rule: runs in a test's own event loop, or as a module alone; then it prints its port when it serves, and wants the key
that is in the environment's SERVICE_KEY.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

HEAD = "HTTP/1.1 {status} Whatever\r\ncontent-length: {size}\r\nx-zone: zone-a\r\nx-model-version: 7\r\n\r\n"


class Request(NamedTuple):
    verb: str
    path: str
    headers: dict[str, str]
    body: bytes


class HttpService:
    """Answers requests one after the other on each connection, and remembers them.

    `/predict` answers `{"late": …}` to a JSON object that has a "user"; `/status/N` answers N; `/drop`
    breaks the connection, `/half` in the middle of the answer; `/wait` answers when `gate` is set.
    """

    def __init__(self, api_key: str = "") -> None:
        self.api_key = api_key
        self.requests: list[Request] = []
        self.connections = 0
        self.gate = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while request := await _read_request(reader):
                self.requests.append(request)
                if not await self._answer(request, writer):
                    break
        self._writers.discard(writer)
        writer.close()

    def drop_connections(self) -> None:
        """Break every connection that is open."""
        for writer in self._writers:
            writer.transport.abort()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        status, body = await self._decide(request)
        content = HEAD.format(status=status, size=len(body)).encode() + body
        if request.path == "/drop":
            return False
        writer.write(content[:-1] if request.path == "/half" else content)
        await writer.drain()
        return request.path != "/half"

    async def _decide(self, request: Request) -> tuple[int, bytes]:
        _, what, *rest = request.path.split("/")
        if what == "wait":
            await self.gate.wait()
        elif what == "status":
            return int(rest[0]), b"{}"
        elif what == "predict":
            return self._predict(request)
        return 200, b"{}"

    def _predict(self, request: Request) -> tuple[int, bytes]:
        if self.api_key and request.headers.get("x-api-key") != self.api_key:
            return 401, b'{"error": "who are you?"}'
        try:
            user = json.loads(request.body)["user"]
        except (ValueError, KeyError, TypeError):
            return 400, b'{"error": "no user"}'
        return 200, json.dumps({"late": user % 2 == 0}).encode()


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.rstrip().split("\r\n")
    verb, path, _ = first.split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return Request(verb, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))


@contextlib.asynccontextmanager
async def serving(service: HttpService, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve on a free port of the loopback; gives its address."""
    server = await asyncio.start_server(service.serve_connection, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        service.drop_connections()
        await asyncio.sleep(0)


async def _serve_forever(api_key: str) -> None:
    async with serving(HttpService(api_key)) as address:
        sys.stdout.write(address.rpartition(":")[2] + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_forever(os.environ.get("SERVICE_KEY", "")))
