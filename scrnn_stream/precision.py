"""The inverse of a correlation matrix, with something added to its spectrum first, for few sensors at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream._compile import jit

Array = NDArray[Any]

ALMOST_NOTHING = 1e-10  # an eigenvalue below minus this is indefiniteness, above it is rounding


@jit
def invert(A: Array, n: int) -> bool:
    """A = inv(A), of its first n lines, symmetric, by Gauss-Jordan elimination: as many steps as Cholesky, but by rows.

    False, and A destroyed, where a pivot is not positive: it is not positive definite.
    """
    for k in range(n):
        pivot = A[k, k]
        if not pivot > 0:
            return False
        A[k, k] = 1.0
        for j in range(n):
            A[k, j] /= pivot
        for i in range(n):
            if i != k:
                Aik = A[i, k]
                A[i, k] = 0.0
                for j in range(n):
                    A[i, j] -= Aik * A[k, j]
    return True


@jit
def is_definite(L: Array, A: Array) -> bool:
    """A, symmetric (n, n), has no eigenvalue that is negative by more than rounding. L is scratch space."""
    n = A.shape[0]
    copy(L, A, ALMOST_NOTHING)
    for k in range(n):
        if not L[k, k] > 0:
            return False
        for i in range(k + 1, n):
            ratio = L[i, k] / L[k, k]
            for j in range(k + 1, n):
                L[i, j] -= ratio * L[k, j]
    return True


@jit
def copy(out: Array, A: Array, ridge: float) -> None:
    """out = A + ridge I"""
    for i in range(A.shape[0]):
        for j in range(A.shape[0]):
            out[i, j] = A[i, j]
        out[i, i] += ridge


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
    if is_definite(L, A):
        copy(out, A, ridge)
        if invert(out, A.shape[0]):
            return
    clipped_inverse(out, A, ridge)
