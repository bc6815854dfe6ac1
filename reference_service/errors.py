"""What can be wrong with a request or a start, and the one place where that becomes a gRPC status.

Rule: the text of a `RequestError` is for the caller and says what was expected; what a caller sent is shown cut short,
because a status message travels in a header. What a program may act on (which field, when to try again) travels beside
it as `google.rpc` details. An error that nobody foresaw is logged and answered as INTERNAL, without its text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

from reference_service.protocol.tensors import TensorError

if TYPE_CHECKING:
    from google.protobuf.message import Message

SHOWN_CHARACTERS_MAX: Final = 64
DETAILS: Final = "grpc-status-details-bin"
"""The trailer in which gRPC's libraries look for a `google.rpc.Status`."""


class StartError(Exception):
    """The service cannot start as it was asked to; the text says why."""


class Violation(NamedTuple):
    """What is wrong with one field of a request. `field` is its path, such as `inputs[0].shape`."""

    field: str
    description: str


class RequestError(Exception):
    """A request that is refused; the text says what was expected.

    `code` is the status it is answered with and `reason` its name in the metrics, both of the class. `violations` names
    fields; `retry_after_s` says when trying again may help, None if that is not known.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar[str] = "invalid"

    def __init__(self, text: str, *violations: Violation, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.violations = violations
        self.retry_after_s = retry_after_s


class InvalidRequestError(RequestError):
    """The message, its tensors or its values are not what the model takes."""


class UnauthenticatedError(RequestError):
    """No credential, or one that does not hold. The text never says how near a wrong one came."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = "unauthenticated"


class ForbiddenError(RequestError):
    """A known caller without the scope that the call wants."""

    code = grpc.StatusCode.PERMISSION_DENIED
    reason = "forbidden"


class QuotaError(RequestError):
    """The caller has used what it may use today."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "quota"


class OverloadedError(RequestError):
    """The service has as much in hand as it can answer in time."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "overloaded"


class DeadlineError(RequestError):
    """The answer could not come before the caller's deadline, so the work was not begun."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    reason = "deadline"


class UnknownModelError(RequestError):
    """The request names a model or a version that is not served here."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "unknown_model"


class NotReadyError(RequestError):
    """What was asked for is loading or leaving; another server may have it."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = "not_ready"


class AuditError(RequestError):
    """The answer could not be recorded, so it is not given; another server may be able to."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = "audit"


class RefusedVersionError(RequestError):
    """A version that may not be served: tampered with, unsigned, expired, older than one already seen."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "refused_version"


class NotNowError(RequestError):
    """What was asked for does not fit what is being served; the text says what has to come first."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "not_now"


class NotOfferedError(RequestError):
    """A call of the protocol that this service does not offer."""

    code = grpc.StatusCode.UNIMPLEMENTED
    reason = "not_offered"


def code_of(error: Exception) -> grpc.StatusCode:
    """The gRPC code that `error` is answered with."""
    if isinstance(error, RequestError):
        return error.code
    return grpc.StatusCode.INVALID_ARGUMENT if isinstance(error, TensorError) else grpc.StatusCode.INTERNAL


def reason_of(error: Exception) -> str:
    """The name of `error` in the metrics."""
    if isinstance(error, RequestError):
        return error.reason
    return RequestError.reason if isinstance(error, TensorError) else "internal"


def text_of(error: Exception) -> str:
    """The text that `error` is answered with."""
    if isinstance(error, RequestError | TensorError):
        return str(error)
    return "the service failed to answer; its log has the reason under this request id"


def details_of(error: Exception) -> tuple[tuple[str, bytes], ...]:
    """The trailers that carry what a program may act on; empty if there is nothing but the text."""
    if not isinstance(error, RequestError):
        return ()
    details: list[Message] = []
    if error.violations:
        fields = [
            BadRequest.FieldViolation(field=item.field, description=item.description) for item in error.violations
        ]
        details.append(BadRequest(field_violations=fields))
    if error.retry_after_s is not None:
        delay = Duration()
        delay.FromNanoseconds(round(error.retry_after_s * 1e9))
        details.append(RetryInfo(retry_delay=delay))
    if not details:
        return ()
    status = Status(code=error.code.value[0], message=str(error), details=[_packed(detail) for detail in details])
    return ((DETAILS, status.SerializeToString()),)


def shown(sent: str) -> str:
    """What a caller sent, quoted, and short enough for a status message."""
    return repr(sent if len(sent) <= SHOWN_CHARACTERS_MAX else sent[:SHOWN_CHARACTERS_MAX] + "…")


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
