"""The benchmark of the budget: calm streams, and a watch over them that raises what the monitor would."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.budget import LEAST_DAYS, plan, rows_of
from benchmarks.calm_streams import STREAMS, chosen
from benchmarks.watching import Raised, Watched, names, watch
from scrnn_stream.monitor import Monitor, Settings
from scrnn_stream.records import Partition, Position, Record
from scrnn_stream.simulate import DAY, MONDAY

BUDGETS = (1.0, 50.0)


def eventful(n=3000):
    """Two sensors; some jumps, a missing reading now and then, a gap, and a change that is adopted."""
    rng = np.random.default_rng(5)
    readings = rng.normal(size=(n, 2))
    for begin in (900, 1300, 1500):
        readings[begin : begin + 8, 0] += 9
    readings[:2000][rng.random((2000, 2)) < 0.01] = np.nan
    readings[2000:] += 50
    times = MONDAY + 60.0 * np.arange(n)
    times[1100:] += 7200
    return times, readings


def monitored(times, readings, budget):
    """Seconds since the start at which a monitor raises `anomaly` alerts, and the regimes that it adopts."""
    monitor = Monitor("machine", Settings(alerts_per_day=budget))
    raised = []
    for i, (time, row) in enumerate(zip(times.tolist(), readings.tolist(), strict=True)):
        record = Record(Position(Partition("calm", 0), i), "machine", time, dict(zip(names(2), row, strict=True)))
        alerts = monitor.process(record).alerts
        raised += [time - times[0] for a in alerts if (a.kind, a.state) == ("anomaly", "firing")]
    return raised, monitor.detector.n_regimes


@pytest.mark.parametrize("by_channel", [False, True])
def test_the_watch_raises_what_the_monitor_raises(by_channel):
    times, readings = eventful()
    watched = watch(times, readings, BUDGETS, by_channel)
    assert watched.days == pytest.approx((times[-1] - times[0]) / DAY)
    for budget, raised in zip(BUDGETS, watched.raised, strict=True):
        expected, n_regimes = monitored(times, readings, budget)
        assert [alert.since_start_s for alert in raised] == expected
        assert len(expected) >= 3
        assert all((alert.channel is not None) == by_channel for alert in raised)
        assert watched.n_regimes == n_regimes == 1


@pytest.mark.parametrize("stream", STREAMS, ids=[stream.name for stream in STREAMS])
def test_a_machine_is_the_same_every_time_and_not_like_the_next(stream):
    (times, readings), (_, again), (_, other) = (stream.machine(number, days=0.3) for number in (0, 0, 1))
    np.testing.assert_array_equal(readings, again)
    assert readings.shape == other.shape == (len(times), stream.n_sensors)
    assert not np.array_equal(readings, other, equal_nan=True)
    assert np.unique(np.diff(times)).tolist() == [60.0]
    assert stream.what


@pytest.mark.parametrize("keep", ["ar90", "ar99"])
def test_an_autoregression_has_unit_variance_and_the_memory_it_says(keep):
    [stream] = chosen(keep)
    x = stream.machine(0, days=60)[1][:, 0]
    assert x.var() == pytest.approx(1, abs=0.1)
    assert np.corrcoef(x[:-1], x[1:])[0, 1] == pytest.approx(int(keep[2:]) / 100, abs=0.01)


def test_both_modes_last_for_hours():
    [stream] = chosen("regimes")
    is_second = np.convolve(stream.machine(0, days=10)[1][:, 0], np.ones(15) / 15, "same") > 2
    assert 0.2 < is_second.mean() < 0.8
    assert 15 < np.count_nonzero(np.diff(is_second)) < 120


def test_streams_are_chosen_by_how_their_names_begin():
    assert [stream.name for stream in chosen("ar99,counts")] == ["ar99", "counts_low", "counts_high"]
    assert chosen("") == list(STREAMS)
    with pytest.raises(ValueError, match="no stream begins with 'pomp'; there are gaussian"):
        chosen("pump,pomp")


@pytest.mark.parametrize("stream", STREAMS, ids=[stream.name for stream in STREAMS])
def test_a_plan_asks_for_enough_alerts_and_shows_each_machine_a_month(stream):
    n_machines, days = plan(stream, (0.1, 1.0, 10.0), 100)
    assert days >= LEAST_DAYS
    assert n_machines * days * (0.1 if stream.n_sensors < 30 else 1.0) == pytest.approx(100)


def test_the_first_two_days_are_left_out_of_the_second_ratio():
    alerts = [Raised(DAY, "level"), Raised(3 * DAY, "error"), Raised(5 * DAY, "error")]
    rest = (10.0, 14400, 0, 1.0)
    [row] = rows_of("calm", [0.5], [Watched([alerts], [9], *rest), Watched([[]], [1], *rest)])
    assert (row.asked, row.achieved, row.ratio) == (10.0, 3, 0.3)
    assert (row.asked_later, row.achieved_later, row.ratio_later) == (8.0, 2, 0.25)
    assert row.n_unthrottled == 10
    assert row.by_channel == {"level": 1, "error": 2}
    assert not row.holds
