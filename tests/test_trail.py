"""The last records of a machine, kept in single precision and told in short decimals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrnn_stream.anomaly import Cause, SCRNNDetector
from scrnn_stream.course import LINES
from scrnn_stream.encoding import decode, encode
from scrnn_stream.trail import N_TRAIL, Trail, _short

CAUSES = {"a": Cause(1.0, 1.0, 1.0, 1.0, 1.0, "reading", "none")}


def trail(*sensors: str) -> Trail:
    detector = SCRNNDetector(seed=0)
    detector.learn_one(dict.fromkeys(sensors, 0.0))
    return Trail(detector)


def course(*readings: float) -> np.ndarray:
    return np.outer(np.ones(len(LINES)), readings)


@given(st.floats(width=32))
def test_a_short_decimal_is_the_same_number_in_single_precision(number: float) -> None:
    (short,) = _short(np.array([number], np.float32)).tolist()
    if not math.isfinite(number) or number == 0:
        assert short == number or math.isnan(number)
    else:
        assert short == pytest.approx(number, rel=1e-6)
        assert (
            not 1e-15 < abs(number) < 1e22 or len(repr(abs(short)).partition("e")[0].replace(".", "").strip("0")) <= 7
        )


def test_an_alert_has_the_readings_as_they_came_up_to_seven_digits() -> None:
    kept = trail("a")
    for n in range(3):
        kept.add(course(105.123456789 + n), 1.7e9 + n, is_open=False)
    (evidence,) = kept.evidence(CAUSES)
    assert evidence.trail_reading == (105.1235, 106.1235, 107.1235)
    assert evidence.trail_time == (1.7e9, 1.7e9 + 1, 1.7e9 + 2)
    assert kept.cause("a").actual == 107.123456789  # the last one as it was


def test_a_sensor_that_is_new_has_a_shorter_trail() -> None:
    kept = trail("a")
    kept.add(course(1.0), 0.0, is_open=False)
    kept.detector.learn_one({"b": 1.0})
    assert math.isnan(kept.cause("b").actual)
    assert kept.evidence({"b": CAUSES["a"]})[0].trail_reading == ()
    kept.add(course(1.0, 2.0), None, is_open=False)
    (evidence,) = kept.evidence({"b": CAUSES["a"]})
    assert evidence.trail_reading == (2.0,)
    assert math.isnan(evidence.trail_time[0])


def test_what_single_precision_cannot_hold_is_infinite() -> None:
    kept = trail("a")
    kept.add(course(1e99), 0.0, is_open=False)
    assert kept.evidence(CAUSES)[0].trail_reading == (math.inf,)


def test_calm_forgets_and_an_open_episode_keeps_its_beginning() -> None:
    kept = trail("a")
    for n in range(1000):
        kept.add(course(n), float(n), is_open=n >= 400)
    times = kept.evidence(CAUSES)[0].trail_time
    assert (times[0], times[-1]) == (250.0, 999.0)
    assert N_TRAIL < len(times) <= 2 * N_TRAIL


def test_its_state_brings_it_back() -> None:
    kept, back = trail("a", "b"), trail("a", "b")
    for n in range(5):
        kept.add(course(n / 3, n / 7), float(n), is_open=False)
    back.restore(decode(encode(kept.to_state())))
    assert back.evidence(CAUSES) == kept.evidence(CAUSES)
    assert back.cause("b") == kept.cause("b")


@pytest.mark.parametrize(
    "damage",
    [
        {"points": [b"123"]},
        {"points": [b"1" * 7]},
        {"points": [b"1" * (8 + 20 * 3)]},
        {"points": ["1" * 28]},
        {"last": np.zeros((5, 3))},
        {"last": np.zeros((4, 1))},
        {"last": np.zeros(5)},
        {"last": np.zeros((5, 1), np.float32)},
    ],
)
def test_a_state_that_is_none_is_refused(damage: dict[str, Any]) -> None:
    kept = trail("a", "b")
    with pytest.raises(ValueError, match="must be"):
        kept.restore(kept.to_state() | damage)
