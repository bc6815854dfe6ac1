"""A training gives a version that serves what was trained, the same to the bit each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest

from reference_service.registry import RegistryError, load_golden, load_version
from reference_service.training.document import ParityError, _check_parity
from reference_service.training.graph import export, parameter_count
from reference_service.training.networks import Recipe, fit
from reference_service.training.train import TrainingError, train
from reference_service.trust import UNSIGNED_ALLOWED

if TYPE_CHECKING:
    from pathlib import Path

    from reference_service.training.data import Data
    from reference_service.training.networks import Trained

SMALL = Recipe(hidden=4, networks=2, epochs=1, batch=256)


@pytest.fixture(scope="module")
def trained() -> Trained:
    random = np.random.default_rng(5)
    matrix = random.normal(100, 7, (600, 5)).astype(np.float32)
    matrix[:, 4] = 1.0  # a column that never changes
    day = np.repeat(np.arange(12), 50)
    late = (matrix[:, 0] + random.normal(0, 5, 600) > 102).astype(np.uint8)
    return fit(matrix, late, day, recipe=SMALL, seed=1, report=lambda _line: None)


def answer(model: bytes, rows: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(["late_probability"], {"features": rows.astype(np.float32)})[0]


def test_the_graph_computes_what_scikit_learn_computes_for_raw_features(trained: Trained) -> None:
    rows = np.random.default_rng(6).normal(100, 30, (300, 5)).astype(np.float32)  # far outside training too
    assert answer(export(trained), rows)[:, 0] == pytest.approx(trained.probabilities(rows), abs=1e-6)


def test_only_the_batch_axis_is_free_and_any_batch_gives_the_same_answers(trained: Trained) -> None:
    model = export(trained)
    graph = onnx.load_from_string(model).graph
    shapes = [[axis.dim_value for axis in value.type.tensor_type.shape.dim] for value in (*graph.input, *graph.output)]
    assert shapes == [[0, 5], [0, 1]]
    rows = np.random.default_rng(7).normal(100, 7, (33, 5))
    one_by_one = np.concatenate([answer(model, row[None]) for row in rows])
    assert answer(model, rows) == pytest.approx(one_by_one, abs=1e-6)


def test_the_parameters_are_counted(trained: Trained) -> None:
    assert parameter_count(trained) == 2 * (5 * 4 + 4 + 4 + 1) + 5 + 1


def test_a_graph_that_computes_something_else_is_refused() -> None:
    with pytest.raises(ParityError, match=r"differs from scikit-learn by 0\.1"):
        _check_parity(np.array([0.5, 0.5]), np.array([0.5, 0.6], np.float32))


def test_two_trainings_give_one_digest_and_another_seed_another(tmp_path: Path, invented: Data) -> None:
    first, again = (train("1", tmp_path / folder, recipe=SMALL, data=invented) for folder in ("a", "b"))
    assert first.digest == again.digest
    for name in ("model.onnx", "golden.npz", "manifest.json"):
        assert (first.directory / name).read_bytes() == (again.directory / name).read_bytes()
    assert train("1", tmp_path / "c", recipe=SMALL, data=invented, seed=8).digest != first.digest


def test_what_is_written_loads_and_its_golden_set_is_the_models_own(tmp_path: Path, invented: Data) -> None:
    heard: list[str] = []
    train("2", tmp_path, recipe=SMALL, data=invented, report=heard.append)
    version = load_version(tmp_path, "flight-delay", "2", UNSIGNED_ALLOWED)
    golden = load_golden(version)
    assert len(golden.inputs) >= 512
    assert answer(version.model_bytes, golden.inputs)[:, 0] == pytest.approx(golden.expected, abs=1e-6)
    assert version.subject in heard[-1]
    assert str(tmp_path) not in (version.directory / "manifest.json").read_text()


def test_an_existing_version_is_not_replaced(tmp_path: Path, invented: Data) -> None:
    train("1", tmp_path, recipe=SMALL, data=invented)
    with pytest.raises(RegistryError, match="already holds a different"):
        train("1", tmp_path, recipe=SMALL, data=invented, seed=8)


def test_an_unknown_version_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no recipe for version 3: choose one of 1, 2"):
        train("3", tmp_path)
