"""A fake of the parts of Google Cloud that the experiments call: REST over TLS, gRPC over TLS, and Kubernetes.

Rule: it records every call before it answers. What it proves is that the right calls are made and that every answer is
understood; it proves nothing about Google Cloud.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.experiments.gcp.front import Front

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.fleet.certificates import Certified

POLLS_OF_A_SLOW_ONE = 2
READ_POSTS = ("/listNetworkEndpoints",)
"""POST that changes nothing."""


@dataclass(frozen=True)
class Call:
    """One call as it came over the wire; `url` is without its query."""

    method: str
    url: str
    body: Any = None
    query: dict[str, str] = field(default_factory=dict)

    @property
    def writes(self) -> bool:
        return self.method not in {"GET", "RPC"} and not self.url.endswith((*READ_POSTS, "/token"))


class Answer(Exception):  # noqa: N818 - not only errors
    """Ends a call with this status and body."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def refusal(status: int, reason: str, message: str) -> Answer:
    error = {"code": status, "message": message, "status": reason, "errors": [{"message": message, "reason": reason}]}
    return Answer(status, {"error": error})


@dataclass
class Operation:
    """A long-running operation: `ends` is "done", "error", "slow" or "never"; `effect` is applied when it is done."""

    name: str
    target: str
    ends: str
    effect: Callable[[], None]
    polls: int = 0
    done: bool = False

    def poll(self) -> None:
        self.polls += 1
        if self.done or self.ends == "never" or (self.ends == "slow" and self.polls <= POLLS_OF_A_SLOW_ONE):
            return
        self.done = True
        if self.ends != "error":
            self.effect()


class FakeCloud:
    """Serves until `close`. A test says how writes end: `ends["suspend"] = "error"`; `denied` are parts of URLs.

    `before_answering` is called with each call once it was carried out.
    """

    def __init__(self, identity: Certified) -> None:
        self.calls: list[Call] = []
        self.ends: dict[str, str] = {}
        self.denied: set[str] = set()
        self.operations: dict[str, Operation] = {}
        self.before_answering: Callable[[Call], None] = lambda _call: None
        self.at_close: list[Callable[[], None]] = []
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., dict[str, Any]]]] = []
        self._lock = threading.RLock()
        self.front = Front(identity, self._handle)
        self.kubernetes = _kubernetes_server(self, identity)
        self.route("POST", r"oauth2\.googleapis\.com/token", lambda _call: {"access_token": "fake", "expires_in": 3600})

    def close(self) -> None:
        for close in self.at_close:
            close()
        self.front.close()
        self.kubernetes.shutdown()
        self.kubernetes.server_close()

    def route(self, method: str, url: str, answer: Callable[..., dict[str, Any]]) -> None:
        """Answer calls whose host and path match `url` with `answer(call, *groups)`."""
        self._routes.append((method, re.compile(url), answer))

    def writes(self) -> list[Call]:
        return [call for call in self.calls if call.writes]

    def wait_for_write(self, part: str, limit_s: float = 20.0) -> Call:
        deadline = time.monotonic() + limit_s
        while not (found := [call for call in self.writes() if part in call.url]):
            assert time.monotonic() < deadline, f"no call to {part}: {self.calls}"
            time.sleep(0.02)
        return found[0]

    def start(self, verb: str, target: str, effect: Callable[[], None]) -> Operation:
        operation = Operation(f"operation-{len(self.operations) + 1}", target, self.ends.get(verb, "done"), effect)
        self.operations[operation.name] = operation
        return operation

    def answer(self, call: Call) -> Answer:
        """Record and answer one call, one at a time."""
        with self._lock:
            self.calls.append(call)
            try:
                return Answer(200, self._answered(call))
            except Answer as answer:
                return answer

    def _answered(self, call: Call) -> dict[str, Any]:
        if any(part in call.url for part in self.denied) and (call.writes or "RPC" in call.method):
            raise refusal(403, "PERMISSION_DENIED", f"Required permission for {call.url} is missing")
        for method, pattern, answer in self._routes:
            if method == call.method and (match := pattern.fullmatch(call.url)):
                return answer(call, *match.groups())
        raise refusal(404, "NOT_FOUND", f"the fake has nothing at {call.method} {call.url}")

    def _handle(self, connection: ssl.SSLSocket, host: str) -> None:
        _handler(self, host)(connection, ("127.0.0.1", 0), None)  # type: ignore[arg-type]


def _handler(cloud: FakeCloud, host: str) -> type[BaseHTTPRequestHandler]:
    class Rest(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            is_json = "json" in self.headers.get("content-type", "json")
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            body = json.loads(content) if content and is_json else None
            call = Call(self.command, f"{host}{unquote(parts.path)}", body, query)
            answer = cloud.answer(call)
            cloud.before_answering(call)
            sent = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("content-type", "application/json; charset=UTF-8")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    return Rest


def _kubernetes_server(cloud: FakeCloud, identity: Certified) -> ThreadingHTTPServer:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(identity.certificate, identity.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cloud, "kubernetes"))
    server.daemon_threads = True
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
