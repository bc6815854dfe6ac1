"""The committed card and versions agree, and the card claims only what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import reference_service
from reference_service.registry import load_golden, load_version
from reference_service.training.card import CARD_FILE, _finding, render_card
from reference_service.training.windows import WINDOWS
from reference_service.trust import UNSIGNED_ALLOWED

MODELS = Path(reference_service.__file__).parent / "models"
NAME = "flight-delay"


def test_the_committed_card_is_what_the_committed_versions_give() -> None:
    assert (MODELS / NAME / CARD_FILE).read_text(encoding="utf-8") == render_card(MODELS, NAME)


@pytest.mark.parametrize("version", WINDOWS)
def test_a_committed_version_is_small_and_answers_its_golden_set(version: str) -> None:
    committed = load_version(MODELS, NAME, version, UNSIGNED_ALLOWED)
    assert sum(path.stat().st_size for path in committed.directory.iterdir()) < 1_000_000
    golden = load_golden(committed)
    session = onnxruntime.InferenceSession(committed.model_bytes, providers=["CPUExecutionProvider"])
    answers = session.run(["late_probability"], {"features": golden.inputs})[0][:, 0]
    assert np.abs(answers - golden.expected).max() <= 1e-5


@pytest.mark.parametrize("version", WINDOWS)
def test_a_committed_version_was_measured_on_enough_flights(version: str) -> None:
    metrics = load_version(MODELS, NAME, version, UNSIGNED_ALLOWED).manifest.metrics
    assert metrics["auc"]["n"] >= 20_000
    assert metrics["auc_gain"]["interval"][0] <= metrics["auc_gain"]["value"] <= metrics["auc_gain"]["interval"][1]


def test_versions_hold_the_same_golden_flights() -> None:
    first, second = (load_golden(load_version(MODELS, NAME, version, UNSIGNED_ALLOWED)) for version in WINDOWS)
    assert (first.inputs == second.inputs).all()
    assert (first.labels == second.labels).all()


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ([0.001, 0.01], "ranks flights better than"),
        ([-0.001, 0.01], "is not shown to rank"),
        ([-0.02, -0.01], "ranks flights worse than"),
    ],
)
def test_the_card_claims_only_what_the_interval_supports(interval: list[float], said: str) -> None:
    committed = load_version(MODELS, NAME, "1", UNSIGNED_ALLOWED)
    metrics = {**committed.manifest.metrics, "auc_gain": {"interval": interval}}
    assert said in _finding(replace(committed, manifest=replace(committed.manifest, metrics=metrics)))
