"""Inverses against NumPy's, and against the spectrum where a matrix is indefinite."""

from __future__ import annotations

import numpy as np
import pytest

from scrnn_stream.precision import invert, is_definite, ridged_inverse


def correlation(n: int, seed: int, rank: int | None = None) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(rank or 3 * n, n))
    return np.corrcoef(x @ np.diag(np.ones(n)), rowvar=False).reshape(n, n) if rank is None else x.T @ x / rank


def by_spectrum(A: np.ndarray, ridge: float) -> np.ndarray:
    """inv(A + ridge I) with negative eigenvalues at 0, by its definition."""
    spectrum, Q = np.linalg.eigh(A)
    return Q @ np.diag(1 / (np.maximum(spectrum, 0) + ridge)) @ Q.T


@pytest.mark.parametrize("n", [1, 2, 8, 38])
def test_the_inverse_is_numpys_and_leaves_the_rest_alone(n: int) -> None:
    A = np.full((n + 2, n + 2), 7.0)
    A[:n, :n] = correlation(n, seed=n) + 0.01 * np.eye(n)
    expected = A.copy()
    expected[:n, :n] = np.linalg.inv(A[:n, :n])
    assert invert(A, n)
    np.testing.assert_allclose(A, expected, rtol=1e-7, atol=1e-9)


def test_an_indefinite_matrix_is_not_inverted() -> None:
    assert not invert(np.array([[1.0, 2.0], [2.0, 1.0]]), 2)
    assert not invert(np.full((2, 2), np.nan), 2)


@pytest.mark.parametrize(
    ("A", "definite"),
    [
        (np.eye(3), True),
        (np.zeros((3, 3)), True),  # nobody is known
        (np.ones((3, 3)), True),  # three sensors that are one
        (np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]]), False),  # learned from different records
    ],
)
def test_a_matrix_without_negative_eigenvalues_is_definite_enough(A: np.ndarray, definite: bool) -> None:
    assert is_definite(np.zeros_like(A), A) == definite == (np.linalg.eigvalsh(A).min() > -1e-10)


@pytest.mark.parametrize("ridge", [1e-5, 0.01, 0.5])
@pytest.mark.parametrize("rank", [None, 3])
def test_the_ridged_inverse_is_that_of_the_clipped_spectrum(ridge: float, rank: int | None) -> None:
    for A in (correlation(8, seed=1, rank=rank), correlation(8, seed=1, rank=rank) - 0.3 * np.eye(8)):
        out = np.zeros_like(A)
        ridged_inverse(out, np.zeros_like(A), A, ridge)
        np.testing.assert_allclose(out, by_spectrum(A, ridge), rtol=1e-5, atol=1e-5)
