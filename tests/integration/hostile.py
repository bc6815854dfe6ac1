"""A service as strangers meet it: behind TLS, with keys and tokens, and with a log that is read to its end.

Rule: everything secret that a test ever sends is remembered here, so that the log can be searched for all of it.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import re
import signal
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import jwt
import numpy as np
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status

from reference_service.auth.keys import new_key
from reference_service.errors import DETAILS
from reference_service.protocol import open_inference_pb2 as pb
from reference_service.protocol.messages import MODEL_INFER, infer_request, output_array
from reference_service.registry import load_golden, load_version
from reference_service.trust import UNSIGNED_ALLOWED
from tests.reference_service.certificates import signed
from tests.reference_service.running import LIMIT_S, ROOT, in_own_process, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.reference_service.running import Process

REGISTRY, MODEL = ROOT / "reference_service" / "models", "flight-delay"
VERSION = load_version(REGISTRY, MODEL, "1", UNSIGNED_ALLOWED)
GOLDEN = load_golden(VERSION)
INPUT, OUTPUT = VERSION.manifest.inputs[0], VERSION.manifest.outputs[0]
ISSUER_KEY, STRANGERS_KEY = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
MESSAGE_BYTES_MAX = 1 << 20
TOLD_OF_REFUSALS = {"time", "level", "event", "reason", "request_id", "untold_before"}
MADE_UP = re.compile(r"[0-9a-f]{16}")
NO_ROOM = grpc.StatusCode.RESOURCE_EXHAUSTED
RECOVERY_S_MAX = 2.0
CONFIG = f"""
[tls]
certificate = "server.pem"
key = "file:server.key"
[auth]
keys = "keys.json"
[auth.jwt]
issuer = "us"
audience = "flight-delay"
jwks = "jwks.json"
leeway_s = 0
[limits]
message_bytes_max = {MESSAGE_BYTES_MAX}
"""


def good_request(rows: int = 1) -> pb.ModelInferRequest:
    return infer_request(MODEL, INPUT.name, GOLDEN.inputs[:rows], request_id="hostile")


def token(key: Any = ISSUER_KEY, algorithm: str = "EdDSA", head: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token that would be accepted, but for the changes; a claim changed to None is left out."""
    now = int(time.time())
    claims = {"iss": "us", "aud": "flight-delay", "sub": "billing", "iat": now, "exp": now + 600, "scope": "infer"}
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode(claims, key, algorithm, {"kid": "a", **(head or {})})


def unsigned_token() -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"a"}').rstrip(b"=").decode()
    return f"{head}.{token().split('.')[1]}."


def token_signed_with_the_public_key() -> str:
    public = ISSUER_KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return token(base64.urlsafe_b64encode(public), "HS256")


def tampered_token() -> str:
    head, body, signature = token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "==")) | {"sub": "root", "scope": "infer admin"}
    return ".".join((head, base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode(), signature))


@dataclass(frozen=True)
class Ended:
    """How a call ended, and which fields its refusal names."""

    code: grpc.StatusCode
    text: str = ""
    fields: tuple[str, ...] = ()


