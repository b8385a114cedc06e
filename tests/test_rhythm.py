"""Steps, gaps and seasons of a series."""

from __future__ import annotations

import datetime as dt
import math
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from scrnn_stream.rhythm import Rhythm, as_time, period_of, seconds_of, time_in

START = dt.datetime(2024, 1, 1)


def observed(step: dt.timedelta, n: int = 40) -> Rhythm:
    rhythm = Rhythm(3, 2100)
    assert sum(rhythm.observe(START + k * step) for k in range(n)) == 0
    return rhythm


@pytest.mark.parametrize(
    ("step", "seasons"),
    [
        (dt.timedelta(hours=1), [24, 168]),
        (dt.timedelta(minutes=30), [48, 336]),
        (dt.timedelta(minutes=5), [288, 2016]),
        (dt.timedelta(days=1), [7, 365]),
        (dt.timedelta(weeks=1), [52]),
        (dt.timedelta(seconds=1), []),
        (dt.timedelta(hours=7), [24, 1252]),
    ],
)
def test_the_step_tells_the_seasons(step: dt.timedelta, seasons: list[int]) -> None:
    assert observed(step).seasons() == seasons


def test_months_are_a_twelfth_of_a_year_however_long() -> None:
    rhythm = Rhythm(3, 2100)
    missing = [rhythm.observe(dt.date(2000 + k // 12, k % 12 + 1, 1)) for k in range(40) if k != 30]
    assert rhythm.seasons() == [12]
    assert missing == [0] * 30 + [1] + [0] * 8


def test_a_gap_is_told_in_steps_and_a_very_long_one_by_its_place_in_the_season() -> None:
    hour, rhythm = dt.timedelta(hours=1), observed(dt.timedelta(hours=1))  # 31 intervals were judged, 8 more came
    assert rhythm.observe(START + 45 * hour) == 5
    assert rhythm.observe(START + (46 + 168 * 10 + 3) * hour) == 3
    assert rhythm.observe(None) == 0
    assert rhythm.observe(START) == 0


def test_the_hour_that_summer_time_takes_is_no_gap() -> None:
    zone, rhythm = ZoneInfo("Europe/Rome"), Rhythm(3, 2100)
    first = dt.datetime(2022, 3, 25, tzinfo=dt.UTC)
    times = [(first + dt.timedelta(hours=k)).astimezone(zone) for k in range(96)]
    assert {time.utcoffset() for time in times} == {dt.timedelta(hours=1), dt.timedelta(hours=2)}
    assert sum(rhythm.observe(time) for time in times) == 0


def test_the_step_follows_when_the_sampling_changes() -> None:
    rhythm = observed(dt.timedelta(hours=1), 62)
    for k in range(70):
        rhythm.observe(START + dt.timedelta(days=10, minutes=30 * k))
    assert rhythm.seasons() == [48, 336]


@pytest.mark.parametrize("period", [5, 12, 37, 100])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_period_is_found_in_a_series(period: int, noise: float) -> None:
    rng = np.random.default_rng(1)
    shape = np.sin(2 * np.pi * np.arange(period) / period) + 0.5 * rng.normal(size=period)
    y = np.resize(shape, 1000) + noise * rng.normal(size=1000) + 0.01 * np.arange(1000)
    assert period_of(y, 2100) == period


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_period_and_neither_has_a_line(seed: int) -> None:
    assert period_of(np.random.default_rng(seed).normal(size=600), 2100) == 0
    assert period_of(np.arange(600.0), 2100) == 0
    assert period_of(np.full(600, 3.0), 2100) == 0


def test_a_clock_shows_the_hands_of_the_times_to_come() -> None:
    rhythm = observed(dt.timedelta(hours=6))
    clocks = rhythm.clocks(START, 5)
    assert clocks[:, 0] == pytest.approx([0, 1, 0, -1, 0], abs=1e-12)
    assert clocks[:, 3] == pytest.approx([1, 0, -1, 0, 1], abs=1e-12)
    assert clocks[4, 6] == pytest.approx(math.sin(2 * math.pi / 7))
    assert (rhythm.clocks(None, 2) == 0).all()


def test_the_first_time_by_name_counts_and_only_a_real_one() -> None:
    day = dt.date(2024, 5, 1)
    assert time_in({"z": START, "b": day, "a": "2024-01-01", "c": 5}) == ("b", day)
    assert time_in({"a": np.datetime64("NaT"), "b": None, "c": dt.time(5)}) == (None, None)
    assert as_time(np.datetime64("2024-01-01T00:00:00.5")) == START + dt.timedelta(seconds=0.5)
    assert seconds_of(dt.datetime(1970, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))) == 0
