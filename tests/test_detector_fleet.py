"""A fleet says of each record what the machine's detector, alone, says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scrnn_stream import SCRNNDetector, SCRNNDetectorFleet, readout
from scrnn_stream import places as at
from scrnn_stream.encoding import encode
from scrnn_stream.judging import PROTECTION_P

SENSORS = ["pressure", "flow", "load"]  # not in the order of the columns
N_MACHINES, N_RECORDS = 3, 900
OPTIONS: dict[str, Any] = {"seed": 1, "accept_after": 60}


@pytest.fixture(scope="module")
def batch() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Machines in irregular turns, with missing readings, gaps in time, a fault that ends and a state that lasts."""
    rng = np.random.default_rng(1)
    machines = [f"m{i}" for i in rng.integers(N_MACHINES, size=N_MACHINES * N_RECORDS)]
    X = np.sin(np.arange(len(machines)) / 30)[:, None] * [1, 2, 3] + 0.2 * rng.normal(size=(len(machines), 3))
    X[1500:1560, 0] += 9
    X[1900:, 1] += 20
    X[rng.random(X.shape) < 0.02] = np.nan
    X[1000:1200, 2] = np.nan
    X[5, 0], X[6, 0] = np.inf, 1e300
    times = 60.0 * np.arange(len(machines)) + 1e5 * (np.arange(len(machines)) > 1700)
    times[1300] = np.nan
    return machines, X, times


def alone(machines: list[str], X: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, dict[str, SCRNNDetector]]:
    """Every record through a detector of its machine: scores and tail probabilities, (2, M)."""
    detectors: dict[str, SCRNNDetector] = {}
    judged = np.empty((2, len(machines)))
    for t, (machine, row, time) in enumerate(zip(machines, X.tolist(), times.tolist(), strict=True)):
        x = {**dict(zip(SENSORS, row, strict=True)), "time": time}
        detector = detectors.setdefault(machine, SCRNNDetector(time_key="time", **OPTIONS))
        assessed = detector.assess_one(x)
        judged[:, t] = assessed.score, assessed.p_of_tails
        detector.learn_one(x)
    return judged, detectors


def test_judgements_and_states_are_those_of_detectors_alone(
    batch: tuple[list[str], np.ndarray, np.ndarray],
) -> None:
    machines, X, times = batch
    fleet = SCRNNDetectorFleet(SENSORS, **OPTIONS)
    parts = [slice(0, 1), slice(1, 700), slice(700, 700), slice(700, None)]  # the size of a batch does not matter
    judged = np.hstack([fleet.judge_learn_many(machines[part], X[part], times[part]) for part in parts])
    expected, detectors = alone(machines, X, times)
    np.testing.assert_array_equal(judged, expected)
    assert judged[0].max() > 0.6
    assert judged[1].min() < PROTECTION_P
    assert len(fleet) == N_MACHINES
    for machine, detector in detectors.items():
        twin = fleet.detector(machine)
        assert encode(twin.to_state()) == encode(detector.to_state())
        assert twin.sensors == detector.sensors
    assert max(detector.n_regimes for detector in detectors.values()) == 1


def test_scores_are_the_same_with_and_without_the_probabilities(
    batch: tuple[list[str], np.ndarray, np.ndarray],
) -> None:
    machines, X, times = (part[:900] for part in batch)
    one, other = SCRNNDetectorFleet(SENSORS, **OPTIONS), SCRNNDetectorFleet(SENSORS, **OPTIONS)
    scores, _ = one.judge_learn_many(machines, X, times)
    np.testing.assert_array_equal(scores, other.score_learn_many(machines, X, times))


