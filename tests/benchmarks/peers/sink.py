"""Where spans go: an OTLP collector that counts them. `python -m tests.benchmarks.peers.sink PORT FILE`.

Rule: does as little as it can, because it shares the machine; FILE always holds the number of spans received.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import uvloop
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


class Counted:
    """A number that `file` always holds."""

    def __init__(self, file: Path) -> None:
        self._total, self._file = 0, file
        self.add(0)

    def add(self, more: int) -> None:
        """Count `more`."""
        self._total += more
        self._file.write_text(f"{self._total}")


async def serve(port: int, count: Path) -> None:
    """Count spans until killed."""
    counted = Counted(count)

    async def export(raw: bytes, context: Any) -> bytes:
        del context
        request = ExportTraceServiceRequest.FromString(raw)
        counted.add(sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans))
        return b""  # an answer without fields

    server = grpc.aio.server()
    handlers = {"Export": grpc.unary_unary_rpc_method_handler(export)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
