"""What the speed tables run: sizes, a stream of sensors, networks, and how many operations a sample costs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scrnn_stream.network import SCRNN

Array = NDArray[Any]
EARLY_STOP = 1e-3


class Shape(NamedTuple):
    """Inputs (and outputs), hidden units, context units, steps of truncation."""

    D: int
    H: int
    C: int
    K: int

    def __str__(self) -> str:
        return ", ".join(map(str, self))


SHAPES = (Shape(1, 16, 8, 5), Shape(8, 32, 8, 20), Shape(8, 64, 16, 20), Shape(38, 64, 16, 20), Shape(38, 100, 40, 50))
MIDDLE = SHAPES[1]


def stream(n_sensors: int, n_samples: int, seed: int = 0) -> tuple[Array, Array]:
    """Noisy oscillations of about unit variance and what comes next: xs, targets (n_samples, n_sensors), float32."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_samples + 1)[:, None]
    period, phase = rng.uniform(8, 200, n_sensors), rng.uniform(0, 2 * np.pi, n_sensors)
    values = 1.4 * np.sin(2 * np.pi * t / period + phase) + 0.2 * rng.standard_normal((n_samples + 1, n_sensors))
    values = values.astype(np.float32)
    return values[:-1].copy(), values[1:].copy()


def network(shape: Shape, early_stop: float = EARLY_STOP) -> SCRNN:
    """A network that has not learned yet and predicts each sensor's next value."""
    D, H, C, K = shape
    return SCRNN(D, D, n_hidden=H, n_context=C, truncation_length=K, early_stop=early_stop, seed=1)


def n_operations_of_score(shape: Shape) -> float:
    """Floating-point operations of a prediction: two for each multiply-add of its products."""
    D, H, C, _ = shape
    return 2.0 * (D * C + H * (H + C + D) + D * (H + C))


def n_operations_of_learn(shape: Shape, n_steps: float) -> float:
    """Operations of an update whose error travels back n_steps: two for each multiply-add, 11 for each weight."""
    D, H, C, K = shape
    n_weights = H * (H + C + D + 1) + C * (D + 1) + D * (H + C + 1)
    readout = 3 * D * (H + C)
    hidden = n_steps * 2 * (H * (H + C) + H * (H + C + D))
    context = 2 * (K + 1) * C * D + 3 * C * D
    return n_operations_of_score(shape) + readout + hidden + context + 11 * n_weights
