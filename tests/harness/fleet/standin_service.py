"""The smallest service that a fleet can hold: health, and an echo of ModelInfer with the reference service's metadata.

Rule: run as a script by the fleet's tests, so that what they show is the fleet's doing and not the service's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

KEYS = ("key", "certificate", "client_ca")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("zone", "version", "listen"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("prediction-log", "config"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def echo(options: argparse.Namespace) -> grpc.GenericRpcHandler:
    async def infer(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        received = dict(context.invocation_metadata() or ())
        with options.prediction_log.open("a") as log:
            log.write(json.dumps({"request_id": received["x-request-id"], "zone": options.zone}) + "\n")
        named = {name: received[name] for name in received if name not in {"authorization", "x-api-key"}}
        identity = (("x-zone", options.zone), ("x-model-version", options.version))
        context.set_trailing_metadata((*identity, ("x-received", json.dumps(named))))
        return request

    handler = grpc.unary_unary_rpc_method_handler(infer)
    return grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": handler})


def credentials(config: Path) -> grpc.ServerCredentials:
    """Mutual TLS as the service's own configuration has it."""
    tls = tomllib.loads(config.read_text())["tls"]
    key, certificate, ca = (Path(tls[name].removeprefix("file:")).read_bytes() for name in KEYS)
    return grpc.ssl_server_credentials([(key, certificate)], ca, require_client_auth=True)


async def serve(options: argparse.Namespace) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((echo(options),))
    servicer = health.aio.HealthServicer()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_secure_port(options.listen, credentials(options.config))
    await server.start()
    sys.stderr.write('{"event": "ready"}\n')
    sys.stderr.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(parse()))
