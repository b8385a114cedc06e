"""The ablation: what some channels say alone, on cases that can be checked by hand, and against the detector itself."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import pytest

from benchmarks.ablation import spread
from benchmarks.ablation_faults import catches, shares
from benchmarks.changes import CHANGES, fresh
from benchmarks.fault_bank import FAULTS
from benchmarks.fault_beds import Bed, Calm, Machine
from benchmarks.parts import ERRORS, PARTS, Evidence, combined, decades, gathered, lasting, uncalibrated, without
from scrnn_stream import SCRNNDetector
from scrnn_stream.channels import CHANNELS, N_CALIBRATED, N_CHANNELS


def records(n, n_calm):
    """A sensor that follows a wave, and one that follows the first until it stays where it is not expected."""
    rng = np.random.default_rng(0)
    flow = np.sin(np.arange(n) / 8) + 0.1 * rng.standard_normal(n)
    pressure = flow + 0.1 * rng.standard_normal(n) + np.where(np.arange(n) < n_calm, 0.0, 3.0)
    begin = datetime(2026, 1, 1)
    times = [begin + timedelta(minutes=minute) for minute in range(n)]
    return [{"flow": f, "pressure": p, "timestamp": t} for f, p, t in zip(flow, pressure, times, strict=True)]


class TestTheCombination:
    def test_is_the_least_p_with_the_price_of_each_look(self):
        p = np.array([[0.2, 0.01, 0.3], [0.5, 0.6, 0.7]])
        assert combined(p, np.full(p.shape, True)) == pytest.approx([0.03, 1.0])

    def test_does_not_hear_a_channel_that_is_not_looking(self):
        assert combined(np.array([[0.2, 0.01]]), np.array([[True, False]])) == pytest.approx([0.2])
        assert combined(np.array([[0.2, 0.01]]), np.array([[False, False]])) == pytest.approx([1.0])

    def test_of_all_channels_is_what_the_detector_says(self):
        xs, said, twin = records(1300, n_calm=600), [], SCRNNDetector(time_key="timestamp", seed=0)
        for x in xs:
            said.append(twin.assess_one(x).p)
            twin.learn_one(x)
        evidence = gathered(SCRNNDetector(time_key="timestamp", seed=0), xs)
        assert PARTS["as shipped"](evidence) == pytest.approx(decades(np.array(said)))
        assert PARTS["as shipped"](evidence)[600:].max() > 5

    def test_counts_decades_from_zero(self):
        assert decades(np.array([1.0, 0.001, 0.0])) == pytest.approx([0, 3, 300])

    def test_counts_no_less_than_the_average_since_the_regime_began(self):
        scores, regime = np.where(np.arange(400) < 300, 4.0, 0.0), np.repeat([0, 1], [350, 50])
        found = lasting(scores, regime)
        assert found[:300] == pytest.approx(4.0)
        assert found[[319, 349, 350]] == pytest.approx([4 * 0.5 ** (20 / 70), 4 * 0.5 ** (50 / 70), 0], rel=0.06)


class TestTheParts:
    def test_without_some_channels_are_all_others(self):
        assert {*without(*ERRORS), *ERRORS} == set(CHANNELS)
        assert len(without(*ERRORS)) == N_CHANNELS - len(ERRORS)

    def test_look_at_their_own_channels_alone(self):
        p = np.ones((1, N_CHANNELS))
        p[0, CHANNELS.index("new_error")] = 1e-6
        looking, tails = np.full(p.shape, True), np.ones((1, N_CALIBRATED))
        evidence = Evidence(p, p, looking, tails, np.array([True]), np.array([0]))
        assert PARTS["error only"](evidence)[0] == pytest.approx(-math.log10(5e-6))
        assert PARTS["new extremes only"](evidence)[0] == pytest.approx(-math.log10(9e-6))
        assert [PARTS[name](evidence)[0] for name in ("slow only", "no network at all", "no new extremes")] == [0, 0, 0]

    def test_an_uncalibrated_statistic_is_measured_against_its_calm_mean_so_far(self):
        statistics, ones = np.full((400, N_CHANNELS), 2.0), np.ones((400, N_CHANNELS))
        statistics[300:, 0] = 10.0
        is_calm = np.arange(400) < 300
        scores = uncalibrated(Evidence(ones, statistics, ones > 0, ones[:, :N_CALIBRATED], is_calm, is_calm))
        assert scores[[0, 199, 200, 299, 300, 399]] == pytest.approx([0, 0, 1, 1, 5, 5])


class TestTheRuns:
    @pytest.mark.parametrize("change", CHANGES)
    def test_can_all_be_made(self, change):
        assert gathered(fresh(change, 0), records(3, n_calm=3)).p.shape == (3, N_CHANNELS)

    def test_are_told_by_mean_and_deviation(self):
        assert spread([1.0, 2.0], 1) == "1.5 ±0.7"
        assert spread([0.1234], 3) == "0.123"


class TestTheFaults:
    def test_all_parts_are_judged_on_every_fault_at_the_same_place(self):
        rng = np.random.default_rng(0)
        times, readings = 60.0 * np.arange(1600), rng.standard_normal((1600, 2))
        machine = Machine(times[:1200], readings[:1200], (1000,))
        bed = Bed("noise", ["a", "b"], [machine], [Calm(times, readings, (slice(400, None),))])
        caught = catches(bed, "as shipped", 0)
        assert len(caught) == len(FAULTS) * len(PARTS)
        assert not any(catch.is_caught for catch in caught if catch.kind == "nothing")
        assert shares("noise", "as shipped", caught)["level shift"] >= 0.5
