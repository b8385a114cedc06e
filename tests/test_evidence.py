"""The statistics of a record: averages against their naive twin, blame on the faulty sensor, growth, restart."""

from __future__ import annotations

import numpy as np
import pytest

from scrnn_stream import channels as ch
from scrnn_stream.channels import N_CHANNELS, N_DISTANCES
from scrnn_stream.encoding import decode, encode
from scrnn_stream.evidence import Evidence, Measurement, averaged
from scrnn_stream.picture import MOST_DENSE, Picture
from tests.naive import Averages


def correlated(n: int, n_sensors: int, seed: int) -> np.ndarray:
    """Sensors driven by fewer common causes, each with noise, scale and offset of its own."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(n, max(1, n_sensors // 2)))
    mixing = rng.normal(size=(causes.shape[1], n_sensors))
    readings = causes @ mixing + 0.3 * rng.normal(size=(n, n_sensors))
    return readings * rng.uniform(0.1, 50, n_sensors) + rng.uniform(-500, 500, n_sensors)


def take(evidence: Evidence, x: np.ndarray, e: np.ndarray) -> Measurement:
    measured = evidence.measure(x, e)
    evidence.advance(x, measured)
    evidence.learn(measured, np.ones(N_DISTANCES))
    return measured


def watched(readings: np.ndarray) -> Evidence:
    """Evidence that has learned all the readings, with the step from one to the next as their error."""
    evidence = Evidence(readings.shape[1])
    for x, e in zip(readings[1:], np.diff(readings, axis=0), strict=True):
        take(evidence, x, e)
    return evidence


def variances(evidence: Evidence) -> np.ndarray:
    picture = evidence.picture
    return picture.covariance.diagonal(axis1=1, axis2=2) if picture.dense else picture.covariance[:, 0]


def imagined(evidence: Evidence, channel: int, values: np.ndarray) -> Measurement:
    """A measurement of a calm machine, but for the values of one channel; every sensor is used."""
    middle = evidence.picture.mean[ch.LEVEL]
    measured = evidence.measure(middle, np.zeros_like(middle))
    everything = np.tile(middle, (N_CHANNELS, 1))
    everything[channel] = values
    return measured._replace(values=everything, used=np.ones(len(middle), bool))


# -- averages ----------------------------------------------------------------------------------------------------------


def test_the_averages_are_their_naive_twin() -> None:
    rng = np.random.default_rng(1)
    twin = [Averages(ch.HALF_LIVES) for _ in range(3)]
    average, n = np.zeros((N_CHANNELS, 3)), np.zeros(3)
    for x, e in zip(rng.normal(5, 2, (60, 3)), rng.normal(size=(60, 3)), strict=True):
        missing = rng.random(3) < 0.2
        x[missing] = e[missing] = np.nan
        out = np.empty_like(average)
        averaged(out, average, n, x, e, ch.HALF_LIVES)
        expected = np.array([a.step(*readings) for a, *readings in zip(twin, x, e, strict=True)]).T
        np.testing.assert_allclose(out, expected, rtol=1e-12)
        average, n = out, n + ~missing


# -- measuring --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_sensors", [1, 4, MOST_DENSE + 6])
def test_measuring_changes_nothing(n_sensors: int) -> None:
    readings = correlated(150, n_sensors, seed=5)
    evidence = watched(readings)
    before = encode(evidence.to_state())
    measured = evidence.measure(readings[-1] + 9, readings[-1])
    evidence.contributions(measured.values[ch.LEVEL], measured, ch.LEVEL)
    assert encode(evidence.to_state()) == before


def test_sensors_that_move_together_are_far_off_when_they_part() -> None:
    cause = np.random.default_rng(8).normal(size=800)
    noise = 0.05 * np.random.default_rng(9).normal(size=(800, 2))
    evidence = watched(cause[:, None] + noise)
    mean = evidence.picture.mean[ch.LEVEL]
    together, apart = (
        evidence.contributions(mean, imagined(evidence, ch.LEVEL, mean + shift), ch.LEVEL).blame.max()
        for shift in ([1.0, 1.0], [1.0, -1.0])
    )
    assert apart > 20 * together


def test_a_constant_sensor_is_not_judged_and_a_missing_one_only_for_a_while() -> None:
    readings = correlated(300, 3, seed=10)
    readings[:, 1] = 7.0
    evidence = watched(readings)
    np.testing.assert_array_equal(evidence.picture.known, [True, False, True])
    x = np.array([np.nan, 7.0, readings[0, 2]])
    measured = evidence.measure(x, np.zeros(3))
    np.testing.assert_array_equal(measured.present, [False, True, True])
    np.testing.assert_array_equal(measured.used, [False, False, True])
    nothing_said = np.isnan(measured.statistics)
    np.testing.assert_array_equal(np.flatnonzero(nothing_said), [ch.SENSOR])  # a sensor alone has no others


def test_one_wild_reading_does_not_ruin_the_averages() -> None:
    readings = correlated(500, 2, seed=11)
    evidence = watched(readings)
    calm = evidence.picture.mean[ch.LEVEL].copy()
    take(evidence, readings[-1] + 1e90, np.zeros(2))
    for x in correlated(500, 2, seed=11)[-100:]:
        evidence.advance(x, evidence.measure(x, np.zeros(2)))
    assert np.isfinite(evidence.average).all()
    np.testing.assert_array_less(np.abs(evidence.average[ch.LEVEL] - calm), 5 * readings.std(0))


# -- explaining -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_sensors", [2, 5, 12, MOST_DENSE + 6])
def test_the_faulty_sensor_is_blamed_first_on_random_correlated_data(n_sensors: int) -> None:
    readings = correlated(1500, n_sensors, seed=n_sensors)
    evidence = watched(readings)
    mean, deviation = evidence.picture.mean[ch.LEVEL], evidence.picture.deviation[ch.LEVEL]
    for faulty in range(min(n_sensors, 20)):
        values = mean.copy()
        values[faulty] += 8 * deviation[faulty]
        blame, _, expected, *_ = evidence.contributions(mean, imagined(evidence, ch.LEVEL, values), ch.LEVEL)
        assert blame.argmax() == faulty
        np.testing.assert_allclose(expected[faulty], mean[faulty], atol=2 * deviation[faulty])


@pytest.mark.parametrize("n_sensors", [2, 5, 12])
def test_the_sensor_that_leaves_the_others_disagrees_most(n_sensors: int) -> None:
    readings = correlated(1500, n_sensors, seed=n_sensors)
    calm = watched(readings)
    state = calm.to_state()
    for faulty in range(n_sensors):
        evidence = Evidence.from_state(state)
        for x in readings[-20:].copy():
            usual = calm.measure(x, np.zeros(n_sensors)).statistics[ch.SENSOR]
            x[faulty] += 3 * readings[:, faulty].std()
            measured = evidence.measure(x, np.zeros(n_sensors))
            evidence.advance(x, measured)
        assert measured.statistics[ch.SENSOR] > 5 * usual
        assert evidence.contributions(measured.values[ch.LEVEL], measured, ch.SENSOR).blame.argmax() == faulty


@pytest.mark.parametrize("channel", [ch.RANGE, ch.LONG_RANGE])
def test_the_sensor_outside_its_range_is_blamed_alone(channel: int) -> None:
    evidence = watched(correlated(400, 3, seed=12))
    values = evidence.picture.mean[ch.LEVEL].copy()
    values[1] = evidence.picture.high[channel - ch.RANGE, 1] + 100
    blame = evidence.contributions(values, imagined(evidence, channel, values), channel).blame
    assert blame[1] > 0
    assert blame[0] == blame[2] == 0


# -- keeping ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_old", "n_new"), [(0, 3), (3, 5), (4, MOST_DENSE + 1), (MOST_DENSE + 1, MOST_DENSE + 3)])
def test_growth_keeps_what_is_known(n_old: int, n_new: int) -> None:
    evidence = watched(correlated(201, n_old, seed=13)) if n_old else Evidence(0)
    old = evidence.to_state()
    variance = variances(evidence)
    evidence.grow(n_new)
    new = evidence.to_state()
    assert evidence.n_sensors == n_new
    for name in Evidence._PER_SENSOR:
        np.testing.assert_array_equal(new[name][..., :n_old], old[name], err_msg=name)
    for name in (*Picture._PER_SENSOR, "deviation", "known"):
        np.testing.assert_array_equal(new["picture"][name][..., :n_old], old["picture"][name], err_msg=name)
    np.testing.assert_array_equal(variances(evidence)[:, :n_old], variance)
    assert not evidence.picture.known[n_old:].any()
    assert np.isfinite(evidence.measure(np.ones(n_new), np.ones(n_new)).statistics).all() == (n_old > 1)


def test_correlations_survive_growth() -> None:
    evidence = watched(correlated(200, 3, seed=14))
    old = evidence.picture.covariance.copy()
    evidence.grow(5)
    np.testing.assert_array_equal(evidence.picture.covariance[:, :3, :3], old)
    assert not evidence.picture.covariance[:, 3:].any()


def test_forgetting_starts_anew_but_the_averages_go_on() -> None:
    evidence = watched(correlated(200, 3, seed=15))
    average = evidence.average.copy()
    evidence.forget()
    np.testing.assert_array_equal(evidence.average, average)
    assert evidence.picture.n_records == 0
    assert not evidence.picture.known.any()


@pytest.mark.parametrize("n_sensors", [1, 4, MOST_DENSE + 6])
@pytest.mark.parametrize("n", [5, 93, 207])
def test_restored_evidence_goes_on_identically(n: int, n_sensors: int) -> None:
    readings = correlated(n + 60, n_sensors, seed=16)
    original = watched(readings[:n])
    restored = Evidence.from_state(decode(encode(original.to_state())))
    for x in readings[n:]:
        for one, other in zip(take(original, x, 0.1 * x), take(restored, x, 0.1 * x), strict=True):
            np.testing.assert_array_equal(one, other)
    assert encode(restored.to_state()) == encode(original.to_state())


@pytest.mark.parametrize("channel", [ch.RANGE, ch.LONG_RANGE])
def test_a_new_sensor_without_a_range_is_not_to_blame(channel: int) -> None:
    evidence = watched(correlated(200, 2, seed=17))
    evidence.grow(3)
    measured = evidence.measure(np.ones(3), np.zeros(3))
    assert evidence.contributions(measured.values[ch.LEVEL], measured, channel).blame[2] == 0
