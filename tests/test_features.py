"""Names to columns, junk to NaN, and the running scale."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrnn_stream.features import LARGEST_DEVIATION, LARGEST_READING, SCALE_MEMORY, Columns, Scale, as_reading
from tests.naive import running_scale


def scale_of(samples: np.ndarray) -> Scale:
    scale = Scale.of_size(samples.shape[1])
    for sample in samples:
        scale.learn(sample)
    return scale


@pytest.mark.parametrize("order", [["flow", "pressure", "load"], ["pressure", "load", "flow"]])
def test_new_names_get_columns_in_alphabetical_order_however_they_come(order: list[str]) -> None:
    columns = Columns(order)
    assert columns.names == ["flow", "load", "pressure"]


def test_a_name_keeps_its_column_when_others_come_and_a_known_name_is_no_news() -> None:
    columns = Columns(["pressure"])
    assert columns.add(["flow", "pressure"])
    assert columns.names == ["pressure", "flow"]
    assert not columns.add(["flow"])
    assert len(columns) == 2


def test_a_vector_holds_nan_for_what_is_missing_and_drops_unknown_names() -> None:
    vector = Columns(["a", "b", "c"]).vector({"c": 3, "a": 1.0, "z": 9})
    np.testing.assert_array_equal(vector, [1.0, np.nan, 3.0])


@pytest.mark.parametrize("junk", [None, "on", b"", [], {}, math.nan, math.inf, -math.inf, 1e308, -1e308, 10**400, 1j])
def test_what_is_no_finite_number_is_missing(junk: Any) -> None:
    assert math.isnan(as_reading(junk))


@pytest.mark.parametrize("value", [7, 7.0, True, np.float32(7), np.int64(7), Decimal(7), LARGEST_READING])
def test_every_kind_of_number_is_a_reading(value: Any) -> None:
    assert as_reading(value) == float(value)


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers())
def test_a_reading_is_finite_or_nan_and_never_an_error(value: Any) -> None:
    reading = as_reading(value)
    assert math.isnan(reading) or abs(reading) <= LARGEST_READING


def test_the_scale_is_its_naive_twin() -> None:
    samples = np.random.default_rng(1).normal(5, 3, size=(400, 3))
    samples[np.random.default_rng(2).random(samples.shape) < 0.1] = np.nan
    samples[300] = [1e9, -1e9, 5]  # a wild reading counts as ten standard deviations
    scale = scale_of(samples)
    for column in range(3):
        mean, variance = running_scale(samples[:, column])
        assert scale.mean[column] == pytest.approx(mean, rel=1e-12)
        assert scale.variance[column] == pytest.approx(variance, rel=1e-12)


def test_the_scale_never_stops_following() -> None:
    old = Scale(np.zeros(1), np.ones(1), np.array([1e9]))
    old.learn(np.array([1.0]))
    assert old.mean[0] == pytest.approx(3 / (SCALE_MEMORY + 2))


def test_the_scale_finds_mean_and_deviation_of_a_steady_sensor() -> None:
    scale = scale_of(np.random.default_rng(3).normal([10, -500], [0.1, 40], size=(4000, 2)))
    np.testing.assert_array_less(np.abs(scale.mean - [10, -500]), [0.02, 8])  # about 5 standard errors
    np.testing.assert_allclose(scale.deviation, [0.1, 40], rtol=0.1)


def test_scaling_is_undone_by_inverting_keeps_nan_and_is_limited() -> None:
    scale = scale_of(np.random.default_rng(4).normal(3, 2, size=(100, 3)))
    np.testing.assert_allclose(scale.invert(scale.apply(np.array([2.0, 3.0, np.nan]))), [2.0, 3.0, np.nan])
    np.testing.assert_array_equal(
        scale.apply(np.array([1e99, -1e99, 3.0]))[:2], [LARGEST_DEVIATION, -LARGEST_DEVIATION]
    )


def test_a_sensor_that_never_moved_is_scaled_to_zero() -> None:
    scale = scale_of(np.full((50, 1), 4.2))
    assert scale.deviation[0] == 1.0
    assert scale.apply(np.array([4.2]))[0] == 0.0


def test_growth_keeps_what_is_known_and_starts_the_rest_at_nothing() -> None:
    scale = scale_of(np.random.default_rng(5).normal(size=(100, 2)))
    grown = scale.grow(4)
    for old, new in zip(scale, grown, strict=True):
        np.testing.assert_array_equal(new, [*old, 0, 0])
