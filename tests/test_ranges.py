"""Readings against limits: on delay, off delay, deadband."""

from __future__ import annotations

import math

import pytest

from scrnn_stream.encoding import decode, encode
from scrnn_stream.limits import SensorLimits
from scrnn_stream.ranges import OFF_DELAY, ON_DELAY, Ranges
from scrnn_stream.records import Moment, Partition, Position

LIMITS = {"pressure": SensorLimits(low=0.0, high=100.0), "flow": SensorLimits(direction="high")}
DEADBAND = 99.0  # within the limits, and not clear of them


def fed(ranges: Ranges, *readings: float, begin: int = 0) -> list[bool]:
    """Whether pressure is out of range after each reading."""
    is_out = []
    for offset, reading in enumerate(readings, begin):
        ranges.update({"pressure": reading, "flow": 1e9}, Moment(60.0 * offset, Position(Partition("log", 0), offset)))
        is_out.append(ranges.out == ["pressure"])
    return is_out


def out(*before: float) -> Ranges:
    ranges = Ranges(LIMITS)
    assert fed(ranges, *before, *[120.0] * ON_DELAY)[-1]
    return ranges


@pytest.mark.parametrize("beyond", [100.1, -0.1])
def test_a_sensor_is_out_of_range_with_the_last_reading_of_the_on_delay(beyond: float) -> None:
    assert fed(Ranges(LIMITS), *[beyond] * ON_DELAY) == [False] * (ON_DELAY - 1) + [True]


def test_one_wild_reading_means_nothing() -> None:
    assert not any(fed(Ranges(LIMITS), *([120.0] * (ON_DELAY - 1) + [50.0]) * 20))


def test_a_sensor_is_back_with_the_last_reading_of_the_off_delay() -> None:
    assert fed(out(), *[50.0] * OFF_DELAY) == [True] * (OFF_DELAY - 1) + [False]


def test_a_reading_in_the_deadband_is_not_back_and_does_not_go_out() -> None:
    assert all(fed(out(), *[DEADBAND] * 100))
    assert not any(fed(Ranges(LIMITS), *[DEADBAND] * 100))
    assert all(fed(out(), *([50.0] * (OFF_DELAY - 1) + [DEADBAND]) * 20))


def test_from_one_end_to_the_other_it_stays_out() -> None:
    assert all(fed(out(), *[-20.0, 120.0] * 20))


@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf])
def test_a_missing_reading_changes_nothing(missing: float) -> None:
    assert not any(fed(Ranges(LIMITS), *[missing] * 50))
    assert all(fed(out(), *[50.0] * (OFF_DELAY - 1), *[missing] * 50))


def test_it_knows_when_it_left_its_range_and_how_far_it_went() -> None:
    ranges = out(50.0, 50.0)
    fed(ranges, 180.0, -30.0, 110.0, begin=10)
    pressure = ranges.sensors["pressure"]
    assert pressure.since is not None
    assert (pressure.since.time, pressure.farthest) == (120.0, 180.0)
    fed(ranges, *[50.0] * OFF_DELAY, *[103.0] * ON_DELAY, begin=20)
    assert (pressure.since.time, pressure.farthest) == (60.0 * (20 + OFF_DELAY), 103.0)


def test_a_sensor_without_limits_of_range_is_not_watched() -> None:
    assert list(Ranges(LIMITS).sensors) == ["pressure"]


def test_restored_ranges_go_on_identically_and_forget_limits_that_are_gone() -> None:
    original = out()
    fed(original, *[50.0] * (OFF_DELAY - 1))
    state = decode(encode(original.to_state()))
    twin, without = Ranges(LIMITS), Ranges({})
    twin.restore(state)
    without.restore(state)
    assert fed(twin, 50.0, 120.0, 120.0) == fed(original, 50.0, 120.0, 120.0) == [False, False, True]
    assert twin.to_state() == original.to_state()
    assert without.out == []
