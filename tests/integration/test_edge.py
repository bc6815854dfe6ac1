"""What the real edge lets through, and how it refuses the rest; zones are stand-ins, so all of it is the edge's doing.

Rule: one fleet for the module. Whose bucket a call is counted in shows in the limit that its answer names.
"""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import grpc
import hpack
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc

from harness.fleet import edge_settings as settings
from harness.fleet.credentials import key_entry
from harness.fleet.edge_routes import ASKED, INFER
from harness.fleet.lifecycle import Fleet, start_fleet
from tests.harness.fleet.fleet_support import Load, standin_spec, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CLIENT_RPS = 50
CLIENT_BUCKET = round(CLIENT_RPS * settings.CLIENT_BURST_S)
LOAD_RPS = 500
IN_FLIGHT_MAX = 40
WAITING_S = 1.0
FLOOD = 20
"""Times what a client may send. The limit is kept small, so that the test's own sender is not the flood's measure."""
OTHER_CLIENT_MS_P99 = 200
MESSAGE_BYTES_MAX = 1 << 20
TOMORROW = dt.datetime.now(tz=dt.UTC) + dt.timedelta(days=1)
LENGTHS = (1, 42, 43, 51, 52, 106, 107, 115, 116)
"""Of secrets: with the twelve bytes before them, keys on both sides of where SHA-256 takes another block."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    spec = standin_spec(
        tmp_path_factory.mktemp("fleet"),
        zones=("zone-a",),
        client_rps=CLIENT_RPS,
        load_rps=LOAD_RPS,
        in_flight_max=IN_FLIGHT_MAX,
    )
    with start_fleet(spec, lease=True) as running:
        yield running


@pytest.fixture(scope="module")
def channel(fleet: Fleet) -> Iterator[grpc.Channel]:
    with fleet.reach.channel(fleet.address) as channel:
        yield channel


class Answer(NamedTuple):
    """How a call ended; `limit` is that of the bucket it was counted in."""

    code: str
    text: str
    limit: int
    trailers: dict[str, str | bytes]


def call(channel: grpc.Channel, *metadata: tuple[str, str], method: str = INFER, message: bytes = b"x") -> Answer:
    carried = (("x-request-id", "r"), *metadata)
    try:
        _, state = channel.unary_unary(method).with_call(message, metadata=carried, timeout=5)
    except grpc.RpcError as error:
        state = error
    headers = dict(state.initial_metadata() or ()) | dict(state.trailing_metadata() or ())
    limit = int(headers.get("x-ratelimit-limit", "0").split(",")[0])
    return Answer(state.code().name, state.details() or "", limit, headers)


def load_key(fleet: Fleet) -> tuple[str, str]:
    return "x-api-key", Path(fleet.reach.load_key).read_text()


def http_status(fleet: Fleet, content_type: str) -> str:
    """The HTTP status of an inference asked for with another content type, which no gRPC client can send."""
    context = ssl.create_default_context(cafile=fleet.reach.ca)
    context.set_alpn_protocols(["h2"])
    host, _, port = fleet.address.partition(":")
    named = ((":method", "POST"), (":scheme", "https"), (":path", INFER), (":authority", fleet.address))
    block = hpack.Encoder().encode([*named, ("content-type", content_type)])
    with (
        socket.create_connection((host, int(port)), 5) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
        connection.makefile("rb") as stream,
    ):
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 5, 1, block))
        while True:
            head = stream.read(9)
            payload = stream.read(int.from_bytes(head[:3], "big"))
            if head[3] == 1:
                return str(dict(hpack.Decoder().decode(payload))[":status"])


def frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    """An HTTP/2 frame (RFC 9113, section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + number.to_bytes(4, "big") + payload


def replace_keys(fleet: Fleet, entries: Sequence[dict[str, object]]) -> None:
    fresh = Path(fleet.reach.keys).with_name("keys.json.new")
    fresh.write_text(json.dumps({"keys": entries}))
    fresh.replace(fleet.reach.keys)


def test_a_key_of_any_length_counts_for_its_client_and_no_other_does(fleet: Fleet, channel: grpc.Channel) -> None:
    before = json.loads(Path(fleet.reach.keys).read_text())["keys"]
    keys = [f"gng_{length:07d}_{'k' * length}" for length in LENGTHS]
    entries = [key_entry(f"client-{key}", key, ("infer",), TOMORROW) for key in keys]
    expired = key_entry("late", "gng_late_s", ("infer",), dt.datetime.now(tz=dt.UTC) - dt.timedelta(seconds=1))
    replace_keys(fleet, [*before, *entries, expired])
    try:
        wait_until(lambda: call(channel, ("x-api-key", keys[0])).limit == CLIENT_BUCKET, 5, "the edge knows the keys")
        for key in keys:
            assert call(channel, ("x-api-key", key)).limit == CLIENT_BUCKET, len(key)
        assert call(channel, ("authorization", f"bearer {keys[0]}")).limit == CLIENT_BUCKET
        assert call(channel, ("x-api-key", f"Bearer {keys[0]}")).limit == CLIENT_BUCKET
        for wrong in (keys[0] + "x", keys[0][:-1] + "l", "gng_late_s", "gng__x", "", keys[0] * 4):
            assert call(channel, ("x-api-key", wrong)).limit == settings.STRANGERS_RPS, wrong
    finally:
        replace_keys(fleet, before)
    wait_until(lambda: call(channel, ("x-api-key", keys[1])).limit == settings.STRANGERS_RPS, 5, "the keys are revoked")


def test_the_load_has_a_bucket_of_its_own_and_headers_name_nobody(fleet: Fleet, channel: grpc.Channel) -> None:
    assert call(channel, load_key(fleet)).limit == LOAD_RPS
    assert call(channel, ("x-client", "gonogo"), ("x-gonogo-client", "gonogo")).limit == settings.STRANGERS_RPS
    admin = Path(fleet.reach.admin_key).read_text()
    assert call(channel, ("authorization", f"Bearer {admin}")).limit == CLIENT_BUCKET


def test_ever_changing_keys_and_claimed_addresses_share_one_bucket_that_refills(channel: grpc.Channel) -> None:
    def stranger(number: int) -> Answer:
        return call(channel, ("x-api-key", f"gng_{number}_s"), ("x-forwarded-for", f"10.0.0.{number}"))

    answers = [stranger(number) for number in range(3 * settings.STRANGERS_RPS)]
    codes = Counter(answer.code for answer in answers)
    assert codes.keys() == {"OK", "RESOURCE_EXHAUSTED"}
    assert codes["OK"] <= 1.5 * settings.STRANGERS_RPS
    wait_until(lambda: stranger(0).code == "OK", 3, "the bucket has refilled")


@pytest.mark.parametrize("who", ["one client", "strangers, each with a key of its own"])
def test_a_flood_is_refused_and_the_other_client_keeps_its_answers(fleet: Fleet, who: str) -> None:
    admin = Path(fleet.reach.admin_key).read_text()
    limit, key_of = {"one client": (CLIENT_RPS, lambda _: admin)}.get(
        who, (settings.STRANGERS_RPS, lambda number: f"gng_{number}_s")
    )
    with Load(fleet, rate_rps=FLOOD * limit, key_of=key_of) as flood, Load(fleet, rate_rps=50) as other:
        wait_until(lambda: len(other.answers) > 100, 20, "100 answers to the other client")
    assert other.failures() == []
    taken_ms = sorted(answer.took_s * 1000 for answer in other.answers)
    assert taken_ms[int(len(taken_ms) * 0.99)] < OTHER_CLIENT_MS_P99
    codes = Counter(answer.code for answer in flood.answers)
    assert codes.keys() == {0, grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]}
    lasted_s = flood.answers[-1].sent_s - flood.answers[0].sent_s
    assert limit * lasted_s * 0.5 <= codes[0] <= limit * (lasted_s + 1) * 1.1


