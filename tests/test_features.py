"""Names to columns, junk to NaN, and the running scale."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrnn_stream import places as at
from scrnn_stream.features import (
    LARGEST_DEVIATION,
    LARGEST_READING,
    SCALE_MEMORY,
    Columns,
    as_reading,
    learn_scale,
    scaled,
    unscaled,
)
from tests.naive import running_scale


def scale_of(samples: np.ndarray) -> np.ndarray:
    """The table of a machine whose scale has learned the samples."""
    table = np.zeros((at.N_LINES, samples.shape[1]))
    for sample in samples:
        learn_scale(table, sample)
    return table


def applied(table: np.ndarray, x: list[float]) -> np.ndarray:
    z = np.zeros(len(x))
    scaled(z, table, np.array(x))
    return z


def read(columns: Columns, x: dict[Any, Any]) -> np.ndarray:
    out = np.zeros(len(columns))
    columns.read(out, x)
    return out


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
    vector = read(Columns(["a", "b", "c"]), {"c": 3, "a": 1.0, "z": 9})
    np.testing.assert_array_equal(vector, [1.0, np.nan, 3.0])


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"]])
def test_a_whole_record_is_read_at_one_go_in_column_order_with_its_time(names: list[str]) -> None:
    columns, out = Columns(names), np.zeros(len(names) + 1)
    x = {name: value for value, name in enumerate(reversed(names))}
    assert columns.read_whole(out, x | {"other": "text"}, 7.0)
    np.testing.assert_array_equal(out, [*range(len(names))[::-1], 7.0])


@pytest.mark.parametrize("junk", [None, "on", "1", b"", [], 10**400, 1j, Decimal("NaN")])
def test_what_cannot_be_read_at_one_go_is_read_name_by_name(junk: Any) -> None:
    columns, out = Columns(["a", "b"]), np.zeros(3)
    assert not columns.read_whole(out, {"a": 1.0}, 7.0)
    if not columns.read_whole(out, {"a": 1.0, "b": junk}, 7.0):
        np.testing.assert_array_equal(read(columns, {"a": 1.0, "b": junk}), [1.0, as_reading(junk)])
    else:
        assert math.isnan(out[1])


@pytest.mark.parametrize("value", [7, 7.0, True, np.float32(7), np.int64(7), Decimal(7)])
def test_a_whole_record_is_read_as_one_name_by_name(value: Any) -> None:
    columns, out = Columns(["a", "b"]), np.zeros(3)
    assert columns.read_whole(out, {"a": value, "b": 2}, 0.0)
    np.testing.assert_array_equal(out[:2], read(columns, {"a": value, "b": 2}))


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
        assert scale[at.SCALE_MEAN, column] == pytest.approx(mean, rel=1e-12)
        assert scale[at.SCALE_VARIANCE, column] == pytest.approx(variance, rel=1e-12)


def test_the_scale_never_stops_following() -> None:
    old = np.zeros((at.N_LINES, 1))
    old[at.SCALE_VARIANCE], old[at.N_SCALED] = 1.0, 1e9
    learn_scale(old, np.array([1.0]))
    assert old[at.SCALE_MEAN, 0] == pytest.approx(3 / (SCALE_MEMORY + 2))


def test_the_scale_finds_mean_and_deviation_of_a_steady_sensor() -> None:
    scale = scale_of(np.random.default_rng(3).normal([10, -500], [0.1, 40], size=(4000, 2)))
    np.testing.assert_array_less(np.abs(scale[at.SCALE_MEAN] - [10, -500]), [0.02, 8])  # about 5 standard errors
    np.testing.assert_allclose(np.sqrt(scale[at.SCALE_VARIANCE]), [0.1, 40], rtol=0.1)


def test_scaling_is_undone_keeps_nan_and_is_limited() -> None:
    scale = scale_of(np.random.default_rng(4).normal(3, 2, size=(100, 3)))
    z = applied(scale, [2.0, 3.0, np.nan])
    np.testing.assert_allclose([unscaled(z[j], scale, j) for j in range(3)], [2.0, 3.0, np.nan])
    np.testing.assert_array_equal(applied(scale, [1e99, -1e99, 3.0])[:2], [LARGEST_DEVIATION, -LARGEST_DEVIATION])


def test_a_sensor_that_never_moved_is_scaled_to_zero() -> None:
    scale = scale_of(np.full((50, 1), 4.2))
    assert applied(scale, [4.2])[0] == 0.0
    assert unscaled(1.0, scale, 0) == pytest.approx(5.2)


def test_without_a_scale_everything_is_zero_and_nothing_is_expected() -> None:
    scale = scale_of(np.full((1, 2), 4.2))
    np.testing.assert_array_equal(applied(scale, [9.0, np.nan]), [0.0, np.nan])
    assert math.isnan(unscaled(0.0, scale, 0))
