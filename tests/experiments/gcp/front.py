"""The way into the fake: a CONNECT proxy on loopback that answers TLS for every *.googleapis.com itself.

Rule: nothing leaves this machine. A tunnel to any other name is refused and remembered. HTTP/2 (gRPC) goes on,
decrypted, to a gRPC server on loopback; HTTP/1.1 to a `BaseHTTPRequestHandler` on the very connection.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.fleet.certificates import Certified

IDLE_S = 60.0


class Front:
    """Listens until `close`; `handle(connection, host)` serves one decrypted HTTP/1.1 connection.

    HTTP/2 goes to `grpc_port`.
    """

    def __init__(self, identity: Certified, handle: Callable[[ssl.SSLSocket, str], None]) -> None:
        self.strangers: list[str] = []
        self.grpc_port = 0
        self._handle = handle
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(identity.certificate, identity.key)
        self._tls.set_alpn_protocols(["h2", "http/1.1"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(IDLE_S)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection:
            host = _tunnel_to(connection)
            if not host.endswith(".googleapis.com"):
                self.strangers.append(host)
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with self._tls.wrap_socket(connection, server_side=True) as inner:
                if inner.selected_alpn_protocol() == "h2":
                    self._pump(inner)
                else:
                    self._handle(inner, host)

    def _pump(self, inner: ssl.SSLSocket) -> None:
        with socket.create_connection(("127.0.0.1", self.grpc_port)) as behind:
            back = threading.Thread(target=_copy, args=(behind, inner), daemon=True)
            back.start()
            _copy(inner, behind)
            back.join(IDLE_S)


def _tunnel_to(connection: socket.socket) -> str:
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = connection.recv(1)
        if not chunk:
            raise ValueError("the client left")
        head += chunk
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
    return target.rpartition(":")[0] if method == "CONNECT" else target


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
