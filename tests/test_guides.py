"""The guides' kernels against plain sums: a regression for each horizon, seasons, the network run forward."""

from __future__ import annotations

import numpy as np
import pytest

from scrnn_stream import guides
from scrnn_stream.forecasting import CHANGE, SEASON, SEASON_CHANGE, SCRNNForecaster
from scrnn_stream.predictor import LAST

H, F = 3, 2


def test_a_regression_is_least_squares_for_each_horizon() -> None:
    # errors so even that none counts as too large: then recursive least squares is the weighted ridge regression
    rng = np.random.default_rng(1)
    n, sigma = 40, 2.0
    f, base = rng.normal(size=(n, F)), 0.1 * rng.normal(size=(n, H))
    y = rng.uniform(0.9, 1.1, n) * np.where(rng.random(n) < 0.5, 1.0, -1.0)
    vector = np.zeros(guides.n_regression(H, F))
    guides.doubt(vector, 0, H, F)
    out = np.empty(H)
    for t in range(n):
        guides.learn_ahead(guides.regression_of(vector, 0, H, F), t, y[t], sigma)
        guides.tell_ahead(out, guides.regression_of(vector, 0, H, F), t + 1, f[t], base[t], sigma)
    for h in range(1, H + 1):
        rows, weight = f[: n - h], guides.KEEP ** np.arange(n - h)[::-1]
        target = (y[h:] - base[: n - h, h - 1]) / sigma
        ridge = np.eye(F) / guides.DOUBT * guides.KEEP ** (n - h)
        solved = np.linalg.solve(rows.T * weight @ rows + ridge, rows.T * weight @ target)
        assert out[h - 1] == pytest.approx(base[-1, h - 1] + sigma * f[-1] @ solved, rel=1e-6)


def test_a_season_is_told_by_what_came_at_its_place() -> None:
    past = np.random.default_rng(2).normal(size=23)
    out, buffer = np.empty((guides.N_SEASONAL, 9)), np.empty(64)
    guides.tell_season(out, past, 22, 5, buffer)
    for h in range(1, 10):
        place = [past[j] for j in range(22, -1, -1) if (22 + h - j) % 5 == 0][: guides.MOST_SEASONS]
        weights = guides.FADING ** np.arange(min(4, len(place)))
        assert out[guides.SEASON_LAST, h - 1] == place[0]
        assert out[guides.SEASON_MEAN, h - 1] == pytest.approx(np.average(place[:4], weights=weights))
        assert out[guides.SEASON_MEDIAN, h - 1] == pytest.approx(np.median(place))


@pytest.mark.parametrize("shape", [[1.0, 3.0, 2.0, 6.0], [-2.0, 1.0, 4.0, 0.0]])
def test_holt_winters_follows_a_season_with_its_trend(shape: list[float]) -> None:
    y = np.array([shape[t % 4] * (1 + t / 100) if min(shape) > 0 else shape[t % 4] + t / 10 for t in range(200)])
    numbers, factors, out = np.zeros(guides.N_SEASON_NUMBERS), np.zeros(8), np.empty(6)
    for t in range(3, 194):
        guides.follow_holt_winters(numbers, factors, y, t, t + 1, 4)
    guides.tell_holt_winters(out, numbers, factors, 194, 4)
    assert numbers[guides.KIND] == (guides.MULTIPLICATIVE if min(shape) > 0 else guides.ADDITIVE)
    assert out == pytest.approx(y[194:], rel=0.02)


def test_the_median_of_a_few_is_the_middle() -> None:
    rng = np.random.default_rng(3)
    for n in range(1, 12):
        values = rng.integers(0, 5, 12).astype(float)
        assert guides.middle(values.copy(), n) == np.median(values[:n])


@pytest.mark.parametrize("seasons", [(), (7,)])
def test_the_network_runs_forward_on_what_it_has_told(seasons: tuple[int, ...]) -> None:
    model = SCRNNForecaster(horizon=12, seasons=seasons, n_hidden=8, n_context=4, seed=1)
    rng = np.random.default_rng(5)
    for t in range(60):
        model.learn_one(float(t % 7 + 0.1 * rng.normal()))
    units, clocks = np.zeros(12), np.zeros((12, guides.N_CLOCK))
    path = model._run_network(units, clocks)
    predictor, past = model._predictor, [*model._past[:60]]
    _, _, _, own, counts, _, _ = predictor.vectors()
    for h in range(12):
        x = {LAST: past[-1], CHANGE: past[-1] - past[-2]}
        if seasons:
            x |= {SEASON: past[-7] - past[-1], SEASON_CHANGE: past[-7] - past[-8]}
        z = predictor.inputs.read(x)
        past.append(predictor.target.told(predictor._outputs(z, own, counts), past[-1]))
        predictor._step(z, own, counts)
        if h == 0:
            hidden, context = predictor.state_features({name: value for name, value in x.items() if name != LAST})
            assert units == pytest.approx(np.concatenate([hidden, context]), abs=1e-6)
    assert path == pytest.approx(past[60:], rel=1e-6)
