"""What the detector expects of the next record: the network's readout, by least squares instead of gradients.

    y_t = U h_t + V s_t + Q x_t + c

Weights that a gradient moves tremble by its learning rate; on driven machines the network then forecasts worse than the
last reading does. Least squares finds all four within some hundred records, and leaves the network to learn what it is
good for: the error travels back from here through U and V, and moves hidden and context units slowly. The direct path Q
is not in the paper. Beyond MOST_DENSE sensors there is none: the cost grows with the square of their number.

The readout of a machine is one vector: the weights (F, D) of the regressors f = (h_t, s_t, 1, x_t), and their
covariance (F, F). The network's own U, V and c are copies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import _kernels as network
from scrnn_stream._compile import jit, jit_or_python, view
from scrnn_stream._layout import SLOT, Kind, Rates, Shape, parameters, tape_of, theta_of
from scrnn_stream.least_squares import begin_anew, correct_all, take_in
from scrnn_stream.places import MOST_DENSE

Array = NDArray[Any]

KEEP = 1 - 1 / 2000  # records: of the least squares
DOUBT = 1.0  # variance of a weight before anything is learned, and at most


@jit_or_python
def n_direct(shape: Shape) -> int:
    """Sensors with a direct path."""
    return shape[0] if shape[0] <= MOST_DENSE else 0


@jit_or_python
def n_regressors(shape: Shape) -> int:
    """F."""
    return shape[1] + shape[2] + 1 + n_direct(shape)


@jit_or_python
def n_readout(shape: Shape) -> int:
    return n_regressors(shape) * (n_regressors(shape) + shape[3])


@jit_or_python
def n_scratch(shape: Shape) -> int:
    """Regressors and gains, what comes by the direct path, what is left for the network to explain."""
    return 2 * (n_regressors(shape) + shape[3])


@jit_or_python
def weights_of(readout: Array, shape: Shape) -> Array:
    return view(readout, 0, (n_regressors(shape), shape[3]))


@jit_or_python
def covariance_of(readout: Array, shape: Shape) -> Array:
    F = n_regressors(shape)
    return view(readout, F * shape[3], (F, F))


@jit
def doubt(readout: Array, shape: Shape) -> None:
    """Nothing is certain: what is seen next is learned fast."""
    begin_anew(covariance_of(readout, shape), DOUBT)


def grown(old: Array, old_shape: Shape, shape: Shape) -> Array:
    """A readout with room for more sensors, which has learned what the old one has; new ones start at 0.

    Sensors come last among the regressors, so all that is known stands at the beginning.
    """
    new = np.zeros(n_readout(shape))
    doubt(new, shape)
    n = min(n_regressors(old_shape), n_regressors(shape))
    weights_of(new, shape)[:n, : old_shape[3]] = weights_of(old, old_shape)[:n]
    covariance_of(new, shape)[:n, :n] = covariance_of(old, old_shape)[:n, :n]
    return new


@jit
def regressors(f: Array, x: Array, own: Array, counts: Array, shape: Shape) -> None:
    """f = (h_t, s_t, 1, x_t) of the network's present step."""
    H, C, now, tape = shape[1], shape[2], counts[SLOT], tape_of(own, shape)
    for i in range(H):
        f[i] = tape[now + 1, i]
    for i in range(C):
        f[H + i] = tape[now, H + i]
    f[H + C] = 1.0
    for j in range(n_direct(shape)):
        f[H + C + 1 + j] = x[j] if np.isfinite(x[j]) else 0.0


@jit
def directly(out: Array, x: Array, weights: Array, shape: Shape) -> None:
    """out = Q x_t"""
    first = shape[1] + shape[2] + 1
    out[:] = 0.0
    for i in range(n_direct(shape)):
        if np.isfinite(x[i]):
            for j in range(out.size):
                out[j] += weights[first + i, j] * x[i]


@jit
def hand_over(own: Array, weights: Array, shape: Shape) -> None:
    """U, V and c of the network become those of the readout."""
    H, C = shape[1], shape[2]
    _, _, _, U, V, c, _ = parameters(theta_of(own, shape), shape)
    for i in range(H):
        for j in range(c.size):
            U[j, i] = weights[i, j]
    for i in range(C):
        for j in range(c.size):
            V[j, i] = weights[H + i, j]
    for j in range(c.size):
        c[j] = weights[H + C, j]


@jit
def expect(
    out: Array,
    scratch: Array,
    work: Array,
    readout: Array,
    own: Array,
    counts: Array,
    x: Array,
    step: float,
    shape: Shape,
    kind: Kind,
) -> None:
    """out = y_t, what is expected of the record after x_t. Changes nothing but scratch space."""
    F = n_regressors(shape)
    direct = view(scratch, 2 * F, (shape[3],))
    directly(direct, x, weights_of(readout, shape), shape)
    network.predict(out, work, own, counts, x, step, shape, kind)
    for j in range(out.size):
        out[j] += direct[j]


@jit
def learn(
    out: Array,
    scratch: Array,
    work: Array,
    readout: Array,
    own: Array,
    counts: Array,
    x: Array,
    target: Array,
    step: float,
    shape: Shape,
    kind: Kind,
    rates: Rates,
) -> None:
    """The same, and learn from what came: first the units, by what the direct path leaves, then the readout.

    Across a gap in time the readout learns nothing: what follows from one record holds for the next.
    """
    F, D = n_regressors(shape), shape[3]
    f, gain = view(scratch, 0, (F,)), view(scratch, F, (F,))
    direct, left = view(scratch, 2 * F, (D,)), view(scratch, 2 * F + D, (D,))
    weights = weights_of(readout, shape)
    directly(direct, x, weights, shape)
    for j in range(D):
        left[j] = target[j] - direct[j]
    network.learn(out, work, own, counts, x, left, step, shape, kind, rates)
    for j in range(D):
        out[j] += direct[j]
    if step > 1:
        return
    regressors(f, x, own, counts, shape)
    spread = take_in(covariance_of(readout, shape), gain, f, KEEP, DOUBT)
    for j in range(D):  # the forecast is f'w already
        left[j] = target[j] - out[j] if np.isfinite(target[j]) and np.isfinite(out[j]) else 0.0
    correct_all(weights, gain, spread, left)
    hand_over(own, weights, shape)
