"""What a user knows of a sensor: which departures matter, and where its range ends."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrnn_stream.limits import Limits, SensorLimits


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"min_deviation": -1.0}, "min_deviation.*-1"),
        ({"min_deviation": math.nan}, "min_deviation.*nan"),
        ({"min_deviation": math.inf}, "min_deviation.*inf"),
        ({"deadband": -0.5}, "deadband.*-0.5"),
        ({"direction": "up"}, 'direction.*"high", "low" or "both".*up'),
        ({"low": 2.0, "high": 1.0}, "low must be below high, got 2.0 and 1.0"),
        ({"low": 1.0, "high": 1.0}, "low must be below high"),
        ({"low": math.nan}, "low must be below high"),
        ({"low": 0.0, "high": 1.0, "deadband": 0.6}, "deadband.*half.*0.6"),
    ],
)
def test_bad_limits_are_refused_with_a_line_that_says_why(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SensorLimits(**given)


def test_without_limits_every_departure_matters_and_none_is_out_of_range() -> None:
    limits = SensorLimits()
    assert limits.admits(1e-9, 1e-9)
    assert limits.admits(-1e9, -1e9)
    assert limits.excess(1e300) < 0
    assert not limits.is_range


@given(st.floats(-1e6, 1e6), st.floats(0, 100))
def test_a_departure_matters_from_the_deviation_on_and_to_its_side(deviation: float, least: float) -> None:
    both, high, low = (SensorLimits(min_deviation=least, direction=d) for d in ("both", "high", "low"))
    assert both.admits(deviation, deviation) == (abs(deviation) >= least)
    assert high.admits(deviation, deviation) == (abs(deviation) >= least and deviation >= 0)
    assert low.admits(deviation, deviation) == (abs(deviation) >= least and deviation <= 0)


def test_an_unknown_departure_matters() -> None:
    assert SensorLimits(direction="low", min_deviation=1.0).admits(math.nan, math.nan)


@pytest.mark.parametrize(
    ("limits", "margin"),
    [
        (SensorLimits(low=0.0, high=50.0), 1.0),
        (SensorLimits(high=50.0), 0.0),
        (SensorLimits(low=0.0, high=50.0, deadband=5.0), 5.0),
        (SensorLimits(low=0.0, deadband=0.25), 0.25),
    ],
)
def test_the_deadband_is_what_was_said_or_a_fiftieth_of_the_range(limits: SensorLimits, margin: float) -> None:
    assert limits.margin == margin


def test_a_reading_at_its_limit_is_in_range_and_not_yet_back() -> None:
    limits = SensorLimits(low=0.0, high=50.0)
    assert limits.excess(50.0) <= 0 < limits.excess(50.1)
    assert limits.excess(0.0) <= 0 < limits.excess(-0.1)
    assert [limits.is_back(reading) for reading in (50.0, 49.5, 49.0, 1.0, 0.5)] == [False, False, True, True, False]


def test_limits_for_sensors_that_nobody_sent_are_named() -> None:
    some = SensorLimits(high=1.0)
    limits = Limits({"flow": some, "presure": some}, {"pump-1": {"flow": some, "load": some}, "pump-9": {"flow": some}})
    heard = {"pump-1": {"flow", "pressure"}, "pump-2": {"flow", "load"}}
    assert limits.unheard(heard) == ["sensors.presure", "machines.pump-1.load", "machines.pump-9.flow"]
