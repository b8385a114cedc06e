"""The detectors that ours is compared with: each does what its name says, and is met as it should be."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import simple_peers
from benchmarks.contender import scored
from benchmarks.peers import PEERS, chosen, is_installed


def stream(n_records=500, n_sensors=3):
    rng = np.random.default_rng(0)
    return [{f"s{j}": float(v) for j, v in enumerate(row)} for row in rng.normal(size=(n_records, n_sensors))]


def of(name):
    (entry,) = chosen(name)
    if not is_installed(entry):
        pytest.skip(f"{entry.needs} is no dependency of this project")
    return entry


@pytest.mark.parametrize("name", [entry.name for entry in PEERS])
class TestEachPeer:
    def test_scores_any_number_of_sensors_with_numbers(self, name):
        for n_sensors in (1, 3):
            assert np.isfinite(scored(of(name).make(0), stream(60, n_sensors)).scores).all()

    def test_says_the_same_of_the_same_records(self, name):
        one, other = (scored(of(name).make(1), stream(60)).scores for _ in range(2))
        np.testing.assert_array_equal(one, other)

    def test_does_not_see_what_comes(self, name):
        whole, begin = (scored(of(name).make(0), stream()[:n]).scores for n in (60, 40))
        np.testing.assert_array_equal(whole[:40], begin)


@pytest.mark.parametrize("name", [entry.name for entry in PEERS if entry.can_freeze and not entry.needs])
def test_a_frozen_peer_has_learned_nothing_since(name):
    xs = stream(350)
    calm, wild = ([*xs[:300], *middle, xs[0]] for middle in (xs[300:], [dict.fromkeys(x, 9.0) for x in xs[300:]]))
    last = [scored(of(name).make(0), xs, n_learned=300).scores[-1] for xs in (calm, wild)]
    if name in ("last value", "T2 of averages"):  # the last records are not what is normal
        assert last[0] != last[1]
    else:
        assert last[0] == last[1]


class TestSimplePeers:
    def test_the_range_rule_tells_widths_of_the_range(self):
        values = [0.0, 2.0, 1.0, 3.0, -3.0]
        scores = scored(simple_peers.RangeRule(), [{"a": v} for v in values]).scores
        np.testing.assert_allclose(scores, [0, 1, 0, 0.5, 1])

    def test_the_last_value_is_judged_by_the_steps_before(self):
        values = [0.0, 1.0, 0.0, 3.0]
        scores = scored(simple_peers.LastValue(), [{"a": v} for v in values]).scores
        np.testing.assert_allclose(scores, [0, 0, 1 / np.sqrt(1 / 2), 3 / np.sqrt(2 / 3)])

    def test_t2_of_averages_is_that_of_their_mean_and_covariance(self):
        xs = stream(50)
        averages = [np.array(list(xs[0].values()))]
        for x in xs[1:]:
            averages.append(averages[-1] + (1 - 0.5**0.2) * (np.array(list(x.values())) - averages[-1]))
        past, now = np.array(averages[:-1]), averages[-1]
        away = now - past.mean(axis=0)
        expected = away @ np.linalg.inv(np.cov(past.T)) @ away
        assert scored(simple_peers.AveragesT2(), xs).scores[-1] == pytest.approx(expected, rel=1e-4)

    def test_t2_of_averages_bears_a_sensor_that_never_moves(self):
        xs = [x | {"flat": 5.0} for x in stream(50)]
        assert np.isfinite(scored(simple_peers.AveragesT2(), xs).scores).all()


class TestChoosing:
    def test_all_none_and_names(self):
        assert chosen("all") == list(PEERS)
        assert chosen("none") == []
        assert [entry.name for entry in chosen("range rule,random")] == ["range rule", "random"]

    def test_an_unknown_name_is_told_with_the_known_ones(self):
        with pytest.raises(SystemExit, match="no peer is named 'hal'; there are: constant"):
            chosen("hal")
