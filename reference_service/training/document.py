"""What the manifest says of a trained version, each number measured on the exported graph.

Rule: scikit-learn's probabilities are used only to check the graph's; whatever is published is what will be served.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from reference_service.manifest import SCHEMA
from reference_service.training import golden
from reference_service.training.data import LICENCE, Data
from reference_service.training.decision import choose_threshold, measure_decision
from reference_service.training.graph import INPUT, IR_VERSION, OPSET, OUTPUT, parameter_count
from reference_service.training.measures import Outcomes, compare
from reference_service.training.windows import WINDOWS, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from reference_service.training.features import Features
    from reference_service.training.networks import Recipe, Trained

NAME = "flight-delay"
MEANING = "arrives 15 minutes late or more"
PARITY_MAX = 1e-5
"""Most that ONNX Runtime may differ from scikit-learn in a probability; both compute in single precision."""


class ParityError(Exception):
    """The exported graph doesn't compute what was trained."""


@dataclass(frozen=True, slots=True)
class Job:
    """One training: its data, cut by the windows `fit`, `validate` and `holdout`."""

    version: str
    data: Data
    features: Features
    recipe: Recipe
    seed: int

    def rows(self, window: str) -> NDArray[np.intp]:
        """The flights of a window with a known arrival."""
        chosen: Window = getattr(WINDOWS[self.version], window)
        return chosen.rows(self.data.flights)

    def matrix(self, window: str) -> NDArray[np.float32]:
        """Their features."""
        return self.features.matrix[self.rows(window)]

    def late(self, window: str) -> NDArray[np.uint8]:
        """Whether they were late."""
        return self.data.flights.late[self.rows(window)].astype(np.uint8)

    def day(self, window: str) -> NDArray[np.int64]:
        """The days of the year on which they were scheduled."""
        return self.data.flights.day[self.rows(window)]


def describe(job: Job, trained: Trained, model: bytes) -> tuple[dict[str, Any], bytes]:
    """The manifest and the golden set of what was trained, as the exported graph computes it.

    Raises:
        ParityError: The graph computes something else than what was trained.
    """
    answer = answers(model)
    validation = answer(job.matrix("validate"))
    holdout = answer(job.matrix("holdout"))
    _check_parity(trained.probabilities(job.matrix("holdout")), holdout)
    threshold = choose_threshold(job.late("validate"), validation.astype(float))
    document = {
        "schema": SCHEMA,
        "name": NAME,
        "version": job.version,
        "inputs": [_input(job)],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, 1]}],
        "decision": {"output": OUTPUT, "threshold": threshold, "meaning": MEANING},
        "data": _data(job),
        "metrics": _metrics(job, trained, holdout, threshold),
        "framework": _framework(job),
        "parameters": parameter_count(trained),
    }
    drawn = golden.draw(job.rows("holdout"))
    inputs = job.features.matrix[drawn]
    return document, golden.pack(inputs, job.data.flights.late[drawn].astype(np.uint8), answer(inputs))


def answers(model: bytes) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """What answers as the exported graph does: rows [n, columns] in, probabilities [n] out."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the same sums in the same order each time
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def answer(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(session.run([OUTPUT], {INPUT: matrix})[0][:, 0], dtype=np.float32)

    return answer


def _check_parity(trained: NDArray[np.float64], exported: NDArray[np.float32]) -> None:
    apart = float(np.abs(trained - exported).max())
    if not apart <= PARITY_MAX:
        raise ParityError(
            f"the exported graph differs from scikit-learn by {apart:.2g} where {PARITY_MAX:g} is allowed: "
            "the export does not fit the installed scikit-learn"
        )


def _input(job: Job) -> dict[str, Any]:
    seen = job.matrix("fit")
    lows, highs = seen.min(axis=0).tolist(), seen.max(axis=0).tolist()
    columns = [
        {"name": name, "min": low, "max": high} for name, low, high in zip(job.features.names, lows, highs, strict=True)
    ]
    return {"name": INPUT, "datatype": "FP32", "shape": [-1, len(columns)], "columns": columns}


def _data(job: Job) -> dict[str, Any]:
    windows = WINDOWS[job.version]
    return {
        "source": job.data.source,
        "licence": LICENCE,
        "digest": job.data.digest,
        "train_window": windows.fit.dates(),
        "validation_window": windows.validate.dates(),
        "holdout_window": windows.holdout.dates(),
        "rows": {name: len(job.rows(name)) for name in ("fit", "validate", "holdout")},
        "late_share": {name: round(float(job.late(name).mean()), 6) for name in ("fit", "validate", "holdout")},
    }


def _metrics(job: Job, trained: Trained, holdout: NDArray[np.float32], threshold: float) -> dict[str, Any]:
    outcomes, ours = Outcomes(job.late("holdout"), job.day("holdout")), holdout.astype(np.float64)
    baseline = trained.linear_probabilities(job.matrix("holdout"))
    networks = compare(outcomes, trained.network_probabilities(job.matrix("holdout")), baseline, seed=job.seed)
    return {
        **compare(outcomes, ours, baseline, seed=job.seed),
        "networks_alone": {name: networks[name] for name in ("auc", "auc_gain", "brier", "brier_gain")},
        "decision": measure_decision(outcomes.late, ours, threshold),
    }


def _framework(job: Job) -> dict[str, Any]:
    return {
        "trainer": f"scikit-learn {installed('scikit-learn')}",
        "exporter": f"onnx {installed('onnx')}",
        "expected_by": f"onnxruntime {installed('onnxruntime')}, CPU",
        "opset": OPSET,
        "ir_version": IR_VERSION,
        "seed": job.seed,
        "recipe": asdict(job.recipe),
    }