def test_dicts_are_read_by_name_and_what_is_missing_is_nan(batch: tuple[list[str], np.ndarray, np.ndarray]) -> None:
    machines, X = batch[0][:600], batch[1][:600]
    one, other = SCRNNDetectorFleet(SENSORS, **OPTIONS), SCRNNDetectorFleet(SENSORS, **OPTIONS)
    dicts = [{name: v for name, v in zip(SENSORS, row, strict=True) if not np.isnan(v)} for row in X.tolist()]
    np.testing.assert_array_equal(one.score_learn_many(machines, X), other.score_learn_many(machines, dicts))
    assert encode(one.detector("m0").to_state()) == encode(other.detector("m0").to_state())


def test_a_detector_taken_out_goes_its_own_way(batch: tuple[list[str], np.ndarray, np.ndarray]) -> None:
    machines, X, _ = batch
    fleet = SCRNNDetectorFleet(SENSORS, **OPTIONS)
    fleet.score_learn_many(machines[:50], X[:50])
    detector = fleet.detector("m1")
    before = encode(detector.to_state())
    fleet.score_learn_many(machines[50:90], X[50:90])
    assert encode(detector.to_state()) == before != encode(fleet.detector("m1").to_state())


def test_machines_begin_with_their_first_record_and_know_nothing() -> None:
    fleet = SCRNNDetectorFleet(SENSORS, **OPTIONS)
    assert fleet.machines == []
    for keys in (["b"], ["a", "b"], [("c", 1), "d", "e", "f", "g"]):
        assert (fleet.score_learn_many(keys, np.ones((len(keys), 3))) == 0).all()
    assert fleet.machines == ["b", "a", ("c", 1), "d", "e", "f", "g"]
    np.testing.assert_array_equal([fleet.detector(m).to_state()["counts"][at.N_WAITING] for m in "ba"], [0, 0])
    np.testing.assert_array_equal([fleet.detector(m).to_state()["counts"][at.N_RECORDS] for m in "ba"], [2, 1])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="time_key must be None, got 'time'"):
        SCRNNDetectorFleet(SENSORS, time_key="time")
    with pytest.raises(ValueError, match="sensors must be one or more different names"):
        SCRNNDetectorFleet(["a", "a"])
    with pytest.raises(ValueError, match="sensors must be one or more different names"):
        SCRNNDetectorFleet([])
    with pytest.raises(ValueError, match=r"X must have shape \(1, 3\), got \(1, 2\)"):
        SCRNNDetectorFleet(SENSORS).score_learn_many(["a"], [[1.0, 2.0]])


def test_a_refused_batch_leaves_the_fleet_as_it_was() -> None:
    fleet = SCRNNDetectorFleet(SENSORS, **OPTIONS)
    with pytest.raises(TypeError):
        fleet.score_learn_many(["new", ["no key"]], np.zeros((2, 3)))  # type: ignore[list-item]
    assert len(fleet) == 0
    assert fleet.score_learn_many(["new", "newer", "new"], np.zeros((3, 3))).tolist() == [0.0] * 3
    assert fleet.machines == ["new", "newer"]


def test_a_time_that_is_infinite_is_none() -> None:
    one, other = (SCRNNDetectorFleet(SENSORS, **OPTIONS) for _ in range(2))
    one.score_learn_many(["m"], np.zeros((1, 3)), [np.inf])
    other.score_learn_many(["m"], np.zeros((1, 3)))
    assert encode(one.detector("m").to_state()) == encode(other.detector("m").to_state())


def test_the_readout_stays_sound_for_as_long_as_a_machine_runs() -> None:
    n = 100_000  # records: fifty times the memory of the least squares, in which rounding could grow by e^50
    readings = np.random.default_rng(1).standard_normal((n, 3))
    fleet = SCRNNDetectorFleet(["a", "b", "c"], seed=0)
    fleet.judge_learn_many(["m"] * n, readings, 60.0 * np.arange(n))
    machines = fleet._machines
    covariance = readout.covariance_of(machines.readouts[0], machines.shape)
    np.testing.assert_array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0
    assert np.abs(readout.weights_of(machines.readouts[0], machines.shape)).max() < 100
