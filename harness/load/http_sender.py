"""Sends requests over HTTP/1.1 by httpx, one at a time on each connection.

Rule: what a plain HTTP client without retries, redirects, cookies and proxies does. A connection is kept for the next
request, so as many are open as requests were open at once; the engine's cap on these is the cap on connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import httpcore
import httpx

from harness.load.sender import NOBODY, AnsweredBy, SenderError
from reference_service.protocol.headers import MODEL_VERSION, REQUEST_ID, ZONE

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from harness.load.sender import Finish
    from harness.load.spec import LoadSpec

    Pairs = Sequence[tuple[str, str]]

OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND = 0, 1, 2, 3, 4, 5
PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED = 7, 8, 9, 10
UNIMPLEMENTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 12, 13, 14, 16
FROM_HTTP = {
    400: INVALID_ARGUMENT,
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    404: NOT_FOUND,
    409: ABORTED,
    429: RESOURCE_EXHAUSTED,
    499: CANCELLED,
    500: INTERNAL,
    501: UNIMPLEMENTED,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: DEADLINE_EXCEEDED,
}
"""gRPC's codes by HTTP status: the "HTTP Mapping" beside each code in google/rpc/code.proto, read backwards.

Where several codes share a status, the most general one that speaks of the service: 400 is INVALID_ARGUMENT, 409
ABORTED, 500 INTERNAL. 502 is not in it; a proxy means that the service was not reached (gRPC,
http-grpc-status-mapping).
"""
KEEP_S = 1.0
"""How long an unused connection may be used again. Servers close idle ones, some after 2 s (gunicorn); a request sent
while that happens is lost, and the loss would be the generator's."""
CLOSE_LIMIT_S = 0.9


def status_of(http_status: int) -> int:
    """The gRPC code of an answer; of a status that has none of its own, by its class."""
    if http_status in FROM_HTTP:
        return FROM_HTTP[http_status]
    by_class = {2: OK, 4: FAILED_PRECONDITION, 5: INTERNAL}
    return by_class.get(http_status // 100, UNKNOWN)  # a redirect, say: it is not followed


class HttpSender:
    """A `harness.load.sender.Sender` for the method ("POST /predict") and target of `spec`.

    `headers` go with every request. `spec.connections` are tried before the load, to see that the peer takes them; the
    load opens its own. Raises SenderError when `spec` names no HTTP request.
    """

    def __init__(
        self,
        spec: LoadSpec,
        pool: Sequence[bytes],
        finish: Finish,
        *,
        headers: Pairs = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.connections = spec.connections
        self._verb, _, path = spec.method.partition(" ")
        try:
            self._url = httpx.URL(f"{'https' if tls else 'http'}://{spec.target}{path}")
        except httpx.InvalidURL as error:
            raise SenderError(f"{spec.method} at {spec.target} is no HTTP request ({error})") from error
        self._pool, self._finish, self._timeout_s = pool, finish, spec.timeout_s
        self._headers = _every_header(headers, has_body=any(pool))
        self._tls, self._context = tls, tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._server_name = spec.tls.server_name if spec.tls else ""
        self._extensions = {"sni_hostname": self._server_name} if self._server_name else {}
        self._loop = asyncio.get_running_loop()
        self._free: list[httpx.AsyncHTTPTransport] = []
        self._open: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self, limit_s: float) -> int:
        """Open `connections` at once and close them again; returns how many were up within `limit_s`."""
        tries = [asyncio.create_task(self._try_connection()) for _ in range(self.connections)]
        done, late = await asyncio.wait(tries, timeout=limit_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return sum(task.result() for task in done)

    async def _try_connection(self) -> bool:
        """By the transports' own means, so that all they load when first used is there before the first request."""
        url, name = self._url, self._server_name or self._url.host
        port = url.port or (443 if self._tls else 80)
        try:
            stream = await httpcore.AnyIOBackend().connect_tcp(url.host, port)
            if self._tls is not None:
                stream = await stream.start_tls(self._tls, server_hostname=name)
            await stream.aclose()
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
            return False
        return True

    def send(self, index: int, message: int, request_id: str) -> None:
        """Send the pool's message number `message` as request `index`."""
        self._open.add(index)
        self._start(self._run(index, message, request_id, self._loop.time() + self._timeout_s))

    def abandon(self) -> None:
        """Forget every open request."""
        self._open.clear()
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Close the connections."""
        self.abandon()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_LIMIT_S / 2)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_LIMIT_S / 2):
                await asyncio.gather(*(transport.aclose() for transport in self._free), return_exceptions=True)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._tasks.discard)

    async def _run(self, index: int, message: int, request_id: str, deadline: float) -> None:
        """One request on a connection of its own, whatever becomes of it. A bug of ours is told and logged."""
        status, size, answered_by = INTERNAL, 0, NOBODY
        transport = self._free.pop() if self._free else self._transport()
        try:
            async with asyncio.timeout_at(deadline):
                status, size, answered_by = await self._exchange(transport, message, request_id)
        except TimeoutError:
            status = DEADLINE_EXCEEDED
        except httpx.TransportError:
            status = UNAVAILABLE
        finally:
            self._free.append(transport)
            if index in self._open:
                self._open.discard(index)
                self._finish(index, status, size, answered_by)

    async def _exchange(
        self, transport: httpx.AsyncHTTPTransport, message: int, request_id: str
    ) -> tuple[int, int, AnsweredBy]:
        headers = [*self._headers, (REQUEST_ID, request_id)]
        content = self._pool[message] or None
        request = httpx.Request(self._verb, self._url, headers=headers, content=content, extensions=self._extensions)
        response = await transport.handle_async_request(request)
        size = 0
        try:
            async for part in response.aiter_raw():  # as it came: what is not shown need not be unpacked
                size += len(part)
        finally:
            await response.aclose()
        answered_by = AnsweredBy(response.headers.get(ZONE, ""), response.headers.get(MODEL_VERSION, ""))
        return status_of(response.status_code), size, answered_by

    def _transport(self) -> httpx.AsyncHTTPTransport:
        """One connection, made when it is needed.

        One pool for all is searched whole at each request: with 400 idle connections, as a stall leaves them, that took
        12.7 ms a request, and makes the generator late; this way 0.5 ms (httpcore 1.0.9, one core).
        """
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_S)
        return httpx.AsyncHTTPTransport(verify=self._context, trust_env=False, limits=limits)


def _every_header(given: Pairs, *, has_body: bool) -> list[tuple[str, str]]:
    """What goes with each request: what httpx would send, then what the specification gives instead or besides."""
    headers = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "gonogo"}
    if has_body:
        headers["content-type"] = "application/json"
    own = {name.lower() for name, _ in given}
    return [(name, value) for name, value in headers.items() if name not in own] + list(given)
