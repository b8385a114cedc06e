"""Sums and products, the plain loops and the register tiles alike, against NumPy; and the views that they work on."""

from __future__ import annotations

import numpy as np
import pytest

from scrnn_stream import _algebra, _simd
from scrnn_stream._compile import view

TOLERANCE = {"float32": 2e-5, "float64": 1e-13}
# rows and columns around the sizes of a tile: 4 rows; 16 columns, or 8; and steps of the window
SHAPES = [(1, 1, 1), (3, 5, 2), (4, 8, 1), (5, 9, 4), (8, 16, 7), (13, 40, 20), (64, 88, 7), (9, 17, 3)]


@pytest.fixture(params=["float32", "float64"])
def draw(request):
    rng = np.random.default_rng(0)
    return lambda *shape: rng.normal(size=shape).astype(request.param)


def assert_near(actual, expected):
    scale = TOLERANCE[actual.dtype.name] * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(actual, expected, rtol=0, atol=scale)


@pytest.mark.parametrize("module", [_algebra, _simd])
@pytest.mark.parametrize(("m", "n", "_steps"), SHAPES)
def test_a_transposed_product_is_that_of_numpy_also_of_the_first_columns_alone(module, m, n, _steps, draw):
    W, v = draw(m, n), draw(m)
    for width in {n, max(1, n - 3)}:
        out = draw(width)
        module.transposed_product(out, W, v)
        assert_near(out, (W.T @ v)[:width])


@pytest.mark.parametrize("module", [_algebra, _simd])
@pytest.mark.parametrize(("m", "n", "steps"), SHAPES)
def test_a_product_over_a_window_is_that_of_numpy(module, m, n, steps, draw):
    ds, tape, G = draw(steps, m), draw(steps + 3, n + 5), draw(m, n)
    us = tape[2 : 2 + steps, 4 : 4 + n]
    module.window_product(G, ds, us)
    assert_near(G, ds.T @ us)


@pytest.mark.parametrize("module", [_algebra, _simd])
def test_a_product_over_no_steps_is_zero(module, draw):
    G = draw(8, 16)
    module.window_product(G, draw(0, 8), draw(0, 16))
    np.testing.assert_array_equal(G, 0)


@pytest.mark.parametrize(("m", "n", "_steps"), SHAPES)
def test_a_product_is_added(m, n, _steps, draw):
    W, v, out = draw(m, n), draw(n), draw(m)
    expected = out + W @ v
    _algebra.add_product(out, W, v)
    assert_near(out, expected)


def test_an_outer_product_a_sum_a_copy_and_a_filling(draw):
    u, v, W = draw(3), draw(5), draw(3, 5)
    _algebra.outer(W, u, v)
    assert_near(W, np.outer(u, v))
    total = v.copy()
    _algebra.add(total, W[0])
    assert_near(total, v + W[0])
    _algebra.copy(u, v)
    np.testing.assert_array_equal(u, v[:3])
    _algebra.fill(v, 2.0)
    np.testing.assert_array_equal(v, 2.0)


def test_a_view_is_a_piece_of_the_vector_itself():
    vector = np.arange(10.0)
    piece = view(vector, 2, (3, 2))
    np.testing.assert_array_equal(piece, [[2, 3], [4, 5], [6, 7]])
    piece[1, 1] = -1
    assert vector[5] == -1
