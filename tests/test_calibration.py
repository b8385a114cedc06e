"""Tail probabilities against their naive twin, against distributions that are known, and across a restart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrnn_stream import calibration as cal
from scrnn_stream.calibration import (
    MEMORY,
    N_NEEDED,
    REFIT_EVERY,
    SMALLEST_P,
    TAIL_QUANTILE,
    TailCalibration,
    cluster_probability,
    fit_tail,
    tail_probability,
    to_probability,
    to_score,
)
from scrnn_stream.encoding import decode, encode
from tests.naive import fit_tail as naive_fit
from tests.naive import tail_probability as naive_probability

PRIOR = {name: getattr(cal, name) for name in ("TAIL_QUANTILE", "PRIOR_SHAPE", "PRIOR_WEIGHT", "UNCERTAINTY")}


def windows() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    slow = np.convolve(rng.normal(size=1019), np.full(20, 0.05), "valid")
    return {
        "exponential": rng.exponential(size=800),
        "heavy": rng.standard_t(2, size=500),
        "bounded": rng.random(300),
        "clustered": slow,
        "rounded": np.round(rng.normal(size=400), 1),
        "few": rng.exponential(size=200),
    }


def learned(values: np.ndarray, gap: int = 0) -> TailCalibration:
    calibration = TailCalibration(gap)
    for value in values:
        calibration.learn(value)
    return calibration


@pytest.mark.parametrize("gap", [0, 10, 60])
@pytest.mark.parametrize("name", list(windows()))
def test_the_tail_is_its_naive_twin(name: str, gap: int) -> None:
    window = windows()[name]
    np.testing.assert_allclose(fit_tail(window, gap), naive_fit(window, gap, **PRIOR), rtol=1e-9)


@pytest.mark.parametrize("name", list(windows()))
def test_the_probability_is_its_naive_twin(name: str) -> None:
    ordered = np.sort(windows()[name])
    tail = np.array(fit_tail(ordered, 0))
    for value in np.linspace(ordered[0] - 1, 2 * ordered[-1] + 1, 99):
        expected = naive_probability(value, ordered, *tail, TAIL_QUANTILE)
        assert tail_probability(value, ordered, tail) == pytest.approx(expected, rel=1e-9)


def test_below_the_tail_the_probability_is_the_rank_exactly() -> None:
    calibration = learned(np.random.default_rng(2).permutation(N_NEEDED).astype(float))
    for value in range(0, int(0.85 * N_NEEDED), 7):
        assert calibration.probability(value) == (1 + N_NEEDED - value) / (N_NEEDED + 1)


@pytest.mark.parametrize("name", list(windows()))
def test_a_larger_value_is_never_more_probable(name: str) -> None:
    calibration = learned(windows()[name])
    p = [calibration.probability(value) for value in np.linspace(-20, 200, 3000)]
    assert p == sorted(p, reverse=True)
    assert min(p) >= SMALLEST_P
    assert max(p) <= 1


@settings(max_examples=40)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=N_NEEDED, max_size=N_NEEDED + 50), st.floats(-1e9, 1e9))
def test_the_probability_is_one_whatever_was_learned(values: list[float], value: float) -> None:
    assert SMALLEST_P <= learned(np.array(values)).probability(value) <= 1


@pytest.mark.parametrize("constant", [0.0, 3.5, -2.0])
def test_a_constant_past_makes_the_same_value_probable_and_a_far_one_not(constant: float) -> None:
    calibration = learned(np.full(300, constant))
    assert calibration.probability(constant) > 0.9
    assert calibration.probability(constant + 1000) < 1e-3


@pytest.mark.parametrize("draw", ["exponential", "normal", "standard_t"])
def test_probabilities_mean_what_they_say(draw: str) -> None:
    rng = np.random.default_rng(3)
    sample = (lambda n: rng.standard_t(4, n)) if draw == "standard_t" else (lambda n: getattr(rng, draw)(size=n))
    calibration = learned(sample(2 * MEMORY))
    p = np.array([calibration.probability(value) for value in sample(20_000)])
    assert 0.06 < (p < 0.1).mean() < 0.14
    assert 0.005 < (p < 0.01).mean() < 0.018  # a fit to 2000 values, drawn to a prior: wide margins
    assert 0.0001 < (p < 0.001).mean() < 0.004


def test_recent_values_count_and_old_ones_are_forgotten() -> None:
    rng = np.random.default_rng(4)
    calibration = learned(
        np.concatenate([rng.exponential(size=1000), 100 + rng.exponential(size=2 * MEMORY + REFIT_EVERY)])
    )
    assert calibration.probability(101) > 0.1


def test_nothing_is_improbable_until_enough_values_are_known() -> None:
    calibration = TailCalibration(0)
    for n in range(N_NEEDED):
        assert calibration.n_missing == N_NEEDED - n
        assert calibration.probability(1e9) == 1.0
        calibration.learn(float(n % 17))
    assert calibration.n_missing == 0
    assert calibration.probability(1e9) < 1e-3


@pytest.mark.parametrize("n", [50, N_NEEDED, N_NEEDED + REFIT_EVERY - 1, 1117, 2 * MEMORY + 777])
def test_a_restored_calibration_goes_on_identically(n: int) -> None:
    rng = np.random.default_rng(5)
    original = learned(rng.exponential(size=n), gap=10)
    restored = TailCalibration.from_state(decode(encode(original.to_state())))
    for value in rng.exponential(size=300):
        assert restored.probability(value) == original.probability(value)
        assert restored.probability(9 * value) == original.probability(9 * value)
        original.learn(value)
        restored.learn(value)


def test_a_state_does_not_move_with_its_calibration() -> None:
    calibration = learned(np.arange(250.0))
    state = calibration.to_state()
    before = encode(state)
    calibration.learn(1e6)
    assert encode(state) == before


@given(st.floats(SMALLEST_P, 1.0))
def test_score_and_probability_are_inverse_and_the_score_is_below_one(p: float) -> None:
    assert 0 <= to_score(p) < 1
    assert math.log10(to_probability(to_score(p))) == pytest.approx(math.log10(p), rel=1e-9, abs=1e-12)


def test_the_score_says_what_its_docstring_says() -> None:
    assert [to_score(p) for p in (1.0, 1e-3, 1e-6, 1e-12)] == pytest.approx([0, 1 / 2, 2 / 3, 4 / 5])
    assert to_score(0.0) < 1


def test_a_cluster_is_no_more_probable_than_its_record_and_the_bulk_is_nearly_left_alone() -> None:
    p = np.array([1.0, 0.5, 1e-2, 1e-9, 0.0])
    clustered = cluster_probability(p, np.full(5, 8.0))
    assert clustered[0] == 1.0
    assert (np.diff(clustered) < 0).all()
    np.testing.assert_allclose(clustered[2:], p[2:] / 8)
    np.testing.assert_array_equal(cluster_probability(p, np.ones(5)), p)
