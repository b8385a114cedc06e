"""To take a record at one go is to assess it, to draw its course and to learn it."""

from typing import Any

import numpy as np
import pytest

from scrnn_stream.anomaly import SCRNNDetector
from tests.monitoring import readings

MINUTE = 60.0


def records(n_sensors: int) -> list[dict[str, Any]]:
    """A calm machine with readings missing, a gap in time, and a fault that lasts until it is the new normal."""
    values = readings(900, n_sensors, seed=n_sensors)
    values[:450:37, 0] = np.nan
    values[500:700] += 40.0
    times = MINUTE * np.arange(900.0)
    times[450:] += 50 * MINUTE
    rows = [{f"s{j}": reading for j, reading in enumerate(row)} for row in values.tolist()]
    return [{**row, "time": time} for row, time in zip(rows, times.tolist(), strict=True)]


@pytest.mark.parametrize("n_sensors", [1, 3, 70])
def test_a_record_taken_at_one_go_leaves_the_same_and_tells_the_same_to_the_last_bit(n_sensors: int) -> None:
    at_once, in_steps = (SCRNNDetector(time_key="time", accept_after=100, seed=1) for _ in range(2))
    for x in records(n_sensors):
        assessed = in_steps.assess_one(x)
        course = in_steps.course(assessed)
        in_steps.learn_assessed(assessed, x)
        taken = at_once.take_one(x)
        if taken is None:
            at_once.learn_one(x)
            continue
        np.testing.assert_array_equal(taken[0].numbers, assessed.numbers)
        np.testing.assert_array_equal(taken[1], course)
    assert in_steps.n_regimes > 0
    np.testing.assert_equal(at_once.to_state(), in_steps.to_state())


@pytest.mark.parametrize("x", [{"s0": 1.0, "time": 60.0}, {"s0": 1.0, "s1": 1.0, "s2": 1.0}, {"s0": 1.0, "s1": "?"}])
def test_a_record_that_is_not_whole_is_not_taken(x: dict[str, Any]) -> None:
    detector = SCRNNDetector(time_key="time", seed=1)
    detector.learn_one({"s0": 1.0, "s1": 2.0, "time": 0.0})
    before = detector.to_state()
    assert detector.take_one(x) is None
    np.testing.assert_equal(detector.to_state(), before)


def test_before_its_first_record_a_detector_takes_nothing() -> None:
    assert SCRNNDetector(seed=1).take_one({}) is None
