"""The speed benchmark compares equals: the plain C version computes what our kernels compute."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from benchmarks.against import kernel_rows, predict_each
from benchmarks.c_scrn import CNetwork
from benchmarks.native import compiler_version
from benchmarks.timing import interleaved
from benchmarks.workload import EARLY_STOP, Shape, network, stream

needs_gcc = pytest.mark.skipif(compiler_version() is None, reason="gcc is not installed")
SIZES = [Shape(1, 5, 3, 1), Shape(8, 32, 8, 20), Shape(5, 17, 9, 7)]


@needs_gcc
@pytest.mark.parametrize("early_stop", [0.0, EARLY_STOP])
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_plain_c_learns_and_predicts_what_the_kernels_do(shape: Shape, early_stop: float) -> None:
    ours = network(shape, early_stop)
    c = CNetwork(ours)
    xs, targets = stream(shape.D, 300)
    predictions, losses = ours.replay(xs, targets)
    c_predictions, c_losses = c.replay(xs, targets)
    np.testing.assert_allclose(c_predictions, predictions, atol=2e-5)  # float32 rounds to 1e-7; 300 updates add up
    np.testing.assert_allclose(c_losses, losses, atol=2e-5)
    np.testing.assert_allclose(c.predict(xs), predict_each(ours, xs), atol=2e-5)


@needs_gcc
def test_without_early_stop_the_error_travels_back_the_whole_window() -> None:
    shape = Shape(2, 6, 3, 4)
    c = CNetwork(network(shape, 0.0))
    c.replay(*stream(shape.D, 10))
    assert c.n_steps == 1 + 2 + 3 + 7 * 4


def test_predicting_each_row_is_predict() -> None:
    ours = network(Shape(3, 4, 2, 2))
    xs, targets = stream(3, 20)
    ours.replay(xs, targets)
    np.testing.assert_array_equal(predict_each(ours, xs), [ours.predict(x) for x in xs])


def test_the_first_rows_of_the_table_have_times() -> None:
    for row in islice(kernel_rows(0.02), 3):
        assert row["us"] > 0


def test_the_middle_of_the_runs_counts() -> None:
    ticks = iter([0.0, 1.0, 0.0, 5.0, 0.0, 2.0])
    assert interleaved({"only": lambda: None}, 3, clock=lambda: next(ticks)) == {"only": 2.0}
