"""Chooses the sender for a load's protocol.

Rule: the only place that knows them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load.grpc_sender import GrpcSender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.load.sender import Finish, Sender
    from harness.load.spec import LoadSpec


def make_sender(spec: LoadSpec, pool: Sequence[bytes], finish: Finish) -> Sender:
    """A sender of the messages in `pool` as `spec` says; `finish` is told how each request ended."""
    return GrpcSender(spec, pool, finish)
