"""A version serves only after it has answered its golden set, and is remembered only if it serves."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from reference_service.errors import StartError
from reference_service.loading import Loader, load_engine
from reference_service.registry import RegistryError
from reference_service.settings import Batching, Validation
from tests.reference_service.running import on_cpu
from tests.reference_service.signed import sign, trust
from tests.reference_service.tiny_registry import MODEL, WEIGHTS, tiny_answers, write_tiny_version

if TYPE_CHECKING:
    from pathlib import Path

    from reference_service.registry import ModelVersion


class Skewed:
    """Answers like the tiny model, but for `skew` on the row with the number `at`, and tells when it is closed."""

    name = "skewed"
    closed = False

    def __init__(self, skew: float, at: int) -> None:
        self._skew = np.zeros((512, 1), np.float32)
        self._skew[at] = skew
        self._seen = 0

    def infer(self, batch: Any) -> Any:
        answers = tiny_answers(batch)
        if len(batch) == 1:
            return answers
        skew, self._seen = self._skew[self._seen : self._seen + len(batch)], self._seen + len(batch)
        return answers + skew

    def close(self) -> None:
        self.closed = True


def test_a_loaded_version_serves_and_is_remembered_as_served(tmp_path: Path) -> None:
    sign(write_tiny_version(tmp_path, "1"))
    statement = sign(write_tiny_version(tmp_path, "2", 2 * WEIGHTS))
    by = trust()
    served = Loader(tmp_path, MODEL, by, on_cpu, Validation(rows_max=7))("2")
    rows = np.ones((2, 3), np.float32)
    assert served.engine.infer(rows) == pytest.approx(tiny_answers(rows, 2 * WEIGHTS), abs=1e-6)
    assert (served.contract.version, served.contract.rows_max, served.version.signed) == ("2", 7, statement)
    with pytest.raises(RegistryError, match="an older release that this server never served"):
        Loader(tmp_path, MODEL, by, on_cpu)("1")


def test_a_batched_versions_runs_are_counted_apart_from_its_requests(tmp_path: Path) -> None:
    sign(write_tiny_version(tmp_path))
    served = Loader(tmp_path, MODEL, trust(), on_cpu, batching=Batching(delay_ms_max=0))("1")
    rows = np.ones((1, 3), np.float32)

    async def scene() -> None:
        assert served.batcher is not None
        await asyncio.gather(*(served.batcher.infer(rows) for _ in range(3)))
        await served.close()

    asyncio.run(scene())
    assert (served.statistics.executions, list(served.statistics.batches)) == (1, [3])


def test_a_version_that_fails_is_not_remembered(tmp_path: Path) -> None:
    sign(write_tiny_version(tmp_path, "1"))
    sign(write_tiny_version(tmp_path, "2"))
    by, engine = trust(), Skewed(1.0, at=3)
    with pytest.raises(StartError, match="golden answers"):
        Loader(tmp_path, MODEL, by, lambda _: engine)("2")
    assert engine.closed
    Loader(tmp_path, MODEL, by, on_cpu)("1")


@pytest.mark.parametrize(("skew", "at"), [(2e-4, 0), (-2e-4, 511), (float("nan"), 100)])
def test_one_golden_answer_off_is_refused(tiny_version: ModelVersion, skew: float, at: int) -> None:
    with pytest.raises(StartError, match=r"on skewed misses 1 of 512 golden answers by more than 0\.0001"):
        load_engine(tiny_version, lambda _: Skewed(skew, at))


def test_a_difference_of_another_engine_is_not_an_error(tiny_version: ModelVersion) -> None:
    assert load_engine(tiny_version, lambda _: Skewed(5e-5, 7)).name == "skewed"


def test_a_graph_that_cannot_be_run_or_answers_another_shape_is_refused(tiny_version: ModelVersion) -> None:
    with pytest.raises(StartError, match=r"tiny@1 sha256:.* cannot be run"):
        load_engine(replace(tiny_version, model_bytes=b"no graph"), on_cpu)
    wide = replace(tiny_version.manifest.outputs[0], shape=(-1, 2))
    with pytest.raises(StartError, match=r"answers \{\(1, 1\)\} for a row; its manifest says \(1, 2\)"):
        load_engine(replace(tiny_version, manifest=replace(tiny_version.manifest, outputs=(wide,))), on_cpu)
