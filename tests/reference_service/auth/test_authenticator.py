"""One credential a call, of whatever kind; two texts for all that is wrong."""

from __future__ import annotations

import pytest

from reference_service.auth.authenticator import MISSING, NOT_ACCEPTED, Authenticator
from reference_service.auth.caller import Caller
from reference_service.errors import ForbiddenError, UnauthenticatedError

BILLING = Caller("billing", frozenset({"infer"}), "key")
TOKEN = Caller("reports", frozenset({"infer"}), "jwt")


class Known:
    def __init__(self, credential: str, caller: Caller) -> None:
        self._known = {credential: caller}

    def caller_of(self, credential: str) -> Caller | None:
        return self._known.get(credential)


AUTHENTICATOR = Authenticator(
    Known("gng_a_b", BILLING), Known("e.y.j", TOKEN), {"edge-less": ("infer",), "second": ("infer",)}
)


@pytest.mark.parametrize(
    ("name", "value", "caller"),
    [
        ("authorization", "Bearer gng_a_b", BILLING),
        ("authorization", "bearer gng_a_b", BILLING),
        ("x-api-key", "gng_a_b", BILLING),
        ("authorization", "Bearer e.y.j", TOKEN),
    ],
)
def test_a_credential_names_its_caller(name: str, value: str, caller: Caller) -> None:
    assert AUTHENTICATOR.authenticate([("x-request-id", "1"), (name, value)], None) == caller


@pytest.mark.parametrize(
    "metadata",
    [
        [("authorization", "Bearer gng_a_c")],
        [("authorization", "Basic gng_a_b")],
        [("authorization", "")],
        [("x-api-key", "gng_" + "a" * 10_000)],
        [("authorization", "Bearer gng_a_b"), ("x-api-key", "gng_a_b")],
        [("authorization", "Bearer gng_a_b"), ("authorization", "Bearer e.y.j")],
        [("x-api-key", b"gng_a_b")],
    ],
)
def test_whatever_is_wrong_with_a_credential_the_text_is_the_same(metadata: list[tuple[str, str | bytes]]) -> None:
    with pytest.raises(UnauthenticatedError, match=f"^{NOT_ACCEPTED}$"):
        AUTHENTICATOR.authenticate(metadata, [b"edge-less"])


def test_a_certificate_names_a_caller_only_if_it_is_listed() -> None:
    assert AUTHENTICATOR.authenticate([], [b"other", b"edge-less"]).client == "edge-less"
    with pytest.raises(UnauthenticatedError, match=NOT_ACCEPTED):
        AUTHENTICATOR.authenticate([], [b"edge-less", b"second"])
    with pytest.raises(UnauthenticatedError, match=NOT_ACCEPTED):
        AUTHENTICATOR.authenticate([("x-api-key", "gng_a_b")], [b"edge-less"])
    for identities in (None, [], [b"edge"]):
        with pytest.raises(UnauthenticatedError) as caught:
            AUTHENTICATOR.authenticate([], identities)
        assert str(caught.value) == MISSING


def test_without_the_scope_the_call_is_forbidden() -> None:
    AUTHENTICATOR.require(BILLING, "infer")
    with pytest.raises(ForbiddenError, match="'admin'"):
        AUTHENTICATOR.require(BILLING, "admin")
