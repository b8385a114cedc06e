"""Streams that ask for what was seen long ago: recall, adding, a hidden level. Inputs and targets, one row a sample.

A target is NaN where nothing is asked. Every stream is drawn from a seed, and any number of samples can be drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

N_NOISE = 2  # inputs that mean nothing, in the tasks of recall
LEVEL_MEMORY = 200.0  # time constant of the hidden level, in samples
LEVEL_ASKED_EVERY = 10
LEVEL_NOISE = 0.1  # standard deviation of the noise on what is measured of the level


class Task(NamedTuple):
    """A stream to learn from, and the windows in which networks without forward traces learn it here."""

    name: str
    title: str
    draw: Callable[[int, int], tuple[Array, Array]]  # n_samples, seed -> inputs (T, D), targets (T, 1)
    windows: tuple[int, ...]


def recall(n_samples: int, seed: int, lag: int) -> tuple[Array, Array]:
    """A cue of +-1 in input 0 is to be recalled `lag` samples later, when input 1 asks; two more inputs are noise."""
    rng = np.random.default_rng(seed)
    xs, targets = np.zeros((n_samples, 2 + N_NOISE)), np.full((n_samples, 1), np.nan)
    xs[:, 2:] = rng.standard_normal((n_samples, N_NOISE))
    for start in range(0, n_samples - lag, lag + 2):
        xs[start, 0] = targets[start + lag, 0] = rng.choice([-1.0, 1.0])
        xs[start + lag, 1] = 1.0
    return xs, targets


def adding(n_samples: int, seed: int, lag: int) -> tuple[Array, Array]:
    """Of `lag` values in [0, 1] two are marked, one in each half; at the last one their sum is asked for.

    Inputs are the value, the mark and the question. The problem of Hochreiter and Schmidhuber (1997), back to back.
    """
    rng = np.random.default_rng(seed)
    xs, targets = np.zeros((n_samples, 3)), np.full((n_samples, 1), np.nan)
    xs[:, 0] = rng.random(n_samples)
    for start in range(0, n_samples - lag + 1, lag):
        marked = start + rng.integers(0, lag // 2, 2) + [0, lag // 2]
        xs[marked, 1], xs[start + lag - 1, 2] = 1.0, 1.0
        targets[start + lag - 1, 0] = xs[marked, 0].sum()
    return xs, targets


def level(n_samples: int, seed: int) -> tuple[Array, Array]:
    """A slowly drifting level that is never an input, as a tank or a fouled pipe has, measured every tenth sample.

        L_t = a L_(t-1) + sqrt(1 - a^2) u_t      an average of the inflow u over 200 samples, of variance 1
        y_t = L_t (1 + v_t / 2) + noise          what is measured; v is a second input, noise is 0.1 wide

    Inputs are u and v, white noise of variance 1. Without a memory of some 200 samples nothing of L is known.
    """
    rng = np.random.default_rng(seed)
    xs = rng.standard_normal((n_samples, 2))
    a = np.exp(-1.0 / LEVEL_MEMORY)
    level_now, levels = rng.standard_normal(), np.empty(n_samples)
    for t, u in enumerate(xs[:, 0]):
        level_now = levels[t] = a * level_now + np.sqrt(1 - a * a) * u
    measured = levels * (1 + xs[:, 1] / 2) + LEVEL_NOISE * rng.standard_normal(n_samples)
    targets = np.full((n_samples, 1), np.nan)
    targets[::LEVEL_ASKED_EVERY, 0] = measured[::LEVEL_ASKED_EVERY]
    return xs, targets


TASKS = (
    Task("recall-100", "recall 100", partial(recall, lag=100), (20, 150)),
    Task("recall-300", "recall 300", partial(recall, lag=300), (20, 150, 350)),
    Task("adding-100", "adding 100", partial(adding, lag=100), (20, 150)),
    Task("level", "level", level, (20,)),
)
