"""From a record to what the network sees: numbers, categories, clocks, and whatever comes as junk."""

from __future__ import annotations

import datetime as dt
import enum
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from scrnn_stream.encoding import decode, encode
from scrnn_stream.features import LARGEST_DEVIATION
from scrnn_stream.inputs import Column, Inputs, Scale
from tests.naive import running_scale


class Mode(enum.Enum):
    RUN = "run"


def names(inputs: Inputs) -> list[str]:
    return [f"{column.name} {column.kind} {column.value}".strip() for column in inputs.columns]


def seen(*records: dict[Any, Any]) -> Inputs:
    inputs = Inputs()
    for x in records:
        inputs.learn(x)
    return inputs


def test_numbers_are_scaled_by_their_own_past() -> None:
    samples = np.random.default_rng(1).normal([5.0, -200.0], [0.1, 30.0], (200, 2))
    inputs = seen(*({"a": float(a), "b": float(b)} for a, b in samples))
    mean, variance = np.transpose([running_scale(column) for column in samples.T])
    z = inputs.read({"b": 0.0, "a": 5.2})
    np.testing.assert_allclose(z, np.clip((np.array([5.2, 0.0]) - mean) / np.sqrt(variance), -8, 8))


def test_a_wild_number_is_limited() -> None:
    inputs = seen(*({"a": float(t % 7)} for t in range(100)))
    assert inputs.read({"a": 1e30}).tolist() == [LARGEST_DEVIATION]


@pytest.mark.parametrize(
    "value", [3, True, np.float32(3), np.int64(3), np.bool_(True), Decimal("3"), Fraction(3), dt.timedelta(seconds=3)]
)
def test_all_kinds_of_numbers_are_numbers(value: Any) -> None:
    inputs = seen({"a": value})
    assert names(inputs) == ["a number"]
    assert inputs.raw({"a": value}) == [float(value.total_seconds() if isinstance(value, dt.timedelta) else value)]


@pytest.mark.parametrize(
    "value",
    [None, math.nan, math.inf, -math.inf, np.nan, 10**400, Decimal("nan"), pd.NA, pd.NaT, np.datetime64("NaT")],
)
def test_what_is_missing_is_read_as_nan(value: Any) -> None:
    assert np.isnan(seen({"a": 1.0}).read({"a": value})).all()


@pytest.mark.parametrize(
    "value", [None, math.nan, np.inf, 10**400, pd.NA, pd.NaT, np.datetime64("NaT"), [1.0], {"b": 1}, np.ones(1)]
)
def test_what_is_no_value_gets_no_column(value: Any) -> None:
    assert len(seen({"a": value})) == 0


@pytest.mark.parametrize(
    ("value", "text"), [("run", "run"), (b"x", "b'x'"), (Mode.RUN, "Mode.RUN"), (("a", 1), "('a', 1)"), (1j, "1j")]
)
def test_what_can_be_a_key_is_a_category(value: Any, text: str) -> None:
    inputs = seen({"mode": value})
    assert inputs.columns == [Column("mode", "category", text)]
    assert inputs.read({"mode": value}).tolist() == [1.0]
    assert inputs.read({"mode": "another"}).tolist() == [0.0]


def test_the_values_of_a_category_beyond_the_32nd_share_a_column() -> None:
    inputs = seen(*({"code": f"E{k}"} for k in range(50)))
    assert len(inputs) == 33
    assert inputs.read({"code": "E3"}).argmax() == 3
    assert inputs.read({"code": "E40"}).argmax() == inputs.read({"code": "never"}).argmax() == 32


def test_a_datetime_shows_day_week_and_year_as_its_own_zone_does() -> None:
    noon = dt.datetime(2026, 7, 2, 12, tzinfo=ZoneInfo("Asia/Tokyo"))  # a Thursday
    inputs = seen({"t": noon})
    expected = [2 * math.pi * turn for turn in (0.5, 3.5 / 7, 182.5 / 365.25)]
    clocks = [f(angle) for angle in expected for f in (math.sin, math.cos)]
    np.testing.assert_allclose(inputs.read({"t": noon}), clocks)
    np.testing.assert_allclose(inputs.read({"t": noon.replace(tzinfo=None)}), clocks)
    np.testing.assert_allclose(inputs.read({"t": np.datetime64("2026-07-02T12")}), clocks)
    np.testing.assert_allclose(inputs.read({"t": pd.Timestamp("2026-07-02T12")}), clocks)


def test_a_date_has_no_day_and_a_time_of_day_nothing_else() -> None:
    assert names(seen({"t": dt.date(2026, 1, 1)})) == [
        f"t clock {p} {f}" for p in ("week", "year") for f in ("sine", "cosine")
    ]
    assert names(seen({"t": dt.time(6)})) == ["t clock day sine", "t clock day cosine"]
    assert seen({"t": dt.time(6)}).read({"t": dt.time(18)})[0] == pytest.approx(-1)


def test_a_record_says_the_same_in_any_order() -> None:
    x = {"b": 1.0, "a": "x", 3: 2.0, ("t", -1): 4.0}
    assert seen(x).columns == seen(dict(reversed(x.items()))).columns


def test_features_come_and_go() -> None:
    inputs = seen({"a": 1.0}, {"b": 2.0}, {"a": "text"}, {"a": 3.0})
    assert names(inputs) == ["a number", "b number", "a category text"]
    assert inputs.read({"b": 2.0}).tolist() == pytest.approx([math.nan, 0.0, 0.0], nan_ok=True)


def test_reading_changes_nothing() -> None:
    inputs = seen({"a": 1.0, "m": "x"}, {"a": 2.0, "m": "y"})
    before = encode(inputs.to_state())
    inputs.read({"a": 9.0, "m": "z", "new": 1.0, "t": dt.date(2026, 1, 1)})
    assert encode(inputs.to_state()) == before


def test_kept_inputs_go_on_the_same() -> None:
    records = [
        {"a": float(t), ("y", -1): t % 3, "m": f"m{t % 40}", "t": dt.date(2026, 1, 1 + t % 28)} for t in range(60)
    ]
    inputs, restored = seen(*records[:40]), Inputs()
    restored.restore(decode(encode(inputs.to_state())))
    for x in records[40:]:
        assert restored.read(x).tolist() == inputs.read(x).tolist()
        restored.learn(x)
        inputs.learn(x)
    assert restored.columns == inputs.columns


@pytest.mark.parametrize(
    "damage",
    [
        {"columns": [["a", "number", ""], ["a", "number", ""]]},
        {"columns": [["a", "thing", ""]]},
        {"table": np.zeros((3, 7))},
        {"table": np.full((3, 1), np.nan)},
    ],
)
def test_a_damaged_state_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Inputs().restore(seen({"a": 1.0}).to_state() | damage)


def test_a_scale_goes_there_and_back() -> None:
    scale = Scale(2)
    assert scale.scaled(np.array([7.0, 8.0])).tolist() == [0.0, 0.0]
    for t in range(50):
        scale.follow(np.array([10.0 + t % 5, -3.0]))
    scale.follow(np.full(2, math.nan))
    z = scale.scaled(np.array([11.5, -2.5]))
    assert scale.unscaled(z[0]) == pytest.approx(11.5)
    assert scale.unscaled(z[1], 1) == pytest.approx(-2.5)
