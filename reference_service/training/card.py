"""The model card: what a reader must know before relying on the model, in words and numbers.

Rule: every number is read from the committed versions, so the card can't disagree with them; the words state what the
training code does.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_service.registry import ModelVersion, list_versions, load_golden, load_version
from reference_service.training.card_words import CLOSING, OPENING
from reference_service.trust import UNSIGNED_ALLOWED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

CARD_FILE = "MODEL_CARD.md"


def write_card(registry: Path, name: str) -> None:
    """Write the card of a model beside its versions."""
    (registry / name / CARD_FILE).write_text(render_card(registry, name), encoding="utf-8")


def render_card(registry: Path, name: str) -> str:
    """The card of all versions of a model in a registry."""
    versions = [
        load_version(registry, name, version, UNSIGNED_ALLOWED)
        for model, version in list_versions(registry)
        if model == name
    ]
    sections = [
        OPENING,
        _facts(versions),
        _windows(versions),
        _quality(versions),
        *(_calibration(version) for version in versions),
        _decision(versions),
        _agreement(versions),
        _columns(versions[-1]),
        CLOSING,
    ]
    return "\n\n".join(section.strip() for section in sections if section) + "\n"


def _facts(versions: Sequence[ModelVersion]) -> str:
    rows = [
        (
            version.version,
            f"`{version.digest[:16]}`",
            f"{version.manifest.parameters:,}",
            f"{len(version.model_bytes):,}",
            f"{version.manifest.framework['trainer']}, {version.manifest.framework['exporter']}",
            f"{version.manifest.framework['opset']} / {version.manifest.framework['ir_version']}",
            version.manifest.framework["seed"],
        )
        for version in versions
    ]
    heads = ("version", "manifest sha256", "parameters", "bytes of ONNX", "framework", "opset / IR", "seed")
    recipe, columns = versions[-1].manifest.framework["recipe"], versions[-1].manifest.inputs[0].shape[-1]
    return (
        "## Type, size, framework\n\n"
        f"A wide and deep model in one ONNX graph, normalisation included: {100 * recipe['linear_share']:g} % is a "
        f"logistic regression, the rest the mean of {recipe['networks']} multilayer perceptrons with one hidden layer "
        f"of {recipe['hidden']} rectified linear units, each fitted to a random {100 * recipe['days_share']:g} % of "
        f"the days. Input `features` FP32 [N, {columns}], output `late_probability` FP32 [N, 1]. "
        "To serve it: any ONNX engine. To train it: scikit-learn, onnx, onnxruntime, numpy and pandas "
        "(`pip install 'gonogo[train]'`).\n\n" + _table(heads, rows)
    )


def _windows(versions: Sequence[ModelVersion]) -> str:
    rows = []
    for version in versions:
        data = version.manifest.data
        for label, window, key in (
            ("fitted on", "train_window", "fit"),
            ("threshold chosen on", "validation_window", "validate"),
            ("held out", "holdout_window", "holdout"),
        ):
            share = f"{100 * data['late_share'][key]:.1f} %"
            rows.append((version.version, label, " to ".join(data[window]), f"{data['rows'][key]:,}", share))
    data = versions[-1].manifest.data
    return (
        f"## Data\n\n{data['source']}, licence {data['licence']}, sha256 of its files `{data['digest'][:16]}…`.\n\n"
        + _table(("version", "use", "days", "flights", "late"), rows)
    )


def _quality(versions: Sequence[ModelVersion]) -> str:
    rows = [row for version in versions for row in _quality_rows(version)]
    metrics = versions[-1].manifest.metrics
    return (
        "## Quality, next to a logistic regression on the same columns\n\n"
        f"On the held-out flights, n = {metrics['auc']['n']:,} on {metrics['days']} days. Intervals at "
        f"{100 * metrics['confidence']:g} %: {metrics['auc_gain']['method']}, {metrics['resamples']:,} resamples. "
        "A gain above zero is in the model's favour (higher AUC, lower Brier score). The logistic regression is the "
        "baseline and, as it stands, the model's linear half: the gain is what the networks add to it.\n\n"
        + _table(("version", "measure", "model", "logistic regression", "paired gain"), rows)
        + "\n\n"
        + " ".join(_finding(version) for version in versions)
    )


def _quality_rows(version: ModelVersion) -> list[tuple[str, ...]]:
    metrics = version.manifest.metrics
    alone = metrics["networks_alone"]
    rows: list[tuple[str, ...]] = []
    for label, key in (("AUC", "auc"), ("Brier score", "brier")):
        baseline, gain = _interval(metrics[f"baseline_{key}"]), f"{key}_gain"
        rows.append((version.version, label, _interval(metrics[key]), baseline, _interval(metrics[gain])))
        rows.append(
            (version.version, f"{label}, networks alone", _interval(alone[key]), baseline, _interval(alone[gain]))
        )
    errors = [metrics["calibration"][half]["expected_calibration_error"] for half in ("model", "baseline")]
    rows.append((version.version, "calibration error", *(f"{error:.4f}" for error in errors), "not compared"))
    return rows


def _finding(version: ModelVersion) -> str:
    low, high = version.manifest.metrics["auc_gain"]["interval"]
    if low > 0:
        return f"Version {version.version} ranks flights better than the baseline: its gain's interval is above zero."
    if high < 0:
        return f"Version {version.version} ranks flights worse than the baseline: its gain's interval is below zero."
    return (
        f"Version {version.version} is not shown to rank flights better than the baseline: its gain's interval "
        "includes zero."
    )


def _calibration(version: ModelVersion) -> str:
    both = (version.manifest.metrics["calibration"][key]["table"] for key in ("model", "baseline"))
    rows = [
        (
            number,
            f"{ours['flights']:,}",
            *(f"{bin_[key]:.3f}" for bin_ in (ours, theirs) for key in ("predicted", "observed")),
        )
        for number, (ours, theirs) in enumerate(zip(*both, strict=True), start=1)
    ]
    heads = ("tenth", "flights", "predicted", "observed late", "baseline predicted", "baseline observed late")
    return f"### Calibration of version {version.version}, by tenths of predicted probability\n\n" + _table(heads, rows)


def _decision(versions: Sequence[ModelVersion]) -> str:
    rows = []
    for version in versions:
        held = version.manifest.metrics["decision"]
        shares = (f"{100 * held[key]:.1f} %" for key in ("flagged_share", "precision", "recall", "accuracy"))
        rows.append((version.version, f"{version.manifest.decision.threshold:g}", *shares))
    late = f"{100 * versions[-1].manifest.metrics['late_share']:.1f} %"
    return (
        "## Decision\n\n"
        "A flight is flagged when its probability reaches the threshold. The threshold is the one that, on the "
        "validation window, flags as many flights as were late: warnings are then as frequent as delays, which "
        f"people can live with, and no cost has to be invented. On the held-out flights ({late} late):\n\n"
        + _table(("version", "threshold", "flagged", "precision", "recall", "accuracy"), rows)
    )


def _agreement(versions: Sequence[ModelVersion]) -> str:
    """How often two neighbouring versions decide alike on the held-out flights that both keep."""
    lines = []
    for earlier, later in pairwise(versions):
        goldens = [load_golden(version) for version in (earlier, later)]
        if not np.array_equal(goldens[0].inputs, goldens[1].inputs):
            continue
        flags = [
            golden.expected >= version.manifest.decision.threshold
            for golden, version in zip(goldens, (earlier, later), strict=True)
        ]
        alike, n = int((flags[0] == flags[1]).sum()), len(flags[0])
        low, high = _wilson(alike, n)
        lines.append(
            f"Versions {earlier.version} and {later.version} decide alike on {alike:,} of the {n:,} flights of the "
            f"golden set: {100 * alike / n:.1f} %, 95 % interval {100 * low:.1f} to {100 * high:.1f} % (Wilson)."
        )
    return " ".join(lines)


def _wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's score interval of a share at 95 % (Wilson, 1927)."""
    z = 1.959964
    centre = (successes + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * float(np.sqrt(successes * (n - successes) / n + z * z / 4))
    return centre - half, centre + half


def _columns(version: ModelVersion) -> str:
    columns = version.manifest.inputs[0].columns
    rows = [(f"`{column.name}`", f"{column.min:.4g}", f"{column.max:.4g}") for column in columns]
    return f"## Columns, with the range seen by version {version.version}\n\n" + _table(("column", "min", "max"), rows)


def _interval(measure: Any) -> str:
    low, high = measure["interval"]
    return f"{measure['value']:.4f} ({low:.4f} to {high:.4f})"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
