"""From a version in a registry to one that may serve: verified, loaded, warm, and answering its golden set.

Rule: everything here blocks and belongs on a thread. What returns has proved that it answers as it did when it was
measured; what has not never serves.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from reference_service.batching import Batcher
from reference_service.contract import Contract
from reference_service.errors import StartError
from reference_service.reference import SCORE, Reference, ReferenceFileError
from reference_service.registry import load_golden, load_version
from reference_service.serving import Served
from reference_service.settings import Validation
from reference_service.statistics import Counted
from reference_service.telemetry.drift import Drift

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from reference_service.batching import OnDispatch
    from reference_service.engines import Engine
    from reference_service.registry import Golden, ModelVersion
    from reference_service.settings import Batching
    from reference_service.trust import Trust

WARM_UP_CALLS: Final = 100
ANSWER_TOLERANCE: Final = 1e-4
"""Most that an output may differ from the golden set's, which ONNX Runtime's CPU engine gave: FP32 on another engine
sums in another order, and a probability that is 0.0001 off decides no flight differently."""
_ROWS: Final = 64


def _untold(*_: object) -> None:
    """For a service without metrics."""


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads versions of `model` from `registry`; `make_engine` turns one into an engine, on the calling thread.

    Each is served by the rules of `validation`, and its rows are put together as `batching` says, if it does. Drift of
    versions with a training reference is counted in `drifts`, if that is given.
    """

    registry: Path
    model: str
    trust: Trust
    make_engine: Callable[[ModelVersion], Engine]
    validation: Validation = Validation()  # noqa: RUF009 - frozen
    batching: Batching | None = None
    on_dispatch: OnDispatch = _untold
    drifts: dict[str, Drift] | None = None

    def __call__(self, version: str) -> Served:
        """The version, ready to serve, and remembered as served.

        Raises:
            RegistryError: It is not there, or refused.
            StartError: It can't be run, doesn't answer as it should, or what was served can't be remembered.
        """
        found = load_version(self.registry, self.model, version, self.trust)
        contract = Contract.of(found.manifest, self.validation)
        reference = _reference(found)
        engine = load_engine(found, self.make_engine)
        try:
            if found.signed is not None:
                self.trust.history.record(found.signed)
        except StartError:
            engine.close()
            raise
        served = Served(contract, engine, found)
        served.batcher = self._batcher(Counted(engine, served.statistics))
        if reference and self.drifts is not None:
            self.drifts[version] = Drift(reference)
        return served

    def _batcher(self, engine: Engine) -> Batcher | None:
        wanted = self.batching
        if wanted is None:
            return None
        return Batcher(
            engine,
            rows_max=wanted.rows_max,
            delay_s_max=wanted.delay_ms_max / 1e3,
            queue_rows_max=wanted.queue_rows_max,
            clock=time.monotonic,
            on_dispatch=self.on_dispatch,
            threaded=wanted.threaded,
        )


def _reference(version: ModelVersion) -> Reference | None:
    """The version's training reference, if it has one; raises StartError if that doesn't fit the model."""
    if version.reference_bytes is None:
        return None
    try:
        reference = Reference.decode(version.reference_bytes)
    except ReferenceFileError as error:
        raise StartError(f"the training reference of {version.subject} can't be used: {error}") from error
    expected = [*(column.name for column in version.manifest.inputs[0].columns), SCORE]
    if [item.name for item in reference.columns] != expected:
        raise StartError(f"the training reference of {version.subject} is not of the model's columns, in their order")
    return reference


def load_engine(version: ModelVersion, make_engine: Callable[[ModelVersion], Engine]) -> Engine:
    """The version's engine, warm (the first calls are the slowest) and checked against its golden set.

    Raises:
        StartError: It can't be made or run, or answers anything else than its manifest and golden set say.
    """
    golden = load_golden(version)
    try:
        engine = make_engine(version)
    except StartError:
        raise
    except Exception as error:
        raise StartError(f"the model of {version.subject} cannot be run: {error}") from error
    try:
        _check_answers(version, engine, golden)
    except BaseException:
        engine.close()
        raise
    return engine


def _check_answers(version: ModelVersion, engine: Engine, golden: Golden) -> None:
    shapes, answers = _answers(version, engine, golden.inputs)
    declared = (1, *version.manifest.outputs[0].shape[1:])
    if shapes != {declared}:
        raise StartError(f"the model of {version.subject} answers {shapes} for a row; its manifest says {declared}")
    off = np.abs(answers.reshape(len(golden.inputs), -1)[:, 0] - golden.expected)
    wrong = int((~(off <= ANSWER_TOLERANCE)).sum())  # NaN is wrong too
    if wrong:
        raise StartError(
            f"the model of {version.subject} on {engine.name} misses {wrong} of {len(off)} golden answers by more than "
            f"{ANSWER_TOLERANCE:g}, the worst by {np.nanmax(off, initial=0):.3g}: it is not served"
        )


def _answers(
    version: ModelVersion, engine: Engine, rows: NDArray[np.float32]
) -> tuple[set[tuple[int, ...]], NDArray[np.float32]]:
    """The shapes of the answers to one row, asked again and again, and then the answers to all."""
    try:
        shapes = {engine.infer(rows[:1]).shape for _ in range(WARM_UP_CALLS)}
        return shapes, np.concatenate([engine.infer(rows[at : at + _ROWS]) for at in range(0, len(rows), _ROWS)])
    except Exception as error:
        raise StartError(f"the model of {version.subject} cannot be run: {error}") from error