@dataclass
class Hostile:
    """The running service, the keys it knows, and every secret sent to it."""

    process: Process
    address: str
    authority: bytes
    keys: dict[str, str]
    secrets: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.channel = self.new_channel()

    def new_channel(self, *options: tuple[str, Any]) -> grpc.Channel:
        return grpc.secure_channel(self.address, grpc.ssl_channel_credentials(self.authority), options)

    @property
    def bearer(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.keys['good']}"),)

    def call(
        self,
        message: bytes,
        metadata: tuple[tuple[str, str | bytes], ...] | None = None,
        method: str = MODEL_INFER,
        **options: Any,
    ) -> Ended:
        """Send `message`, with the good key unless told otherwise."""
        sent = self.bearer if metadata is None else metadata
        self.secrets.update(str(value) for name, value in sent if name in {"authorization", "x-api-key"} and value)
        try:
            self.channel.unary_unary(method)(message, **{"timeout": LIMIT_S, "metadata": sent, **options})
        except grpc.RpcError as error:
            return Ended(error.code(), error.details(), _fields(error))
        return Ended(grpc.StatusCode.OK)

    def is_right(self) -> None:
        """Fail unless a decent caller, on a new connection, gets the model's own answer.

        In the midst of a flood it may be refused for want of room, and then tries again as a decent caller does.
        """
        wait_for(self._answers, RECOVERY_S_MAX)
        assert self.process.popen.poll() is None

    def _answers(self) -> bool:
        with self.new_channel(("grpc.use_local_subchannel_pool", 1)) as channel:
            try:
                raw = channel.unary_unary(MODEL_INFER)(
                    good_request(3).SerializeToString(), metadata=self.bearer, timeout=LIMIT_S, wait_for_ready=True
                )
            except grpc.RpcError as error:
                if error.code() is NO_ROOM:
                    return False
                raise
        answer = output_array(pb.ModelInferResponse.FromString(raw), OUTPUT.name)
        np.testing.assert_allclose(answer.ravel(), GOLDEN.expected[:3], atol=1e-6)
        return True

    def end(self) -> list[dict[str, Any]]:
        """Stop the service; every event of its log."""
        self.channel.close()
        self.process.popen.send_signal(signal.SIGTERM)
        self.process.await_event("stopped")
        assert self.process.popen.wait(LIMIT_S) == 0
        return self.process.events


def _fields(error: Any) -> tuple[str, ...]:
    for name, value in error.trailing_metadata() or ():
        if name == DETAILS:
            bad = BadRequest()
            if any(detail.Unpack(bad) for detail in Status.FromString(value).details):
                return tuple(item.field for item in bad.field_violations)
    return ()


@contextlib.contextmanager
def hostile_service(folder: Path) -> Iterator[Hostile]:
    """Serve the flight model until the block ends, then search the log for what must not be in it."""
    authority = signed("authority")
    signed("server", authority).write(folder)
    (folder / "service.toml").write_text(CONFIG)
    (folder / "jwks.json").write_text(json.dumps({"keys": [_jwk()]}))
    keys = _write_keys(folder)
    options = ("--config", str(folder / "service.toml"), "--drain-notice", "0")
    with in_own_process(REGISTRY, MODEL, *options) as process:
        address = process.await_event("ready")["address"]
        service = Hostile(process, address, authority.chain_pem, keys, set(keys.values()))
        yield service
        assert_log_is_clean(service.end(), service.secrets)


def assert_log_is_clean(events: list[dict[str, Any]], secrets: set[str]) -> None:
    """Fail if the log has a credential, a part of one, a value that was sent, a trace, or an error of ours."""
    text = json.dumps(events)
    refusals = [event for event in events if event["event"] == "refused"]
    assert [event for event in events if event["level"] not in {"info", "warning"} or "exception" in event] == []
    assert {event["event"] for event in events} <= {"engine", "ready", "refused", "draining", "drained", "stopped"}, (
        text
    )
    assert {field for event in refusals for field in event} <= TOLD_OF_REFUSALS
    assert all(event["request_id"] == "hostile" or MADE_UP.fullmatch(event["request_id"]) for event in refusals), text
    parts = {part for secret in secrets for part in (secret, secret[:24], secret[-24:]) if len(part) >= 12}
    assert [part for part in parts if part in text] == []
    assert "Traceback" not in text


def _jwk() -> dict[str, Any]:
    entry: Any = jwt.get_algorithm_by_name("EdDSA").to_jwk(ISSUER_KEY.public_key(), as_dict=True)
    return {**entry, "kid": "a", "alg": "EdDSA"}


def _write_keys(folder: Path) -> dict[str, str]:
    make = partial(new_key, "billing", ("infer",))
    later, earlier = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours) for hours in (1, -1))
    made = {"good": make(later), "expired": make(earlier), "revoked": make(later)}
    made["admin"] = new_key("operator", ("admin",), later)
    made["revoked"][1]["revoked"] = True
    (folder / "keys.json").write_text(json.dumps({"keys": [entry for _, entry in made.values()]}))
    return {name: key for name, (key, _) in made.items()}
