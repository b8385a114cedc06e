"""A fleet learns what its networks would learn alone."""

from __future__ import annotations

import numpy as np
import pytest

from scrnn_stream.fleet import SCRNNFleet
from scrnn_stream.network import SCRNN

OPTIONS = {"n_hidden": 3, "n_context": 2, "truncation_length": 2}
N = 2400  # enough for several threads


def records(seed=0):
    rng = np.random.default_rng(seed)
    xs, targets = rng.normal(size=(N, 2)), rng.normal(size=(N, 3))
    xs[rng.random(xs.shape) < 0.1] = np.nan
    targets[rng.random(N) < 0.1] = np.nan
    return rng.integers(4, size=N), xs, targets, rng.choice([0.5, 1.0, 3.0], size=N)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("n_batches", [1, 7])
def test_each_network_learns_what_it_would_learn_alone(threads, n_batches):
    fleet = SCRNNFleet(4, 2, 3, seed=5, **OPTIONS)
    alone = [SCRNN(2, 3, seed=5 + i, **OPTIONS) for i in range(4)]
    which, xs, targets, dts = records()
    batches = [
        fleet.learn(*batch, threads=threads)
        for batch in zip(*(np.array_split(a, n_batches) for a in records()), strict=True)
    ]
    predictions, losses = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    for i, x, target, dt, y, loss in zip(which, xs, targets, dts, predictions, losses, strict=True):
        np.testing.assert_array_equal(alone[i].predict(x, dt), y)
        np.testing.assert_array_equal(alone[i].learn(x, target, dt), loss)
    for i, network in enumerate(alone):
        np.testing.assert_array_equal(fleet[i].to_state()["theta"], network.to_state()["theta"])
        assert fleet[i].n_learned == network.n_learned


def test_a_handle_learns_for_the_fleet_until_it_grows():
    fleet = SCRNNFleet(2, 1, 1, seed=0, **OPTIONS)
    handle = fleet[1]
    handle.learn([1.0], [2.0])
    assert (fleet[0].n_learned, fleet[1].n_learned) == (0, 1)
    handle.grow(2, 1)
    handle.learn([1.0, 1.0], [2.0])
    assert fleet[1].n_learned == 1


def test_networks_start_differently():
    fleet = SCRNNFleet(2, 1, 1, seed=0, **OPTIONS)
    fleet.learn([0, 1], [[1.0], [1.0]], [[1.0], [1.0]])
    assert (fleet[0].hidden != fleet[1].hidden).all()


@pytest.mark.parametrize(
    ("networks", "xs", "targets", "dts", "message"),
    [
        ([2], [[1.0]], [[1.0]], None, r"networks must be in \[0, 2\), got 2 at position 0"),
        ([0, -1], [[1.0], [1.0]], [[1.0], [1.0]], None, r"networks must be in \[0, 2\), got -1 at position 1"),
        ([0.5], [[1.0]], [[1.0]], None, r"networks must be integers of shape \(n,\), got float64"),
        ([0], [[1.0], [2.0]], [[1.0]], None, r"xs must have shape \(1, 1\), got \(2, 1\)"),
        ([0], [[1.0]], [[1.0, 2.0]], None, r"targets must have shape \(1, 1\), got \(1, 2\)"),
        (
            [0, 1],
            [[1.0], [np.inf]],
            [[1.0]] * 2,
            None,
            "xs must be finite or NaN in float32, got inf at row 1, column 0",
        ),
        ([0], [[1.0]], [[1.0]], [1.0, 1.0], r"dts must have shape \(1,\), got \(2,\)"),
        ([0], [[1.0]], [[1.0]], [-1.0], "dts must be finite and at least 0, got -1.0 at position 0"),
    ],
)
def test_a_bad_record_is_named_and_changes_nothing(networks, xs, targets, dts, message):
    fleet = SCRNNFleet(2, 1, 1, seed=0, **OPTIONS)
    with pytest.raises(ValueError, match=message):
        fleet.learn(networks, xs, targets, dts)
    assert fleet[0].n_learned == fleet[1].n_learned == 0


@pytest.mark.parametrize(("n_networks", "threads"), [(0, 1), (1, 0)])
def test_there_is_at_least_one_network_and_one_thread(n_networks, threads):
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        SCRNNFleet(n_networks, 1, 1, **OPTIONS).learn([0], [[1.0]], [[1.0]], threads=threads)


def test_a_handle_grows_as_its_network_would_alone():
    alone = SCRNN(1, 1, seed=2, **OPTIONS)
    handle = SCRNNFleet(3, 1, 1, seed=0, **OPTIONS)[2]
    alone.grow(2, 2)
    handle.grow(2, 2)
    np.testing.assert_array_equal(handle.to_state()["theta"], alone.to_state()["theta"])