def test_beyond_what_the_zones_may_have_in_hand_the_edge_refuses_at_once(fleet: Fleet, channel: grpc.Channel) -> None:
    key = load_key(fleet)
    fleet.client.freeze("zone-a")
    try:
        infer, began_s = channel.unary_unary(INFER), time.monotonic()
        carried = (("x-request-id", "r"), key)
        waiting = [infer.future(b"x", metadata=carried, timeout=WAITING_S) for _ in range(IN_FLIGHT_MAX)]
        refused = call(channel, key)  # on the same connection, so the edge has seen the others first
        assert time.monotonic() - began_s < WAITING_S
        assert (refused.code, "as much in hand" in refused.text) == ("RESOURCE_EXHAUSTED", True)
        assert Status.FromString(refused.trailers["grpc-status-details-bin"]).details[0].Is(RetryInfo.DESCRIPTOR)
        assert {future.code() for future in waiting} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    finally:
        fleet.client.thaw("zone-a")
    wait_until(lambda: call(channel, key).code == "OK", 10, "the zone answers again")


def test_a_client_that_sends_too_much_is_told_when_to_come_back(fleet: Fleet, channel: grpc.Channel) -> None:
    admin = Path(fleet.reach.admin_key).read_text()
    answers = [call(channel, ("x-api-key", admin)) for _ in range(2 * CLIENT_RPS)]
    refused = [answer for answer in answers if answer.code != "OK"]
    assert {answer.code for answer in refused} == {"RESOURCE_EXHAUSTED"}
    assert "more requests than this client may send" in refused[0].text
    status = Status.FromString(refused[0].trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (8, refused[0].text)
    retry = RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.seconds == 1
    assert call(channel, load_key(fleet)).code == "OK"


def test_a_message_of_more_than_a_mebibyte_is_refused_and_one_of_that_is_not(
    fleet: Fleet, channel: grpc.Channel
) -> None:
    key = load_key(fleet)
    assert call(channel, key, message=b"x" * MESSAGE_BYTES_MAX).code == "OK"
    for size in (MESSAGE_BYTES_MAX + 1, 2 * MESSAGE_BYTES_MAX):
        refused = call(channel, key, message=b"x" * size)
        assert (refused.code, refused.text) == ("RESOURCE_EXHAUSTED", "expected a message of at most 1048576 bytes")


def test_only_the_methods_listed_pass(fleet: Fleet, channel: grpc.Channel) -> None:
    for method in ("/inference.GRPCInferenceService/RepositoryModelLoad", "/x.Y/Z", INFER + "/more", "/"):
        refused = call(channel, load_key(fleet), method=method)
        assert (refused.code, "not offered here" in refused.text) == ("UNIMPLEMENTED", True), method
    for method in ASKED[:-1]:  # known to the edge, not to the stand-in, which says so in words of its own
        assert "not offered here" not in call(channel, load_key(fleet), method=method).text
    check = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
    assert check.status == health_pb2.HealthCheckResponse.SERVING
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=2)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


