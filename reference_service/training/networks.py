"""Fitting: the logistic regression that is half of the model and its baseline, and the small networks beside it.

Rule: all see the same normalised columns; every random choice comes from one seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CLIP = 5.0
"""Normalised inputs are held within ± 5 standard deviations, so that no weather unseen in training is extrapolated."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of a training, chosen on rehearsal windows that end before the hold-out begins.

    Each network sees a random `days_share` of the days: averaged, they keep what holds across days.
    `linear_share` is the weight of the logistic regression in the mean, the networks share the rest.
    `penalty` is scikit-learn's alpha: a batch's loss carries penalty / (2 x batch) x sum of squared weights. It is
    high because flights of one day share their weather and their luck: there are far fewer days than flights.
    """

    hidden: int = 64
    networks: int = 12
    days_share: float = 0.5
    epochs: int = 12
    batch: int = 1024
    learning_rate: float = 1e-3
    penalty: float = 5.0
    linear_share: float = 0.5
    linear_inverse_penalty: float = 0.01


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and standard deviation of each column over the flights trained on; columns that never change get 1."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def of(cls, matrix: NDArray[np.float32]) -> Scale:
        """The scale of a matrix's columns."""
        deviation = matrix.std(axis=0, dtype=np.float64)
        deviation[deviation == 0] = 1.0
        return cls(matrix.mean(axis=0, dtype=np.float64).astype(np.float32), deviation.astype(np.float32))

    def apply(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalised and clipped columns."""
        return np.asarray(np.clip((matrix - self.mean) / self.deviation, -CLIP, CLIP), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gives: the scale, the logistic regression, the networks, and how the mean weighs them."""

    scale: Scale
    linear: Any
    networks: tuple[Any, ...]
    linear_share: float

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probability of late by the whole model, in scikit-learn."""
        linear, networks = self.linear_probabilities(matrix), self.network_probabilities(matrix)
        return self.linear_share * linear + (1 - self.linear_share) * networks

    def linear_probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probability of late by the logistic regression alone, the baseline."""
        return np.asarray(self.linear.predict_proba(self.scale.apply(matrix))[:, 1], dtype=np.float64)

    def network_probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Mean probability of late by the networks alone."""
        columns = self.scale.apply(matrix)
        members = [network.predict_proba(columns)[:, 1] for network in self.networks]
        return np.asarray(np.mean(members, axis=0), dtype=np.float64)


def fit(
    matrix: NDArray[np.float32],
    late: NDArray[np.uint8],
    day: NDArray[np.int64],
    *,
    recipe: Recipe,
    seed: int,
    report: Callable[[str], None],
) -> Trained:
    """Train on flights (rows of `matrix`) that were `late` (1) or not (0) on `day`."""
    scale = Scale.of(matrix)
    columns = scale.apply(matrix)
    report(f"fitting the logistic regression on {len(late)} flights")
    linear = LogisticRegression(C=recipe.linear_inverse_penalty, max_iter=500).fit(columns, late)
    networks = []
    for member in range(recipe.networks):
        report(f"fitting network {member + 1} of {recipe.networks}")
        chosen = _days(day, recipe.days_share, seed=seed + member)
        networks.append(_network(columns[chosen], late[chosen], recipe, seed=seed + member))
    return Trained(scale, linear, tuple(networks), recipe.linear_share)


def _days(day: NDArray[np.int64], share: float, *, seed: int) -> NDArray[np.bool_]:
    """The flights of a random share of the days."""
    days = np.unique(day)
    drawn = np.random.default_rng(seed).choice(days, round(share * len(days)), replace=False)
    return np.isin(day, drawn)


def _network(columns: NDArray[np.float32], late: NDArray[np.uint8], recipe: Recipe, *, seed: int) -> Any:
    network = MLPClassifier(
        hidden_layer_sizes=(recipe.hidden,),
        alpha=recipe.penalty,
        batch_size=min(recipe.batch, len(late)),
        learning_rate_init=recipe.learning_rate,
        random_state=seed,
    )
    for _ in range(recipe.epochs):
        network.partial_fit(columns, late, classes=[0, 1])
    return network
