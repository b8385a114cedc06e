"""The inverse of a correlation matrix, with something added to its spectrum first, for few sensors at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream._kernels import jit

Array = NDArray[Any]

ALMOST_NOTHING = 1e-10  # an eigenvalue below minus this is indefiniteness, above it is rounding


@jit
def cholesky(L: Array, A: Array, ridge: float, n: int) -> bool:
    """The lower triangle of L, L L' = A + ridge I, over the first n of each; False if that is not positive definite."""
    for i in range(n):
        for j in range(i + 1):
            total = A[i, j] + (ridge if i == j else 0.0)
            for k in range(j):
                total -= L[i, k] * L[j, k]
            if i > j:
                L[i, j] = total / L[j, j]
            elif total > 0:
                L[i, i] = np.sqrt(total)
            else:
                return False
    return True


@jit
def inverse_of_factor(out: Array, L: Array, n: int) -> None:
    """out = inv(L L') = M' M with M = inv(L), which takes the place of L."""
    for j in range(n):
        L[j, j] = 1.0 / L[j, j]
        for i in range(j + 1, n):
            total = 0.0
            for k in range(j, i):
                total += L[i, k] * L[k, j]
            L[i, j] = -total / L[i, i]
    for i in range(n):
        out[i, :n] = 0.0
        for k in range(i, n):
            Mki = L[k, i]
            for j in range(i + 1):
                out[i, j] += Mki * L[k, j]
    for i in range(n):
        for j in range(i):
            out[j, i] = out[i, j]


@jit
def clipped_inverse(out: Array, A: Array, ridge: float) -> None:
    """out = Q inv(max(S, 0) + ridge) Q' with A = Q S Q'."""
    spectrum, Q = np.linalg.eigh(A)
    n = spectrum.size
    for i in range(n):
        for j in range(i + 1):
            total = 0.0
            for k in range(n):
                total += Q[i, k] * Q[j, k] / (max(spectrum[k], 0.0) + ridge)
            out[i, j] = total
            out[j, i] = total


@jit
def ridged_inverse(out: Array, L: Array, A: Array, ridge: float) -> None:
    """out = inv(A + ridge I), A symmetric (n, n); its negative eigenvalues count as 0. L (n, n) is scratch space.

    Readings that miss each other can leave a correlation matrix indefinite; the others take the short way.
    """
    n = A.shape[0]
    if cholesky(L, A, ALMOST_NOTHING, n) and cholesky(L, A, ridge, n):
        inverse_of_factor(out, L, n)
    else:
        clipped_inverse(out, A, ridge)
