"""The statistics of a record: averages against their naive twin, blame on the faulty sensor, growth, restart."""

from __future__ import annotations

import numpy as np
import pytest

from scrnn_stream import channels as ch
from scrnn_stream import places as at
from scrnn_stream.channels import N_VALUES, VALUE_OF
from scrnn_stream.encoding import decode, encode
from scrnn_stream.evidence import averaged
from scrnn_stream.judging import forget
from scrnn_stream.machines import Machines
from scrnn_stream.places import MOST_DENSE
from tests.naive import Averages
from tests.watching import POLICY, Seen, Watched


def correlated(n: int, n_sensors: int, seed: int) -> np.ndarray:
    """Sensors driven by fewer common causes, each with noise, scale and offset of its own."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(n, max(1, n_sensors // 2)))
    mixing = rng.normal(size=(causes.shape[1], n_sensors))
    readings = causes @ mixing + 0.3 * rng.normal(size=(n, n_sensors))
    return readings * rng.uniform(0.1, 50, n_sensors) + rng.uniform(-500, 500, n_sensors)


def watched(readings: np.ndarray) -> Watched:
    """Evidence that has learned all the readings, with the step from one to the next as their error."""
    evidence = Watched(readings.shape[1])
    for x, e in zip(readings[1:], np.diff(readings, axis=0), strict=True):
        evidence.take(x, e)
    return evidence


def state_of(evidence: Watched) -> dict[str, np.ndarray]:
    return evidence.machines.to_state()


def restored(state: dict[str, np.ndarray]) -> Watched:
    machines = Machines.from_state(state, POLICY)
    return Watched(machines.n_sensors, machines)


def grown(evidence: Watched, n_sensors: int) -> Watched:
    return Watched(n_sensors, evidence.machines.grown(n_sensors, None))


def variances(evidence: Watched) -> np.ndarray:
    covariance = evidence.covariance
    return covariance.diagonal(axis1=1, axis2=2) if evidence.n_sensors <= MOST_DENSE else covariance[:, 0]


def imagined(evidence: Watched, channel: int, values: np.ndarray) -> Seen:
    """A measurement of a calm machine, but for the values of one channel; every sensor is used."""
    middle = evidence.row(at.MEAN + ch.LEVEL)
    evidence.measure(middle, np.zeros_like(middle))
    work, _, head, measured, *_ = evidence.desk
    measured[:N_VALUES] = middle
    measured[VALUE_OF[channel]], measured[at.USED] = values, 1.0
    statistics = head[at.STATISTICS : at.OF_TAIL]
    return Seen(work[: at.n_assessment(evidence.n_sensors)].copy(), statistics.copy(), measured.copy())


# -- averages ----------------------------------------------------------------------------------------------------------


def test_the_averages_are_their_naive_twin() -> None:
    rng = np.random.default_rng(1)
    twin = [Averages(ch.HALF_LIVES) for _ in range(3)]
    watch = Watched(3)
    for t, x, e in zip(range(120), rng.normal(5, 2, (120, 3)), rng.normal(size=(120, 3)), strict=True):
        missing = rng.random(3) < 0.2
        missing[0] = missing[0] or 80 <= t < 95  # an outage
        x[missing] = e[missing] = np.nan
        is_back = not missing[0] and watch.row(at.N_MISSING)[0] >= 15
        out = np.empty((N_VALUES, 3))
        averaged(out, watch.table, np.clip(x, -50, 50), e)
        expected = np.array([a.step(*xe, is_back and a is twin[0]) for a, *xe in zip(twin, x, e, strict=True)]).T
        np.testing.assert_allclose(out[list(VALUE_OF)], expected, rtol=1e-12)
        watch.table[at.AVERAGE : at.AVERAGE + N_VALUES] = out
        watch.table[at.N_AVERAGED] = [a.n for a in twin]
        watch.table[at.N_SINCE] = [a.n_since for a in twin]
        watch.table[at.N_MISSING] = np.where(missing, watch.table[at.N_MISSING] + 1, 0)


def test_a_sensor_that_is_back_from_an_outage_is_judged_by_a_new_average() -> None:
    """Its old average and the others' of today would disagree, though nothing is wrong."""
    rng = np.random.default_rng(2)
    t = np.arange(1200)
    level = np.where(t < 1120, t // 200 % 2, 1 - t[1119] // 200 % 2)  # moves while it is missing
    cause = 8.0 * level[:, None] + rng.normal(size=(1200, 1))
    readings = cause * [1.0, 2.0, -1.0] + 0.1 * rng.normal(size=(1200, 3))
    readings[1100:1150, 0] = np.nan
    evidence = watched(readings[:1000])
    calm = max(evidence.take(x, np.zeros(3)).statistics[ch.SENSOR] for x in readings[1000:1100])
    for x in readings[1100:1150]:
        evidence.take(x, np.zeros(3))
    after = [evidence.take(x, np.zeros(3)) for x in readings[1150:]]
    assert [seen.measured[at.USED, 0] for seen in after] == [0.0] * 14 + [1.0] * 36
    assert max(seen.statistics[ch.SENSOR] for seen in after) < 3 * calm


# -- measuring --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_sensors", [1, 4, MOST_DENSE + 6])
def test_measuring_changes_nothing(n_sensors: int) -> None:
    readings = correlated(150, n_sensors, seed=5)
    evidence = watched(readings)
    before = encode(state_of(evidence))
    seen = evidence.measure(readings[-1] + 9, readings[-1])
    for channel in range(ch.N_CHANNELS):
        evidence.contributions(seen, channel)
    assert encode(state_of(evidence)) == before


def test_sensors_that_move_together_are_far_off_when_they_part() -> None:
    cause = np.random.default_rng(8).normal(size=800)
    noise = 0.05 * np.random.default_rng(9).normal(size=(800, 2))
    evidence = watched(cause[:, None] + noise)
    mean = evidence.row(at.MEAN + ch.LEVEL)
    together, apart = (
        evidence.contributions(imagined(evidence, ch.LEVEL, mean + shift), ch.LEVEL)[0].max()
        for shift in ([1.0, 1.0], [1.0, -1.0])
    )
    assert apart > 20 * together


def test_a_constant_sensor_is_not_judged_and_a_missing_one_only_for_a_while() -> None:
    readings = correlated(300, 3, seed=10)
    readings[:, 1] = 7.0
    evidence = watched(readings)
    np.testing.assert_array_equal(evidence.row(at.KNOWN), [1, 0, 1])
    x = np.array([np.nan, 7.0, readings[0, 2]])
    seen = evidence.measure(x, np.zeros(3))
    np.testing.assert_array_equal(seen.measured[at.PRESENT], [0, 1, 1])
    np.testing.assert_array_equal(seen.measured[at.USED], [0, 0, 1])
    nothing_said = np.isnan(seen.statistics[: ch.N_CALIBRATED])
    np.testing.assert_array_equal(np.flatnonzero(nothing_said), [ch.SENSOR])  # a sensor alone has no others


def test_one_wild_reading_does_not_ruin_the_averages() -> None:
    readings = correlated(500, 2, seed=11)
    evidence = watched(readings)
    calm = evidence.row(at.MEAN + ch.LEVEL).copy()
    evidence.take(readings[-1] + 1e90, np.zeros(2))
    for x in correlated(500, 2, seed=11)[-100:]:
        evidence.advance(x, np.zeros(2))
    average = evidence.row(at.AVERAGE, N_VALUES)
    assert np.isfinite(average).all()
    np.testing.assert_array_less(np.abs(average[VALUE_OF[ch.LEVEL]] - calm), 5 * readings.std(0))


# -- explaining -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_sensors", [2, 5, 12, MOST_DENSE + 6])
def test_the_faulty_sensor_is_blamed_first_on_random_correlated_data(n_sensors: int) -> None:
    readings = correlated(1500, n_sensors, seed=n_sensors)
    evidence = watched(readings)
    mean, deviation = evidence.row(at.MEAN + ch.LEVEL), evidence.row(at.DEVIATION + ch.LEVEL)
    for faulty in range(min(n_sensors, 20)):
        values = mean.copy()
        values[faulty] += 8 * deviation[faulty]
        blame, _, expected, *_ = evidence.contributions(imagined(evidence, ch.LEVEL, values), ch.LEVEL)
        assert blame.argmax() == faulty
        np.testing.assert_allclose(expected[faulty], mean[faulty], atol=2 * deviation[faulty])


@pytest.mark.parametrize("n_sensors", [2, 5, 12])
def test_the_sensor_that_leaves_the_others_disagrees_most(n_sensors: int) -> None:
    readings = correlated(1500, n_sensors, seed=n_sensors)
    calm = watched(readings)
    state = state_of(calm)
    for faulty in range(n_sensors):
        evidence = restored(state)
        for x in readings[-20:].copy():
            usual = calm.measure(x, np.zeros(n_sensors)).statistics[ch.SENSOR]
            x[faulty] += 3 * readings[:, faulty].std()
            seen = evidence.advance(x, np.zeros(n_sensors))
        assert seen.statistics[ch.SENSOR] > 5 * usual
        assert evidence.contributions(seen, ch.SENSOR)[0].argmax() == faulty


@pytest.mark.parametrize("channel", [ch.RANGE, ch.LONG_RANGE])
def test_the_sensor_outside_its_range_is_blamed_alone(channel: int) -> None:
    evidence = watched(correlated(400, 3, seed=12))
    values = evidence.row(at.MEAN + ch.LEVEL).copy()
    values[1] = evidence.row(at.HIGH + channel - ch.RANGE)[1] + 100
    blame = evidence.contributions(imagined(evidence, channel, values), channel)[0]
    assert blame[1] > 0
    assert blame[0] == blame[2] == 0


# -- keeping ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_old", "n_new"), [(0, 3), (3, 5), (MOST_DENSE + 1, MOST_DENSE + 3)])
def test_growth_keeps_what_is_known(n_old: int, n_new: int) -> None:
    evidence = watched(correlated(201, n_old, seed=13)) if n_old else Watched(0)
    new = grown(evidence, n_new)
    np.testing.assert_array_equal(new.table[:, :n_old], evidence.table)
    np.testing.assert_array_equal(variances(new)[:, :n_old], variances(evidence))
    np.testing.assert_array_equal(new.machine[1][: at.N_WAITING], evidence.machine[1][: at.N_WAITING])
    assert not new.row(at.KNOWN)[n_old:].any()
    assert np.isfinite(new.measure(np.ones(n_new), np.ones(n_new)).statistics[: ch.N_CALIBRATED]).all() == (n_old > 1)


def test_growth_beyond_what_correlations_are_kept_for_starts_the_picture_anew_but_not_the_averages() -> None:
    evidence = watched(correlated(201, 4, seed=13))
    new = grown(evidence, MOST_DENSE + 1)
    np.testing.assert_array_equal(new.table[: at.PICTURE, :4], evidence.table[: at.PICTURE])
    assert not new.row(at.KNOWN).any()
    assert new.machine[1][at.N_RECORDS] == 0


def test_correlations_survive_growth() -> None:
    evidence = watched(correlated(200, 3, seed=14))
    new = grown(evidence, 5)
    np.testing.assert_array_equal(new.covariance[:, :3, :3], evidence.covariance)
    assert not new.covariance[:, 3:].any()


def test_forgetting_starts_anew_but_the_averages_go_on() -> None:
    evidence = watched(correlated(200, 3, seed=15))
    average = evidence.row(at.AVERAGE, N_VALUES).copy()
    forget(evidence.machine, evidence.desk)
    np.testing.assert_array_equal(evidence.row(at.AVERAGE, N_VALUES), average)
    np.testing.assert_array_equal(evidence.table[at.PICTURE :], Watched(3).table[at.PICTURE :])
    assert evidence.machine[1][at.N_RECORDS] == 0


@pytest.mark.parametrize("n_sensors", [1, 4, MOST_DENSE + 6])
@pytest.mark.parametrize("n", [5, 93, 207])
def test_restored_evidence_goes_on_identically(n: int, n_sensors: int) -> None:
    readings = correlated(n + 60, n_sensors, seed=16)
    original = watched(readings[:n])
    twin = restored(decode(encode(state_of(original))))
    for x in readings[n:]:
        for one, other in zip(original.take(x, 0.1 * x)[1:], twin.take(x, 0.1 * x)[1:], strict=True):
            np.testing.assert_array_equal(one, other)
    assert encode(state_of(twin)) == encode(state_of(original))


@pytest.mark.parametrize("channel", [ch.RANGE, ch.LONG_RANGE])
def test_a_new_sensor_without_a_range_is_not_to_blame(channel: int) -> None:
    evidence = grown(watched(correlated(200, 2, seed=17)), 3)
    seen = evidence.measure(np.ones(3), np.zeros(3))
    assert evidence.contributions(seen, channel)[0, 2] == 0
