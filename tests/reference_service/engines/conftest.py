"""A fake GPU in place of the bindings, for the engine's modules imported anew."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from reference_service import engines
from tests.reference_service.engines.fake_gpu import Gpu

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND = [f"reference_service.engines.{name}" for name in ("cuda", "tensorrt", "tensorrt_build")]


def forget() -> None:
    """Let the next import of these modules bind what is there then."""
    for name in BOUND:
        sys.modules.pop(name, None)
        vars(engines).pop(name.rpartition(".")[2], None)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gpu]:
    """A machine with a fake GPU; modules that bind the bindings at import are forgotten before and after."""
    made = Gpu()
    for name, module in made.install().items():
        monkeypatch.setitem(sys.modules, name, module)
    forget()
    yield made
    forget()
