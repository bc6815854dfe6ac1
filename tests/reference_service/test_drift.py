"""Drift is nothing on the training data itself, large where it is known to be, and unknown on few rows."""

from __future__ import annotations

import math
import urllib.request
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest

from reference_service.protocol.messages import infer_request
from reference_service.protocol.open_inference_pb2_grpc import GRPCInferenceServiceStub
from reference_service.reference import SCORE, Reference, ReferenceFileError
from reference_service.registry import load_golden, load_version
from reference_service.telemetry.drift import ROWS_MIN, Drift
from reference_service.trust import UNSIGNED_ALLOWED
from tests.reference_service.running import ROOT, in_own_process, wait_for

if TYPE_CHECKING:
    from pathlib import Path

RANDOM = np.random.default_rng(5)
TRAINING = RANDOM.normal(size=(20_000, 2)).astype(np.float32)
TRAINING[:, 1] = TRAINING[:, 1] > 1.5  # a flag that is seldom set
REFERENCE = Reference.of(["x", "flag"], TRAINING, TRAINING[:, 0] / 2)


def counted(rows: np.ndarray, rows_max: int = 10_000) -> Drift:
    drift = Drift(REFERENCE, rows_max)
    for part in np.array_split(rows, 10):
        drift.add(part, part[:, 0] / 2)
    return drift


def test_a_reference_is_the_same_after_a_round_trip() -> None:
    assert Reference.decode(REFERENCE.encode()).encode() == REFERENCE.encode()
    assert [len(item.shares) for item in REFERENCE.columns] == [10, 2, 10]
    assert sum(REFERENCE.columns[0].shares) == pytest.approx(1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"schema": 2}',
        REFERENCE.encode().replace(b'"edges": [\n', b'"edges": [\n 9e9,\n', 1),
    ],
)
def test_what_is_no_reference_is_refused(content: bytes) -> None:
    with pytest.raises(ReferenceFileError):
        Reference.decode(content)


def test_rows_like_those_of_training_have_an_index_near_nine_over_n() -> None:
    again = RANDOM.normal(size=(5000, 2)).astype(np.float32)
    again[:, 1] = again[:, 1] > 1.5
    found = counted(again).psi()
    assert max(found.values()) < 5 * 9 / 5000


def test_a_shift_of_a_standard_deviation_calls_for_action_in_its_column_alone() -> None:
    shifted = RANDOM.normal(size=(5000, 2)).astype(np.float32)
    shifted[:, 1] = shifted[:, 1] > 1.5
    found = counted(shifted + np.array([1, 0], np.float32)).psi()
    assert found["x"] > 0.25
    assert found[SCORE] > 0.25
    assert found["flag"] < 0.02


def test_the_index_is_that_of_its_definition() -> None:
    drift = Drift(REFERENCE)
    rows = np.zeros((1999, 2), np.float32)
    drift.add(rows, rows[:, 0])
    (x,) = (item for item in REFERENCE.columns if item.name == "x")
    counts = np.bincount([np.searchsorted(x.edges, 0, "right")] * 1999, minlength=10) + 0.5
    live, training = counts / counts.sum(), np.array(x.shares)
    assert drift.psi()["x"] == pytest.approx(((live - training) * np.log(live / training)).sum())


def test_of_too_few_rows_nothing_is_said_and_old_ones_are_forgotten() -> None:
    assert all(map(math.isnan, counted(TRAINING[: ROWS_MIN - 1]).psi().values()))
    assert not any(map(math.isnan, counted(TRAINING[:ROWS_MIN]).psi().values()))
    drift = counted(np.concatenate([TRAINING[:5000] + 9, TRAINING[:5000]]), rows_max=5000)
    assert drift.rows == 5000
    assert drift.outside()["x"] == 0
    assert counted(TRAINING[:5000] + 9).outside()["x"] > 0.99


def test_the_shipped_models_year_has_drifted_by_its_hold_out() -> None:
    version = load_version(ROOT / "reference_service/models", "flight-delay", "1", UNSIGNED_ALLOWED)
    assert version.reference_bytes is not None
    golden = load_golden(version)
    drift = Drift(Reference.decode(version.reference_bytes))
    drift.add(golden.inputs, golden.expected)
    found = drift.psi()
    assert found["temperature_f"] > 0.25  # November and December beside February to July
    assert found["origin_JFK"] < 0.1


@pytest.mark.slow
def test_a_running_service_tells_its_drift(tmp_path: Path) -> None:
    config = tmp_path / "service.toml"
    config.write_text('[metrics]\nlisten = "127.0.0.1:0"\n')
    registry = ROOT / "reference_service/models"
    version = load_version(registry, "flight-delay", "1", UNSIGNED_ALLOWED)
    rows = load_golden(version).inputs[:1024]
    with in_own_process(registry, "flight-delay", "--config", str(config)) as process:
        ready = process.await_event("ready")

        def told() -> str:
            with urllib.request.urlopen(f"http://{ready['metrics']}/metrics", timeout=5) as answer:
                text: str = answer.read().decode()
            return text

        assert 'drift_psi{column="temperature_f"} NaN' in told()
        with grpc.insecure_channel(ready["address"]) as channel:
            GRPCInferenceServiceStub(channel).ModelInfer(infer_request("flight-delay", "features", rows))
        wait_for(lambda: 'drift_psi{column="temperature_f"} NaN' not in told())
        assert 'drift_psi{column="score"}' in told()
