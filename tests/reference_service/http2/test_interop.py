"""Others' clients and the own server: nghttp2's tools and gRPC's asyncio client."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.reference_service.http2.by_hand import MESSAGE
from tests.reference_service.http2.serving import LIMIT_S, SERVICE, Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

needs_nghttp2 = pytest.mark.skipif(shutil.which("h2load") is None, reason="needs Debian's nghttp2-client")
CALLS = 4000


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving() as running:
        yield running


@pytest.fixture
def body(tmp_path: Path) -> Path:
    path = tmp_path / "body"
    path.write_bytes(MESSAGE)
    return path


def output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    return done.stdout + done.stderr


@needs_nghttp2
@pytest.mark.parametrize("options", [("-c1", "-m1"), ("-c4", "-m16"), ("-c2", "-m100", "-w4", "-W4")])
def test_h2load_has_every_call_answered(server: Serving, body: Path, options: tuple[str, ...]) -> None:
    said = output(
        "h2load", f"-n{CALLS}", *options, f"-d{body}", "-Hcontent-type: application/grpc", "-Hte: trailers",
        f"http://{server.address}/{SERVICE}/echo",
    )  # fmt: skip
    assert f"{CALLS} succeeded, 0 failed, 0 errored" in said
    assert re.search(rf"status codes: {CALLS} 2xx", said)


@needs_nghttp2
def test_nghttp_sees_headers_message_and_trailers(server: Serving, body: Path) -> None:
    said = output(
        "nghttp", "-v", "-n", "-t5", f"-d{body}", "-Hcontent-type: application/grpc", "--trailer=x-said: all",
        f"http://{server.address}/{SERVICE}/echo",
    )  # fmt: skip
    said = re.sub(r"\x1b\[[0-9;]*m", "", said)
    for line in (":status: 200", "content-type: application/grpc", "grpc-status: 0", "said: 6869"):
        assert f") {line}" in said, said
    assert "grpc-accept-encoding: identity,gzip,deflate" in said
    assert not re.search(r"recv (RST_STREAM|GOAWAY)", said)


def test_grpcs_asyncio_client_calls_streams_cancels_and_reads_errors(server: Serving) -> None:
    async def scene() -> None:
        async with grpc.aio.insecure_channel(server.address) as channel:
            echo = channel.unary_unary(f"/{SERVICE}/echo")
            assert await asyncio.gather(*(echo(b"%d" % n) for n in range(500))) == [b"%d" % n for n in range(500)]
            upper = channel.stream_stream(f"/{SERVICE}/upper")()
            for word in (b"one", b"two"):
                await upper.write(word)
                assert await upper.read() == word.upper()
            await upper.done_writing()
            assert await upper.read() is grpc.aio.EOF
            assert await upper.code() is grpc.StatusCode.OK
            held = channel.unary_unary(f"/{SERVICE}/wait")(b"9.1")
            await asyncio.sleep(0.1)
            held.cancel()
            call = channel.unary_unary(f"/{SERVICE}/refuse")("“no”".encode())
            assert (await call.code(), await call.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "“no”")
            assert (await call.trailing_metadata())["why-bin"] == b"\0\xff"

    asyncio.run(scene())
