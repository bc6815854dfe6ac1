"""Each typed error has its gRPC code, and only their texts reach a caller."""

from __future__ import annotations

import grpc
import pytest

from reference_service.errors import InvalidRequestError, UnknownModelError, code_of, shown, text_of
from reference_service.protocol.tensors import TensorError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownModelError("t"), grpc.StatusCode.NOT_FOUND),
        (InvalidRequestError("t"), grpc.StatusCode.INVALID_ARGUMENT),
        (TensorError("t"), grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_a_typed_error_has_a_code_and_keeps_its_text(error: Exception, code: grpc.StatusCode) -> None:
    assert (code_of(error), text_of(error)) == (code, "t")


def test_any_other_error_is_internal_and_keeps_its_text_to_itself() -> None:
    error = ValueError("/a/path")
    assert code_of(error) is grpc.StatusCode.INTERNAL
    assert "/a/path" not in text_of(error)


def test_what_was_sent_is_quoted_and_cut_short() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 10_000)) < 80
