"""An answer of the real engine does not depend on batch-mates, not even on one that is no number."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_service.batching import outcomes
from reference_service.engines.onnxruntime import make_onnxruntime_engine
from reference_service.loading import load_engine
from reference_service.registry import load_golden, load_version
from reference_service.trust import UNSIGNED_ALLOWED
from tests.reference_service.running import ROOT


@pytest.fixture(scope="module")
def flights() -> tuple[Any, Any, Any]:
    """The real engine with the flight model, its held-out rows, and the answer to each row asked alone."""
    version = load_version(ROOT / "reference_service/models", "flight-delay", "1", UNSIGNED_ALLOWED)
    engine, golden = (
        load_engine(version, partial(make_onnxruntime_engine, threads=1)),
        load_golden(version).inputs[:256],
    )
    return engine, golden, np.concatenate([engine.infer(golden[i : i + 1]) for i in range(len(golden))])


ODD = st.sampled_from([np.nan, np.inf, -np.inf, 1e30, 0.0])


@settings(max_examples=100, deadline=None)
@given(
    chosen=st.lists(st.lists(st.integers(0, 255), min_size=1, max_size=8), min_size=1, max_size=12),
    odd=ODD,
    odd_at=st.integers(0, 73),
    position=st.integers(0, 12),
)
def test_an_answer_is_the_same_with_any_batch_mates(
    flights: Any, chosen: list[list[int]], odd: float, odd_at: int, position: int
) -> None:
    engine, golden, alone = flights
    batches = [golden[indices] for indices in chosen]
    bad = golden[:1].copy()
    bad[0, odd_at] = odd
    batches.insert(min(position, len(batches)), bad)
    answers = outcomes(engine, batches)
    answers.pop(min(position, len(answers) - 1))
    for indices, answer in zip(chosen, answers, strict=True):
        # Equal to the bit where this was written; other processors have other kernels for other numbers of rows.
        np.testing.assert_allclose(answer, alone[indices], rtol=1e-6, atol=0)
