"""What every call goes through before and after its work: who calls, under which id, and what a refusal becomes.

Rule: handlers are given to gRPC without a deserialiser, so that nothing a caller sent is parsed before the caller is
known, and no error of parsing becomes anything but INVALID_ARGUMENT. Answers and errors say who answered in their
trailers: an answer then leaves in one write, and an error stays a single header block, the only form in which an edge
can retry it.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, Never, Protocol, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from reference_service.auth.caller import ANYONE, INFER
from reference_service.errors import ForbiddenError, InvalidRequestError, code_of, details_of, text_of
from reference_service.protocol import headers
from reference_service.telemetry import log_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from reference_service.auth.caller import Caller
    from reference_service.auth.quota import DailyQuota

    Context = grpc.aio.ServicerContext[Any, Any]
    Metadata = Sequence[tuple[str, str | bytes]]
    Trailers = tuple[tuple[str, str], ...]

Sent = TypeVar("Sent", bound=Message)
_is_request_id = re.compile(r"[\x21-\x7e]{1,128}").fullmatch
"""What metadata can carry unchanged; a request's id may be any text of any length."""


class Authenticating(Protocol):
    """Turns what a call carries into a caller, or refuses it."""

    def authenticate(self, metadata: Metadata, peer_identities: Iterable[bytes] | None) -> Caller:
        """Who calls; raises UnauthenticatedError."""
        ...

    def require(self, caller: Caller, scope: str) -> None:
        """Return if the caller has the scope; raises ForbiddenError."""
        ...


class FrontDoor:
    """Lets callers in. Without an `authenticator` anyone may infer; `mutual` if certificates may name callers."""

    def __init__(
        self,
        authenticator: Authenticating | None = None,
        *,
        mutual: bool = False,
        quota: DailyQuota | None = None,
    ) -> None:
        self.quota = quota
        self._authenticator = authenticator
        self._mutual = mutual

    def admit(self, context: Context, metadata: Metadata, scope: str) -> Caller:
        """The caller of this call, who has `scope`; raises UnauthenticatedError or ForbiddenError."""
        if self._authenticator is None:
            return ANYONE if scope in ANYONE.scopes else _nobody(scope)
        caller = self._authenticator.authenticate(metadata, context.peer_identities() if self._mutual else None)
        if scope not in caller.scopes:
            self._authenticator.require(caller, scope)
        return caller

    def admit_inference(self, context: Context, metadata: Metadata) -> Caller:
        """The caller of an inference, which counts against its quota; raises QuotaError too."""
        caller = self.admit(context, metadata, INFER)
        if self.quota is not None:
            self.quota.take(caller)
        return caller


def _nobody(scope: str) -> Never:
    raise ForbiddenError(f"this call takes a credential with the scope {scope!r}, and this service accepts none")


def metadata_of(context: Context) -> Metadata:
    """What the call carries besides its message, as pairs of name and value."""
    return context.invocation_metadata() or ()  # type: ignore[return-value] # the stubs know only the client's side


def parse(kind: type[Sent], raw: bytes) -> Sent:
    """The message in `raw`.

    Raises:
        InvalidRequestError: it is no whole message of this kind.
    """
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise InvalidRequestError(f"expected a {kind.DESCRIPTOR.name}; {len(raw)} bytes came that are none") from error


def request_id_in(metadata: Metadata) -> str:
    """The caller's name for the request as its metadata has it; empty if there is none that can be carried back."""
    for name, value in metadata:
        if name == headers.REQUEST_ID and _is_request_id(str(value)):
            return str(value)
    return ""


def request_id_or_new(message_id: str) -> str:
    """The message's own id if it can be carried in metadata, else a new one."""
    return message_id if _is_request_id(message_id) else secrets.token_hex(8)


async def refuse(context: Context, error: Exception, trailers: Trailers, request_id: str) -> Never:
    """End the call with the status that `error` means."""
    if code_of(error) is grpc.StatusCode.INTERNAL:
        log_failure("internal_error", error, request_id=request_id)
    identity: tuple[tuple[str, str | bytes], ...] = (*trailers, (headers.REQUEST_ID, request_id), *details_of(error))
    await context.abort(code_of(error), text_of(error), identity)


def unary(
    door: FrontDoor,
    scope: str,
    kind: type[Sent],
    answer: Callable[[Sent, Caller], Awaitable[Message]],
    trailers: Callable[[], Trailers],
) -> grpc.RpcMethodHandler[Any, Any]:
    """The handler of a call that is not on the hot path. An empty `scope` lets everyone in."""

    async def handle(raw: bytes, context: Context) -> bytes:
        metadata = metadata_of(context)
        try:
            caller = door.admit(context, metadata, scope) if scope else ANYONE
            return (await answer(parse(kind, raw), caller)).SerializeToString()
        except Exception as error:  # noqa: BLE001 - one place turns every error into a code
            await refuse(context, error, trailers(), request_id_in(metadata) or request_id_or_new(""))

    return grpc.unary_unary_rpc_method_handler(handle)
