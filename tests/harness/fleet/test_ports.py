"""A held port is given to nobody else, lets its service in, and refuses connections while there is none."""

from __future__ import annotations

import socket

import pytest

from harness.fleet.ports import HeldPort


def listening(port: int) -> socket.socket:
    service = socket.socket()
    service.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    service.bind(("127.0.0.1", port))
    service.listen()
    return service


def test_the_service_gets_every_connection_and_may_come_back() -> None:
    held = HeldPort()
    for _ in range(2):
        with listening(held.number), socket.create_connection(("127.0.0.1", held.number), timeout=2):
            pass
    held.release()


def test_without_a_service_connections_are_refused() -> None:
    held = HeldPort()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", held.number), timeout=2)
    held.release()


def test_who_asks_for_any_port_never_gets_a_held_one() -> None:
    held = [HeldPort() for _ in range(200)]
    assert len({port.number for port in held}) == len(held)
    for port in held:
        port.release()


def test_a_stranger_without_reuse_cannot_take_a_held_port() -> None:
    held = HeldPort()
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(("127.0.0.1", held.number))
    held.release()
