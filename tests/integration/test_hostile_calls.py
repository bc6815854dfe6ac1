"""Calls that nobody decent makes: each ends with the right code, the service goes on, and its log is clean.

The log is searched for credentials, values and traces when the service has stopped.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from reference_service.protocol import open_inference_pb2 as pb
from reference_service.protocol.messages import SERVICE, infer_request
from tests.integration.hostile import (
    INPUT,
    MESSAGE_BYTES_MAX,
    MODEL,
    STRANGERS_KEY,
    Hostile,
    good_request,
    hostile_service,
    tampered_token,
    token,
    token_signed_with_the_public_key,
    unsigned_token,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CODE = grpc.StatusCode
COLUMNS = [column.name for column in INPUT.columns]
HOUR_S = 3600


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    with hostile_service(tmp_path_factory.mktemp("hostile")) as running:
        yield running


def bearer(value: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {value}"),)


CREDENTIALS: dict[str, Callable[[dict[str, str]], Any]] = {
    "none": lambda _: (),
    "an empty bearer": lambda _: (("authorization", "Bearer "),),
    "another scheme": lambda keys: (("authorization", f"Basic {keys['good']}"),),
    "an unknown key": lambda _: bearer("gng_000000000000_" + "x" * 43),
    "a known key's id with another secret": lambda keys: bearer(keys["good"][:-8] + "AAAAAAAA"),
    "a key with more behind it": lambda keys: bearer(keys["good"] + "x"),
    "an expired key": lambda keys: bearer(keys["expired"]),
    "a revoked key": lambda keys: bearer(keys["revoked"]),
    "two good ones at once": lambda keys: (*bearer(keys["good"]), ("x-api-key", keys["good"])),
    "a good one twice": lambda keys: bearer(keys["good"]) * 2,
    "a good one in a binary header": lambda keys: (("x-api-key-bin", keys["good"].encode()),),
    "a very long one": lambda _: bearer("gng_" + "a" * 6000),
    "one that would be SQL": lambda _: bearer("gng_' OR 1=1 --_x"),
    "a token without signature": lambda _: bearer(unsigned_token()),
    "a token signed with the public key": lambda _: bearer(token_signed_with_the_public_key()),
    "a token of another key": lambda _: bearer(token(STRANGERS_KEY)),
    "a token of an unknown key id": lambda _: bearer(token(head={"kid": "b"})),
    "a token that names its own key's address": lambda _: bearer(
        token(STRANGERS_KEY, head={"kid": "c", "jku": "https://127.0.0.1:1/jwks.json"})
    ),
    "a token of another algorithm": lambda _: bearer(token(ec.generate_private_key(ec.SECP256R1()), "ES256")),
    "an expired token": lambda _: bearer(token(iat=int(time.time()) - HOUR_S, exp=int(time.time()) - 1)),
    "a token not valid yet": lambda _: bearer(token(nbf=int(time.time()) + HOUR_S)),
    "a token for ever": lambda _: bearer(token(exp=int(time.time()) + 9999 * HOUR_S)),
    "a token for another audience": lambda _: bearer(token(aud="another-service")),
    "a token of another issuer": lambda _: bearer(token(iss="them")),
    "a token changed after it was signed": lambda _: bearer(tampered_token()),
    "half a token": lambda _: bearer(token()[:60]),
}


@pytest.mark.parametrize("case", CREDENTIALS)
def test_a_credential_that_does_not_hold_is_refused_before_anything_is_parsed(service: Hostile, case: str) -> None:
    metadata = CREDENTIALS[case](service.keys)
    for message in (good_request().SerializeToString(), b"\xff\xff no message"):
        ended = service.call(message, metadata)
        assert ended.code is CODE.UNAUTHENTICATED, ended
        assert service.keys["good"][:12] not in ended.text
    service.is_right()


WITHOUT_SCOPE: dict[str, Callable[[dict[str, str]], Any]] = {
    "a key for other calls": lambda keys: bearer(keys["admin"]),
    "a token without scope": lambda _: bearer(token(scope=None)),
    "a token of a scope that is none": lambda _: bearer(token(scope="INFER infer:all")),
}


@pytest.mark.parametrize("case", WITHOUT_SCOPE)
def test_a_known_caller_without_the_scope_is_forbidden(service: Hostile, case: str) -> None:
    assert service.call(b"", WITHOUT_SCOPE[case](service.keys)).code is CODE.PERMISSION_DENIED


@pytest.mark.parametrize(
    "method", [f"/{SERVICE}/ModelMetadata", f"/{SERVICE}/ServerMetadata", f"/{SERVICE}/ModelReady"]
)
def test_what_a_model_takes_is_told_to_callers_only(service: Hostile, method: str) -> None:
    assert service.call(b"", (), method).code is CODE.UNAUTHENTICATED


def test_reflection_is_for_callers_only(service: Hostile) -> None:
    call = service.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    with pytest.raises(grpc.RpcError) as caught:
        list(call(iter([b"\x3a\x01*"]), timeout=10))
    assert caught.value.code() is CODE.UNAUTHENTICATED


def test_a_token_replayed_after_its_end_is_refused(service: Hostile) -> None:
    ends = int(time.time()) + 2
    metadata = bearer(token(exp=ends))
    message = good_request().SerializeToString()
    assert service.call(message, metadata).code is CODE.OK
    time.sleep(max(0.0, ends - time.time()) + 0.01)
    assert service.call(message, metadata).code is CODE.UNAUTHENTICATED


def gzip_bomb() -> tuple[bytes, dict[str, Any]]:
    return infer_request(MODEL, INPUT.name, np.zeros((200_000, 74), np.float32)).SerializeToString(), {
        "compression": grpc.Compression.Gzip
    }


MESSAGES: dict[str, tuple[bytes, dict[str, Any], grpc.StatusCode]] = {
    "cut in half": (good_request().SerializeToString()[:150], {}, CODE.INVALID_ARGUMENT),
    "nothing": (b"", {}, CODE.NOT_FOUND),
    "noise": (b"\xff" * 500, {}, CODE.INVALID_ARGUMENT),
    "groups in groups": (b"\x0b" * 5000, {}, CODE.INVALID_ARGUMENT),
    "a text that is no UTF-8": (b"\x0a\x02\xc3\x28", {}, CODE.INVALID_ARGUMENT),
    "a byte over the limit": (bytes(MESSAGE_BYTES_MAX + 1), {}, CODE.RESOURCE_EXHAUSTED),
    "sixty megabytes in sixty kilobytes": (*gzip_bomb(), CODE.RESOURCE_EXHAUSTED),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_a_message_that_is_none_or_too_large_is_refused(service: Hostile, case: str) -> None:
    message, options, code = MESSAGES[case]
    assert service.call(message, **options).code is code
    service.is_right()


UNKNOWN = [
    f"/{SERVICE}/DropTables",
    "/inference.Other/ModelInfer",
    "/",
    f"/{SERVICE}/",
    f"/{SERVICE}/modelinfer",
    f"/{SERVICE}/ModelInfer/",
    "//" + "a" * 4000,
    f"/{SERVICE}/SystemSharedMemoryRegister",
    f"/{SERVICE}/CudaSharedMemoryRegister",
    f"/{SERVICE}/TraceSetting",
    f"/{SERVICE}/LogSettings",
    f"/{SERVICE}/ModelStreamInfer",
]


@pytest.mark.parametrize("method", UNKNOWN)
def test_what_is_not_offered_is_unimplemented(service: Hostile, method: str) -> None:
    assert service.call(b"", method=method).code is CODE.UNIMPLEMENTED
    service.is_right()


@pytest.mark.parametrize("headers", [1, 200])
def test_metadata_over_the_limit_is_refused(service: Hostile, headers: int) -> None:
    metadata = tuple((f"x-{number}", "a" * (40_000 // headers)) for number in range(headers))
    assert service.call(b"", (*service.bearer, *metadata)).code is CODE.RESOURCE_EXHAUSTED
    service.is_right()


OPERATORS_CALLS = ["RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"]


@pytest.mark.parametrize("name", OPERATORS_CALLS)
def test_what_changes_the_service_is_for_operators_and_takes_no_nonsense_from_them(service: Hostile, name: str) -> None:
    method = f"/{SERVICE}/{name}"
    assert service.call(b"", (), method).code is CODE.UNAUTHENTICATED
    assert service.call(b"", method=method).code is CODE.PERMISSION_DENIED
    operator = bearer(service.keys["admin"])
    assert service.call(b"\xff" * 50, operator, method).code is CODE.INVALID_ARGUMENT
    service.is_right()


@pytest.mark.parametrize("name", ["../../etc", "flight-delay/../..", "", "\0", "m" * 1000])
def test_no_name_of_a_model_leads_out_of_the_registry(service: Hostile, name: str) -> None:
    message = pb.RepositoryModelLoadRequest(model_name=name).SerializeToString()
    ended = service.call(message, bearer(service.keys["admin"]), f"/{SERVICE}/RepositoryModelLoad")
    assert ended.code in {CODE.NOT_FOUND, CODE.INVALID_ARGUMENT}, ended
    assert "/" not in ended.text.replace(repr(name), "")
    service.is_right()
