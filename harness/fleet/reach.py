"""How whoever holds a fleet calls it: its edge, and past the edge each of its processes.

Rule: always encrypted, with the fleet's own authority as the only one trusted; the key travels as a reference and is
read where it is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

HEALTH_LIMIT_S = 1.0

_DIRECT = (
    ("grpc.enable_http_proxy", 0),  # a proxy in the environment is not for loopback
    ("grpc.use_local_subchannel_pool", 1),  # else an earlier refusal makes a check wait for its reconnect pause
)


@dataclass(frozen=True, slots=True)
class Reach:
    """PEM files of the authority and of the harness's own client certificate, and the files that hold its keys."""

    ca: str
    certificate: str
    key: str
    load_key: str
    admin_key: str
    keys: str

    @classmethod
    def of(cls, status: dict[str, Any]) -> Reach:
        """The reach that a fleet's status tells."""
        return cls(**status["reach"])

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What authenticates the harness's load, with the secret as a reference."""
        return (("authorization", f"Bearer file:{self.load_key}"),)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For a channel to the edge or to a process of the fleet."""
        ca, key, certificate = (Path(file).read_bytes() for file in (self.ca, self.key, self.certificate))
        return grpc.ssl_channel_credentials(ca, key, certificate)

    def channel(self, address: str) -> grpc.Channel:
        """A channel for a few calls; close it."""
        return grpc.secure_channel(address, self.channel_credentials(), options=_DIRECT)

    def serves(self, address: str) -> bool:
        """Whether `grpc.health.v1` at `address` answers SERVING, which it does without a key."""
        with self.channel(address) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            try:
                answer = check(health_pb2.HealthCheckRequest(), timeout=HEALTH_LIMIT_S)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
