"""The SKAB benchmark: its figures on cases that can be checked by hand, and what it reads and writes."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from benchmarks import skab, skab_alerts, skab_files
from benchmarks.contender import Contender, Entry
from benchmarks.replaying import Replay
from benchmarks.skab_scoring import Tally, ranking, tally
from benchmarks.vus import segments, vus_pr, widened

SENSORS = ("Pressure", "Voltage")


def fault(n_rows, *spans):
    labels = np.zeros(n_rows, bool)
    for first, end in spans:
        labels[first:end] = True
    return labels


class TestVus:
    def test_finds_the_segments(self):
        assert segments(fault(10, (0, 2), (4, 5), (8, 10))) == [slice(0, 2), slice(4, 5), slice(8, 10)]
        assert segments(fault(10)) == []

    def test_labels_fade_over_half_a_buffer_on_both_sides(self):
        soft = widened(fault(12, (4, 6)), buffer=4)
        slope = np.sqrt([0.75, 0.5])
        np.testing.assert_allclose(soft, [0, 0, *slope[::-1], 1, 1, *slope, 0, 0, 0, 0])

    def test_labels_fade_up_to_the_ends_and_never_exceed_1(self):
        assert widened(fault(6, (0, 2), (3, 6)), buffer=8).max() == 1
        np.testing.assert_array_equal(widened(fault(6, (2, 3)), buffer=1), fault(6, (2, 3)))

    def test_is_1_without_a_buffer_for_a_perfect_score_and_nearly_so_with_all(self):
        labels = fault(1000, (300, 500), (700, 800))
        assert vus_pr(labels, labels.astype(float)) > 0.9
        assert vus_pr(labels, np.random.default_rng(0).random(1000)) < 0.5
        assert vus_pr(labels, -labels.astype(float)) < 0.4

    def test_forgives_a_delay_that_precision_does_not(self):
        labels, late = fault(1000, (300, 500)), fault(1000, (320, 520)).astype(float)
        assert vus_pr(labels, late) > ranking(labels, late).average_precision

    def test_takes_a_missing_score_for_the_lowest(self):
        labels, scores = fault(400, (100, 200)), np.random.default_rng(0).random(400)
        scores[:50] = math.nan
        lowest = np.where(np.isnan(scores), -1.0, scores)
        assert vus_pr(labels, scores) == vus_pr(labels, lowest)
        assert ranking(labels, scores) == ranking(labels, lowest)


class TestTallies:
    def test_count_rows(self):
        faulty, alert = fault(10, (2, 6)), fault(10, (4, 9))
        assert tally(faulty, alert) == Tally(n_found=2, n_missed=2, n_false=3, n_quiet=3)

    def test_tell_rates_of_all_files_together(self):
        rows = Tally(2, 2, 3, 3).plus(Tally(6, 0, 0, 4))
        assert rows.f1 == pytest.approx(2 * 8 / (2 * 8 + 3 + 2))
        assert rows.false_alarm_rate == pytest.approx(3 / 10)
        assert rows.missed_alarm_rate == pytest.approx(2 / 10)

    def test_of_a_detector_that_never_alerts_are_no_error(self):
        assert Tally(0, 5, 0, 5).f1 == 0


@pytest.fixture
def data(tmp_path):
    """A copy of SKAB with one file of 600 rows, its fault in rows 500 to 550."""
    path = tmp_path / "valve1" / "0.csv"
    path.parent.mkdir()
    rng = np.random.default_rng(0)
    rows = [f"2020-03-09 10:{i // 60:02}:{i % 60:02};{rng.normal()};{rng.normal()};" for i in range(600)]
    rows = [f"{row}{float(500 <= i < 550)};0.0" for i, row in enumerate(rows)]
    path.write_text("\n".join(["datetime;Pressure;Voltage;anomaly;changepoint", *rows]) + "\n")
    (tmp_path / "anomaly-free").mkdir()
    (tmp_path / "anomaly-free" / "anomaly-free.csv").write_text("datetime;Pressure\n")
    return tmp_path


class Counting(Contender):
    """Its score is the number of records that it has learned."""

    def __init__(self, seed):
        self.n = seed

    def score(self, x):
        assert tuple(x) == SENSORS
        return float(self.n)

    def learn(self):
        self.n += 1


class TestTheProgram:
    def test_gives_detectors_the_sensors_and_no_label_and_no_clock(self, data):
        (file,) = skab_files.read(data)
        assert file.name == "valve1/0.csv"
        assert all(tuple(x) == SENSORS for x in file.xs(with_time=False))
        assert set(file.xs(with_time=True)[0]) == {*SENSORS, "timestamp"}
        assert segments(file.faulty) == [slice(500, 550)]

    def test_frozen_peers_learn_the_first_rows_alone(self, data):
        files, entry = list(skab_files.read(data)), Entry("counting", Counting)
        adapting, frozen = (skab.peer(entry, is_frozen, files) for is_frozen in (False, True))
        assert adapting.tally == Tally(50, 0, 150, 0)  # it grows for ever, beyond any threshold
        assert frozen.tally == Tally(50, 0, 150, 0)
        assert frozen.ranking.roc_auc == 0.5
        assert adapting.ranking.roc_auc == pytest.approx(2 / 3)
        assert skab.table([adapting, frozen], ["another"]).row_count == 3
        assert [row["mode"] for row in skab.as_plain([adapting, frozen])] == ["adapting", "frozen"]

    def test_a_peer_without_an_opinion_raises_no_alert(self, data):
        class Silent(Counting):
            def learn(self):
                pass

        assert skab.peer(Entry("silent", Silent), False, list(skab_files.read(data))).tally.n_false == 0

    def test_tells_what_lies_under_alerts_and_what_an_alert_that_never_ends_would_get(self, data, capsys):
        files = list(skab_files.read(data))
        (replay,) = skab_alerts.replays(files, alerts_per_day=1.0)
        assert len(replay.scores) == 600
        skab_alerts.tell_alerts(files, [replay._replace(alerts=[], is_open=[row >= 500 for row in range(600)])])
        told = capsys.readouterr().out
        assert "files hit 0 of 1; normal rows under an alert 33.3%; faulty rows under an alert 100.0%; F1 0.67" in told
        assert "always open: normal rows under an alert 100%; F1 0.40" in told

    def test_writes_a_line_for_each_row(self, data, tmp_path):
        files = list(skab_files.read(data))
        skab_alerts.write(tmp_path / "out", files, [Replay([], [], [0.5] * 600, [False] * 599 + [True])])
        with (tmp_path / "out" / "valve1" / "0.csv").open(newline="") as opened:
            rows = list(csv.DictReader(opened))
        assert rows[-1] == {"datetime": files[0].times[-1], "anomaly_score": "0.5", "alert": "1"}
        assert len(rows) == 600
