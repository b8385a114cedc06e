"""The NAB benchmark: what its scores are worth on cases that can be checked by hand, and what it writes."""

from __future__ import annotations

import csv
import json
import math
from datetime import datetime, timedelta

import numpy as np
import pytest

from benchmarks import nab
from benchmarks.nab_scoring import OUTSIDE, PROFILES, best, ground, hits, n_probation, together
from benchmarks.onsets import onsets, rises

STANDARD = PROFILES[0]


def scores_with(n_rows, alarms):
    """Zero but for the given rows; the rows on probation are left out."""
    scores = np.zeros(n_rows)
    scores[list(alarms)] = 1.0
    return scores[n_probation(n_rows) :]


class TestRises:
    def test_keep_a_score_that_exceeds_all_of_the_records_before(self):
        found = rises(np.array([0.1, 0.5, 0.5, 0.6, 0.2]), n_rest=2)
        np.testing.assert_array_equal(found, [0.1, 0.5, -math.inf, 0.6, -math.inf])

    def test_take_a_missing_score_for_none(self):
        np.testing.assert_array_equal(rises(np.array([math.nan, -3.0]), n_rest=5), [-math.inf, -3.0])


class TestOnsets:
    def test_keep_a_score_that_exceeds_those_kept_before_by_a_fifth(self):
        found = onsets(np.array([0.1, 0.5, 0.59, 0.61, 0.2]), n_rest=2)
        np.testing.assert_array_equal(found, [0.1, 0.5, -math.inf, 0.61, -math.inf])

    def test_forget_after_the_rest(self):
        found = onsets(np.array([0.9, 0.1, 0.2, 0.3]), n_rest=2)
        np.testing.assert_array_equal(found, [0.9, -math.inf, -math.inf, 0.3])

    def test_look_only_back(self):
        scores = np.random.default_rng(0).random(300)
        np.testing.assert_array_equal(onsets(scores)[:200], onsets(scores[:200]))

    def test_take_a_missing_score_and_zero_for_none(self):
        np.testing.assert_array_equal(onsets(np.array([math.nan, 0.0, 2.0]), n_rest=5), [-math.inf, -math.inf, 2.0])


class TestTheScores:
    def test_a_window_found_at_its_first_row_and_nothing_else_is_perfect(self):
        judged = ground(1000, [(400, 499)])
        for profile in PROFILES:
            assert best(scores_with(1000, [400]), judged, profile).score == pytest.approx(100)

    def test_a_detector_that_stays_silent_has_zero(self):
        judged = ground(1000, [(400, 499)])
        assert best(np.full(len(judged.worth), -math.inf), judged, STANDARD) == (0.0, math.inf)

    def test_a_window_counts_once_and_by_its_earliest_alarm(self):
        judged = ground(1000, [(400, 499)])
        once, often = (best(scores_with(1000, rows), judged, STANDARD).score for rows in ([450], range(450, 500)))
        assert once == pytest.approx(often)
        assert once < 100

    def test_an_alarm_in_the_middle_is_worth_what_the_paper_says(self):
        worth = ground(1000, [(400, 499)]).worth[450 - n_probation(1000)]
        assert worth == pytest.approx((2 / (1 + math.exp(-2.5)) - 1) / (2 / (1 + math.exp(-5)) - 1))

    def test_a_false_alarm_costs_its_weight_and_less_just_after_a_window(self):
        judged = ground(1000, [(400, 499)])
        far, near = (best(scores_with(1000, [400, row]), judged, STANDARD).score for row in (300, 505))
        assert far == pytest.approx(100 * (2 - 0.11) / 2)
        assert far < near < 100

    def test_rows_on_probation_are_not_judged(self):
        assert n_probation(1000) == 150
        assert n_probation(20_000) == 750
        assert len(ground(1000, []).worth) == 850

    def test_one_threshold_serves_all_files(self):
        judged = together([ground(1000, [(400, 499)]), ground(1000, [(600, 699)])])
        assert judged.n_windows == 2
        assert set(judged.window) == {OUTSIDE, 0, 1}
        scores = np.concatenate([scores_with(1000, [400]), 0.5 * scores_with(1000, [600])])
        result = best(scores, judged, STANDARD)
        assert result.threshold == 0.5
        assert hits(scores, judged, result.threshold) == (2, 0)

    def test_the_best_threshold_is_the_best_of_all_of_them(self):
        rng = np.random.default_rng(1)
        judged = ground(600, [(200, 240), (300, 380)])
        scores = rng.integers(0, 30, len(judged.worth)).astype(float)
        for profile in PROFILES:
            totals = [total_at(scores, judged, profile, threshold) for threshold in range(30)]
            expected = 100 * (max(totals) + profile.miss * 2) / (2 + profile.miss * 2)
            assert best(scores, judged, profile).score == pytest.approx(max(0.0, expected))


def total_at(scores, judged, profile, threshold):
    """NAB's raw score of one threshold, window by window."""
    flagged = scores >= threshold
    total = profile.false_alarm * judged.worth[flagged & (judged.window == OUTSIDE)].sum()
    for number in range(judged.n_windows):
        found = judged.worth[flagged & (judged.window == number)]
        total += found.max() if len(found) else -profile.miss
    return total


@pytest.fixture
def data(tmp_path):
    """A copy of NAB with one file, whose value jumps in its only window."""
    begin, name = datetime(2014, 1, 1), "realKnownCause/pump.csv"
    times = [str(begin + timedelta(minutes=5 * row)) for row in range(600)]
    path = tmp_path / "data" / name
    path.parent.mkdir(parents=True)
    rows = [f"{time},{(row * 7919) % 101 + 500 * (500 <= row < 520)}" for row, time in enumerate(times)]
    path.write_text("\n".join(["timestamp,value", *rows]) + "\n")
    labels = tmp_path / "labels" / "combined_windows.json"
    labels.parent.mkdir()
    labels.write_text(json.dumps({name: [[f"{times[490]}.000000", f"{times[530]}.000000"]]}))
    return tmp_path


class TestTheProgram:
    def test_reads_windows_as_rows_and_tells_the_time_only_to_whom_reads_it(self, data):
        (file,) = nab.read(data)
        assert file.windows == [(490, 530)]
        assert next(file.readings(with_time=False)) == {"value": 0.0}
        assert next(file.readings(with_time=True)) == {"value": 0.0, "timestamp": datetime(2014, 1, 1)}

    def test_writes_a_score_for_each_row(self, data, tmp_path):
        files = list(nab.read(data))
        scores = np.linspace(0, 0.5, 600)
        scores[300] = math.nan
        nab.write(tmp_path / "out", files, [scores], is_raw=False)
        with (tmp_path / "out" / files[0].name).open(newline="") as opened:
            rows = list(csv.DictReader(opened))
        assert list(rows[0]) == ["timestamp", "value", "anomaly_score"]
        assert len(rows) == 600
        assert float(rows[300]["anomaly_score"]) == 0
        assert max(float(row["anomaly_score"]) for row in rows) > 0.4

    def test_judges_and_tells_what_a_run_came_to(self, data):
        files = list(nab.read(data))
        results = nab.run(nab.OURS, 0, files)
        figures = [nab.judged("ours", variant, seed, files, results) for variant in nab.VARIANTS for seed in range(2)]
        assert figures[0].scores[0] > 50
        assert nab.table(figures).row_count == 3
        json.dumps([nab.as_plain(row) for row in figures], allow_nan=False)
        assert nab.spread([1.0, 3.0]) == "2.0 ±1.4"
