"""The benchmark of faults: the bank, alerts at an equal rate, and entrants that can be copied."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from benchmarks.entrants import BASELINES, OURS, Ours, Peer, chosen
from benchmarks.equal_rate import REST, onsets, threshold_of
from benchmarks.fault_bank import FAULTS, NOTHING
from benchmarks.fault_beds import Machine, pumps, skab
from benchmarks.faults import GRACE, LENGTH, Result, Trial, as_numbers, drawn, run, scores, told, trials_of
from benchmarks.skab_calm import FILE

BEGIN, END = 1100, 1200
SENSORS = ["flow", "pressure", "speed"]


def calm(n=1300):
    """Three sensors of unit noise, of other levels, on a slow wave; a reading is missing within each fault."""
    rng = np.random.default_rng(4)
    readings = rng.normal(size=(n, 3)) + 3 * np.sin(np.arange(n) / 200)[:, None] + np.array([0.0, 50.0, 1000.0])
    readings[BEGIN + 30] = np.nan
    return readings


def injected(kind, size=""):
    """Calm readings, the same with that fault in the first sensors, and which of them it is."""
    fault = next(f for f in FAULTS if (f.kind, f.size) == (kind, size))
    readings = calm()
    columns = tuple(range(fault.n_sensors))
    return readings, fault.inject(readings, BEGIN, END, columns, np.random.default_rng(0)), columns


class TestTheFaultBank:
    @pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind} {fault.size}")
    def test_a_fault_changes_its_sensors_while_it_lasts_and_nothing_else(self, fault):
        readings, faulty, columns = injected(fault.kind, fault.size)
        np.testing.assert_array_equal(readings, calm())
        changed = ~((faulty == readings) | (np.isnan(faulty) & np.isnan(readings)))
        rows, hit = np.nonzero(changed)
        assert set(hit) == set(columns)
        assert all(BEGIN <= row < fault.last_end(BEGIN, END) for row in rows)
        assert np.isnan(faulty[BEGIN + 30]).all()
        assert changed[:, list(columns)].any(axis=0).all()

    def test_a_size_is_in_standard_deviations_of_the_noise(self):
        readings, faulty, _ = injected("level shift", "4 sd")
        departures = (faulty - readings)[BEGIN:END, 0]
        np.testing.assert_allclose(np.abs(departures[~np.isnan(departures)]), 4, rtol=0.1)

    def test_a_drift_grows_to_its_size(self):
        readings, faulty, _ = injected("slow drift", "8 sd")
        departure = np.abs(faulty - readings)[BEGIN:END, 0]
        assert departure[0] < 0.2
        assert departure[-1] == pytest.approx(8, rel=0.1)

    def test_a_spike_is_one_record(self):
        readings, faulty, _ = injected("spike", "8 sd")
        assert np.flatnonzero(faulty[:, 0] != readings[:, 0])[:2].tolist() == [BEGIN, BEGIN + 30]  # the missing one

    def test_a_stuck_sensor_repeats_its_last_reading(self):
        readings, faulty, _ = injected("stuck")
        assert set(faulty[BEGIN:END, 0][~np.isnan(faulty[BEGIN:END, 0])]) == {readings[BEGIN - 1, 0]}

    def test_a_lag_tells_what_was_true_before(self):
        readings, faulty, _ = injected("lag", "20 records")
        np.testing.assert_array_equal(faulty[BEGIN : BEGIN + 30, 0], readings[BEGIN - 20 : BEGIN + 10, 0])

    def test_a_twin_has_the_spread_of_the_past_and_nothing_to_do_with_the_others(self):
        readings, faulty, _ = injected("correlation", "twin")
        past, during = readings[BEGIN - 1000 : BEGIN, 0], faulty[BEGIN:END, 0]
        assert np.nanmean(np.abs(during - past.mean())) < 2 * past.std()
        assert abs(np.nanmean(np.diff(during) ** 2) / np.nanmean(np.diff(past) ** 2) - 1) < 0.5

    def test_shuffled_readings_are_those_of_the_past(self):
        readings, faulty, _ = injected("correlation", "shuffled")
        during = faulty[BEGIN:END, 0]
        assert set(during[~np.isnan(during)]) <= set(readings[BEGIN - 100 : BEGIN, 0])

    def test_swapped_sensors_read_what_the_other_should(self):
        readings, faulty, _ = injected("swap", "raw")
        np.testing.assert_array_equal(faulty[BEGIN : BEGIN + 9, :2], readings[BEGIN : BEGIN + 9, 1::-1])
        _, rescaled, _ = injected("swap", "rescaled")
        np.testing.assert_allclose(np.nanmean(rescaled[BEGIN:END], axis=0), np.nanmean(readings, axis=0), atol=4)


class TestAlertsAtAnEqualRate:
    def test_an_alert_begins_where_no_record_was_over_the_threshold_for_a_while(self):
        values = np.zeros(200)
        values[[0, 5, 5 + REST, 6 + 2 * REST, 150]] = 1
        assert onsets(values, 0.5) == [0, 6 + 2 * REST, 150]
        assert onsets(values, 0.5, rest=0) == [0, 5, 5 + REST, 6 + 2 * REST, 150]

    @pytest.mark.parametrize("n_allowed", [0, 1, 7, 20])
    def test_the_threshold_is_the_least_that_raises_no_more_alerts_than_allowed(self, n_allowed):
        rng = np.random.default_rng(n_allowed)
        streams = [rng.integers(0, 500, 900) / 500 for _ in range(3)]
        threshold = threshold_of(streams, n_allowed)
        below = max(value for stream in streams for value in stream if value < threshold)
        assert sum(len(onsets(stream, threshold)) for stream in streams) <= n_allowed
        assert sum(len(onsets(stream, below)) for stream in streams) > n_allowed

    def test_scores_that_never_move_need_no_threshold(self):
        assert threshold_of([np.zeros(100), np.zeros(50)], 2) == -math.inf


class TestEntrants:
    @pytest.mark.parametrize("name", [*OURS, *BASELINES])
    def test_a_twin_goes_its_own_way_and_leaves_the_other_as_it_was(self, name):
        readings, times = calm(), 60.0 * np.arange(1300)
        whole, parted = ({**OURS, **BASELINES}[name]() for _ in range(2))
        expected = run(whole, SENSORS, times[:450], readings[:450])
        judged = run(parted, SENSORS, times[:400], readings[:400])
        twin = parted.twin()
        run(twin, SENSORS, times[400:450], readings[400:450] + 10)
        judged += run(parted, SENSORS, times[400:450], readings[400:450])
        assert judged == expected
        assert all(math.isfinite(score) for score in scores(judged))

    def test_a_peer_gets_the_last_reading_for_a_missing_one(self):
        class Heard:
            def score_learn(self, x):
                return x["flow"]

        peer = Peer(Heard())
        assert [peer.judge(0.0, {"flow": value}).score for value in (3.0, math.nan, 5.0)] == [3.0, 3.0, 5.0]

    def test_peers_are_chosen_by_name(self):
        assert chosen("none") == {}
        name = next(iter(chosen("all")))
        assert list(chosen(name)) == [name]
        with pytest.raises(SystemExit, match="no peer is named 'oracle'"):
            chosen("oracle")


class TestTheTrials:
    def test_ours_catches_a_large_shift_and_names_the_sensor(self):
        machine = Machine(60.0 * np.arange(1300), calm(), (BEGIN,))
        trials = list(trials_of(Ours(), SENSORS, machine, 0, threshold=0.5, rest=REST))
        assert [(trial.kind, trial.size) for trial in trials] == [(fault.kind, fault.size) for fault in FAULTS]
        [shift] = (trial for trial in trials if (trial.kind, trial.size) == ("level shift", "8 sd"))
        assert shift.delay is not None
        assert shift.delay < 10
        assert shift.is_right

    def test_an_alert_that_began_before_the_fault_catches_nothing(self):
        peer = Peer(BASELINES["constant"]().scorer)
        machine = Machine(60.0 * np.arange(1300), calm(), (BEGIN,))
        assert {t.delay for t in trials_of(peer, SENSORS, machine, 0, threshold=-math.inf, rest=REST)} == {None}

    def test_sizes_of_a_kind_hit_the_same_sensors(self):
        drawn_columns = {(fault.kind, drawn(fault, 3, BEGIN, 8)[0]) for fault in FAULTS}
        assert len(drawn_columns) == len({fault.kind for fault in FAULTS})

    def test_tells_share_delay_and_right_sensor(self):
        trials = [
            Trial("a", "", 3, True),
            Trial("a", "", 7, False),
            Trial("a", "", 8, True),
            Trial("a", "", None, None),
        ]
        assert told(trials).split() == ["75%", "7", "67%"]
        assert told(trials[3:]).split() == ["0%", "-", "-"]

    def test_faults_and_thresholds_never_share_a_pump(self):
        bed = pumps(1, first_seed=7)
        for begin in bed.machines[0].begins:
            assert 4000 < begin < len(bed.machines[0].times) - LENGTH - GRACE
        assert not any(np.array_equal(c.readings, bed.machines[0].readings, equal_nan=True) for c in bed.calm)

    def test_in_the_file_faults_and_thresholds_never_share_a_record(self, tmp_path):
        (tmp_path / "anomaly-free").mkdir()
        lines = [f"2020-02-08 {t // 3600:02}:{t // 60 % 60:02}:{t % 60:02};{t % 7};{t % 5}" for t in range(9405)]
        (tmp_path / FILE).write_text("\n".join(["datetime;flow;pressure", *lines]))
        bed = skab(tmp_path)
        assert bed.sensors == ["flow", "pressure"]
        for_thresholds = {row for piece in bed.calm[0].pieces for row in range(9405)[piece]}
        assert len(for_thresholds) > 3000
        for begin in bed.machines[0].begins:
            assert begin > 3000
            assert for_thresholds.isdisjoint(range(begin, begin + LENGTH + GRACE))

    def test_what_is_kept_has_no_infinity(self):
        numbers = as_numbers(Result("constant", "pumps", -math.inf, 1.0, [Trial("stuck", "", None, None)]))
        assert json.loads(json.dumps(numbers, allow_nan=False))["threshold"] is None

    def test_nothing_is_the_first_of_the_bank_and_changes_nothing(self):
        readings, same, _ = injected(NOTHING.kind)
        np.testing.assert_array_equal(readings, same)
