"""Chooses the sender of a load by its protocol, and gives it what its specification only refers to.

Rule: the only place where a load's secrets and certificates are read; they stay in the process that sends them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load.grpc_sender import GrpcSender
from harness.load.sender import SenderError
from harness.load.tls import tls_context
from harness.secret import SecretError, resolve_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.load.sender import Finish, Sender
    from harness.load.spec import LoadSpec


def make_sender(spec: LoadSpec, pool: Sequence[bytes], finish: Finish) -> Sender:
    """The sender of `spec`, on the running event loop. Raises SenderError."""
    try:
        plain, secrets = resolve_all(spec.metadata)
    except SecretError as error:
        raise SenderError(str(error)) from error
    if spec.protocol == "http":
        from harness.load.http_sender import HttpSender  # noqa: PLC0415 - slow to import, and most loads are gRPC

        tls = tls_context(spec.tls, ["http/1.1"])
        return HttpSender(spec, pool, finish, headers=(*plain, *secrets), tls=tls)
    return GrpcSender(spec, pool, finish, metadata=plain, secrets=secrets, tls=tls_context(spec.tls, ["h2"]))
