"""Holds TCP ports on loopback for the life of a fleet, so that two fleets never collide and a zone returns to its own.

Rule: a held port is bound with SO_REUSEPORT and never listens. Linux then gives it to nobody who asks for any free
port, lets a service of the same user bind it with SO_REUSEPORT, sends every connection to that listening service, and
refuses connections while there is none.
"""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


class HeldPort:
    """A TCP port on loopback, held until `release`: any free one, or `number` if that is not 0."""

    def __init__(self, number: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind((LOOPBACK, number))
        self.number = int(self._socket.getsockname()[1])

    @property
    def address(self) -> str:
        """`host:port`, as the service's `--listen` and gRPC targets want it."""
        return f"{LOOPBACK}:{self.number}"

    def release(self) -> None:
        """Let others have the port."""
        self._socket.close()
