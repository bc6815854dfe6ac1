"""A webhook that answers as it is told, and remembers what it was sent."""

from __future__ import annotations

import http.server
import json
import threading
import time
from typing import Any, Self


class Webhook:
    """Listens on loopback while it is entered; `answers` are given in turn, the last one for ever."""

    def __init__(self, *answers: Any) -> None:
        self.received: list[dict[str, Any]] = []
        self.at_s: list[float] = []
        self.gone = threading.Event()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.at_s.append(time.monotonic())
                hook.received.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                answer = answers[min(len(hook.received), len(answers)) - 1]
                if callable(answer):
                    answer(hook, self)
                    return
                status, headers = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks/s3cret"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.gone.set()
        self._server.shutdown()
        self._server.server_close()


def never(hook: Webhook, _handler: http.server.BaseHTTPRequestHandler) -> None:
    """Take the request and answer nothing."""
    hook.gone.wait(30)


def drip(hook: Webhook, handler: http.server.BaseHTTPRequestHandler) -> None:
    """Begin an answer whose headers never end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    try:
        while not hook.gone.wait(0.1):
            handler.wfile.write(b"x-more: 1\r\n")
    except OSError:  # the other side has had enough
        return