def test_who_does_not_speak_grpc_or_not_encrypted_is_turned_away(fleet: Fleet) -> None:
    for kind in ("application/json", "application/grpc-web", "application/grpcx", ""):
        assert http_status(fleet, kind) == "415", kind
    with grpc.insecure_channel(fleet.address) as plain, pytest.raises(grpc.RpcError) as refused:
        plain.unary_unary(INFER)(b"x", timeout=2)
    assert refused.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


def test_a_zone_takes_no_call_that_shows_no_certificate(fleet: Fleet) -> None:
    [port] = fleet.client.status()["zones"]["zone-a"]["ports"]
    assert fleet.reach.serves(f"127.0.0.1:{port}")
    only_ca = grpc.ssl_channel_credentials(Path(fleet.reach.ca).read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{port}", only_ca) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(INFER)(b"x", timeout=2)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_callers_own_orders_to_the_edge_are_ignored_and_its_trace_goes_through(
    fleet: Fleet, channel: grpc.Channel
) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    orders = (
        ("x-envoy-upstream-rq-per-try-timeout-ms", "77"),
        ("x-envoy-max-retries", "0"),
        ("x-forwarded-client-cert", "CN=x"),
    )
    answer = call(channel, load_key(fleet), ("traceparent", trace), ("tracestate", "a=1,b=2"), *orders)
    received = json.loads(str(answer.trailers["x-received"]))
    assert (received["traceparent"], received["tracestate"]) == (trace, "a=1,b=2")
    assert received["x-request-id"] == "r"
    assert received["x-envoy-expected-rq-timeout-ms"] == f"{settings.PER_TRY_TIMEOUT_S * 1000:.0f}"
    assert not received.keys() & {"x-envoy-max-retries", "x-forwarded-client-cert", "x-forwarded-for"}


def test_no_secret_lies_in_the_folder_of_the_run_and_none_is_left_at_the_end(tmp_path: Path) -> None:
    with start_fleet(standin_spec(tmp_path, zones=("zone-a",)), lease=True) as running:
        reach = running.reach
        secrets = [Path(file).read_bytes() for file in (reach.load_key, reach.admin_key, reach.key)]
        with running.reach.channel(running.address) as channel:
            assert call(channel, load_key(running)).code == "OK"
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 10
    assert not Path(reach.ca).parent.exists()
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(secret in content for secret in secrets for content in written)
    assert not any(b"PRIVATE KEY" in content for content in written)
