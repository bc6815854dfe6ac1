"""Whether a process of a fleet serves is asked encrypted, and only of those whom the fleet's authority signed."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from harness.fleet.credentials import make_credentials
from harness.fleet.ports import HeldPort
from harness.fleet.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.fleet.credentials import Credentials


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return make_credentials(tmp_path / "secrets", ("zone-a",))


def reach_of(credentials: Credentials) -> Reach:
    ours = credentials.ours
    return Reach(str(credentials.ca), str(ours.certificate), str(ours.key), str(credentials.load_key), "", "")


@contextlib.contextmanager
def serving(credentials: Credentials, status: int) -> Iterator[str]:
    zone = credentials.zones["zone-a"]
    pair = (zone.key.read_bytes(), zone.certificate.read_bytes())
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = health.HealthServicer()
    servicer.set("", status)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    mutual = grpc.ssl_server_credentials([pair], credentials.ca.read_bytes(), require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", mutual)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait(5)


def test_a_process_serves_when_it_says_so_to_our_certificate(credentials: Credentials) -> None:
    for status, serves in (("SERVING", True), ("NOT_SERVING", False)):
        with serving(credentials, health_pb2.HealthCheckResponse.ServingStatus.Value(status)) as address:
            assert reach_of(credentials).serves(address) is serves


def test_one_whom_another_authority_signed_does_not(credentials: Credentials, tmp_path: Path) -> None:
    other = make_credentials(tmp_path / "other", ("zone-a",))
    with serving(other, health_pb2.HealthCheckResponse.SERVING) as address:
        assert not reach_of(credentials).serves(address)


def test_a_port_without_a_service_does_not_serve(credentials: Credentials) -> None:
    held = HeldPort()
    assert not reach_of(credentials).serves(held.address)
    held.release()


def test_the_load_refers_to_its_key_and_does_not_hold_it(credentials: Credentials) -> None:
    reach = reach_of(credentials)
    assert reach.metadata == (("authorization", f"Bearer file:{credentials.load_key}"),)
    assert Path(reach.load_key).read_text() not in repr(reach)
