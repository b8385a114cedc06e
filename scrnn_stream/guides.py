"""The guides of a forecast: simple rules and regressions that each tell the next H values of a series, as kernels.

Whatever tells a value ahead is a *guide*: the last value, averages, what came a season ago, a damped trend, regressions
on the past and on the state of a network, and that network run forward. None is best everywhere; which are heeded, and
how much at each horizon, is decided by :mod:`~scrnn_stream.mixing`.

A regression tells all horizons at once. All of them see the same regressors f_t, so they share their covariance; the
gain of f_t is kept until the value h steps later is there to learn from:

    y_(t+h) = b_(t,h) + sigma f_t' w_h,     w_h += k_(t-h) (error of what was told at t - h)

which is recursive least squares for each h at the cost of one. b is what the regression starts from, the last value or
the mean of the seasons, and sigma the deviation of the series. An error beyond a few times its usual size counts as
that: values are told by their medians rather than by outliers.

The numbers of the guides lie in one vector, told apart by `parts`; the past lies in another one, newest last.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import _kernels, readout
from scrnn_stream._compile import jit, jit_or_python, view
from scrnn_stream._layout import SLOT, Kind, Shape, tape_of
from scrnn_stream.features import scaled
from scrnn_stream.least_squares import begin_anew, take_in

Array = NDArray[Any]
Sizes = tuple[int, int]  # H horizons, F units of the network

LAST, MEAN, LEVEL, MEDIAN, TREND, LAGS, STATE, NETWORK, SEASONAL = 0, 1, 2, 3, 6, 7, 8, 9, 10  # places of guides
WINDOWS = (9, 41, 161)  # values: of three running medians
N_SEASONS = 3
SEASON_LAST, SEASON_MEAN, SEASON_MEDIAN, SEASON_LAGS, HOLT_WINTERS, N_SEASONAL = 0, 1, 2, 3, 4, 5  # of each season
N_GUIDES = SEASONAL + N_SEASONS * N_SEASONAL
MOST_SEASONS, MOST_AVERAGED, FADING = (
    8,
    4,
    0.75,
)  # seasons back, for the median and the mean; weight of each further one
LONGEST_SEASON = 2100  # values: a week of five minutes
LONGEST_PAST = 8192

HALF_LIVES = (3.0, 10.0, 40.0, 160.0)  # values: of running means
N_LAGS, LONG_LAGS = 8, (12, 16, 24, 32)
N_CLOCK = 14  # sine and cosine of 3 harmonics of the day, 2 of the week, 2 of the year
N_LAG_REGRESSORS = 1 + N_LAGS + 4 + 5 + N_CLOCK
N_STATE_REGRESSORS = 1 + 3 + 5  # and the units of the network
N_SEASON_REGRESSORS = 1 + 4 + 3 + N_CLOCK
CONSTANT = 0.3  # the regressor that never moves, of the size of the others
# Memory of the regressions, prior variance of their weights and the error that counts in full, from 0.999 to 0.9999,
# 0.03 to 1 and 2 to 8 on the series that benchmarks.forecasting does not hold out: all within 1 % of each other.
KEEP, DOUBT, LARGEST_ERROR = 0.9995, 0.1, 4.0
TREND_RATES = (0.5, 0.1, 0.9)  # of the level and the trend, and what is left of a trend a step later
HOLT_WINTERS_RATES = (0.3, 0.1, 0.6)  # of level, trend and season: those of River's documentation
N, SUM_OF_SQUARES, AVERAGE, TREND_LEVEL, SLOPE, RUNNING, N_NUMBERS = 0, 1, 2, 3, 4, 5, 9  # places in `numbers`
PERIOD, LEVEL_NOW, SLOPE_NOW, KIND, RESIDUALS, N_SEASON_NUMBERS = 0, 1, 2, 3, 4, 11  # in the numbers of a season
NOT_BEGUN, ADDITIVE, MULTIPLICATIVE = 0.0, 1.0, 2.0


# --------------------------------------------------------------------------------------------------------------- layout


@jit_or_python
def n_regression(H: int, F: int) -> int:
    """P (F, F), w, k and f (H, F each), b (H, H), error sizes (H): length of a regression."""
    return F * F + 3 * H * F + H * H + H


@jit_or_python
def n_season(H: int) -> int:
    """Numbers of a season, its shape for Holt-Winters, its regression."""
    return N_SEASON_NUMBERS + LONGEST_SEASON + n_regression(H, N_SEASON_REGRESSORS)


@jit_or_python
def n_guides(sizes: Sizes) -> int:
    H, F = sizes
    regressions = n_regression(H, N_LAG_REGRESSORS) + n_regression(H, N_STATE_REGRESSORS + F)
    return N_NUMBERS + regressions + N_SEASONS * n_season(H)


@jit_or_python
def regression_of(guides: Array, start: int, H: int, F: int) -> tuple[Array, ...]:
    """P, w, k, f, b and the sizes of errors: views."""
    a = start + F * F
    b = a + 3 * H * F
    return (
        view(guides, start, (F, F)),
        view(guides, a, (H, F)),
        view(guides, a + H * F, (H, F)),
        view(guides, a + 2 * H * F, (H, F)),
        view(guides, b, (H, H)),
        view(guides, b + H * H, (H,)),
    )


@jit_or_python
def season_at(sizes: Sizes, q: int) -> int:
    """Where season q begins."""
    H, F = sizes
    before = n_regression(H, N_LAG_REGRESSORS) + n_regression(H, N_STATE_REGRESSORS + F)
    return N_NUMBERS + before + q * n_season(H)


@jit
def doubt(guides: Array, start: int, H: int, F: int) -> None:
    """A regression that knows nothing, and has told nothing yet."""
    covariance, weights, gains, seen, starts, usual = regression_of(guides, start, H, F)
    begin_anew(covariance, DOUBT)
    weights[:] = 0.0
    gains[:] = 0.0
    seen[:] = 0.0
    starts[:] = np.nan
    usual[:] = 0.0


@jit
def begin(guides: Array, sizes: Sizes) -> None:
    """Nothing is known."""
    H, F = sizes
    guides[:] = 0.0
    doubt(guides, N_NUMBERS, H, N_LAG_REGRESSORS)
    doubt(guides, N_NUMBERS + n_regression(H, N_LAG_REGRESSORS), H, N_STATE_REGRESSORS + F)


# ---------------------------------------------------------------------------------------------------------- regressions


@jit
def learn_ahead(regression: tuple[Array, ...], n: int, y: float, sigma: float) -> None:
    """w_h learns of y, by the regressors of h steps before it; n values were there before."""
    _, weights, gains, seen, starts, usual = regression
    H, F = weights.shape
    for h in range(min(H, n)):
        r = (n - 1 - h) % H
        if np.isnan(starts[r, h]):
            continue
        told = 0.0
        for k in range(F):
            told += weights[h, k] * seen[r, k]
        error = (y - starts[r, h]) / sigma - told
        size = abs(error)
        limit = LARGEST_ERROR * usual[h] if usual[h] > 0 else size
        usual[h] += 0.02 * (min(size, limit) - usual[h]) if usual[h] > 0 else size
        error = min(max(error, -limit), limit)
        for k in range(F):
            weights[h, k] += gains[r, k] * error


@jit
def tell_ahead(out: Array, regression: tuple[Array, ...], n: int, f: Array, base: Array, sigma: float) -> None:
    """out_h = b_h + sigma f'w_h, from n values on; f and b are kept to learn by."""
    covariance, weights, gains, seen, starts, _ = regression
    H, F = weights.shape
    r = (n - 1) % H
    spread = take_in(covariance, gains[r], f, KEEP, DOUBT)
    for k in range(F):
        seen[r, k] = f[k]
        gains[r, k] /= spread
    for h in range(H):
        starts[r, h] = base[h]
        told = 0.0
        for k in range(F):
            told += weights[h, k] * f[k]
        out[h] = base[h] + sigma * told


@jit
def recent(f: Array, numbers: Array, past: Array, now: int, n_lags: int, sigma: float) -> int:
    """A constant, the last changes, and how far the last value is from running means; returns how many that is."""
    y = past[now]
    f[0] = CONSTANT
    k = 1
    for j in range(n_lags):
        f[k] = (past[now - j] - past[now - j - 1]) / sigma if now > j else 0.0
        k += 1
    for i in range(4):
        f[k] = (y - numbers[RUNNING + i]) / sigma
        k += 1
    f[k] = (y - numbers[AVERAGE]) / sigma
    return k + 1


# -------------------------------------------------------------------------------------------------------- simple guides


@jit
def middle(values: Array, n: int) -> float:
    """The median of the first n values, which are put in order."""
    for i in range(1, n):
        value, k = values[i], i
        while k > 0 and values[k - 1] > value:
            values[k] = values[k - 1]
            k -= 1
        values[k] = value
    return 0.5 * float(values[(n - 1) // 2] + values[n // 2])


@jit
def follow(numbers: Array, y: float) -> None:
    """The mean and the squares around it, running means, and a level with its slope."""
    numbers[N] += 1
    n = numbers[N]
    d = y - numbers[AVERAGE]
    numbers[AVERAGE] += d / n
    numbers[SUM_OF_SQUARES] += d * (y - numbers[AVERAGE])
    for i in range(4):
        gain = max(1.0 - 0.5 ** (1.0 / HALF_LIVES[i]), 1.0 / n)
        numbers[RUNNING + i] += gain * (y - numbers[RUNNING + i])
    a, b, c = TREND_RATES
    before = numbers[TREND_LEVEL] if n > 1 else y
    numbers[TREND_LEVEL] = a * y + (1 - a) * (before + c * numbers[SLOPE])
    numbers[SLOPE] = b * (numbers[TREND_LEVEL] - before) + (1 - b) * c * numbers[SLOPE]


@jit
def deviation(numbers: Array) -> float:
    """sigma; of a series that has not moved, next to nothing."""
    sigma = math.sqrt(max(numbers[SUM_OF_SQUARES], 0.0) / numbers[N])
    least = max(1e-12 * abs(numbers[AVERAGE]), 1e-150)
    return float(max(sigma, least))


@jit
def tell_simply(out: Array, numbers: Array, past: Array, now: int, buffer: Array) -> None:
    """The guides without a season or a regression, for as many steps as `out` (G, n) has room."""
    c, slope = TREND_RATES[2], 0.0
    out[LAST] = past[now]
    out[MEAN] = numbers[AVERAGE]
    out[LEVEL] = numbers[RUNNING + 1]
    for i in range(3):
        n = min(WINDOWS[i], now + 1)
        for j in range(n):
            buffer[j] = past[now - j]
        out[MEDIAN + i] = middle(buffer, n)
    for h in range(out.shape[1]):
        slope += c ** (h + 1)
        out[TREND, h] = numbers[TREND_LEVEL] + slope * numbers[SLOPE]


# -------------------------------------------------------------------------------------------------------------- seasons


@jit
def tell_season(out: Array, past: Array, now: int, season: int, buffer: Array) -> None:
    """What came at the same place of the last season, and the mean and the median of the last ones."""
    for h in range(1, out.shape[1] + 1):
        newest = now + h - (h + season - 1) // season * season
        total, weights, weight, n = 0.0, 0.0, 1.0, 0
        while n < MOST_SEASONS and newest - n * season >= 0:
            value = past[newest - n * season]
            if n < MOST_AVERAGED:
                total += weight * value
                weights += weight
                weight *= FADING
            buffer[n] = value
            n += 1
        out[SEASON_LAST, h - 1] = past[newest]
        out[SEASON_MEAN, h - 1] = total / weights
        out[SEASON_MEDIAN, h - 1] = middle(buffer, n)


@jit
def follow_holt_winters(numbers: Array, factors: Array, past: Array, now: int, n: int, season: int) -> None:
    """Level, slope and shape of a season[^1]; it begins with the first season, by factors if all of it is positive.

    [^1]: Winters, Forecasting sales by exponentially weighted moving averages, Management Science 6 (1960).
    """
    a, b, c = HOLT_WINTERS_RATES
    y, kind, level = past[now], numbers[KIND], numbers[LEVEL_NOW]
    if kind == MULTIPLICATIVE and (y <= 0 or level <= 0):
        kind = NOT_BEGUN
    if kind == NOT_BEGUN:
        mean, least = 0.0, y
        for j in range(season):
            mean += past[now - j] / season
            least = min(least, past[now - j])
        numbers[KIND], numbers[LEVEL_NOW], numbers[SLOPE_NOW] = MULTIPLICATIVE if least > 0 else ADDITIVE, mean, 0.0
        for j in range(season):
            factors[(n - j) % season] = past[now - j] / mean if least > 0 else past[now - j] - mean
        return
    factor, ahead = factors[n % season], level + numbers[SLOPE_NOW]
    new = a * (y / max(factor, 1e-9) if kind == MULTIPLICATIVE else y - factor) + (1 - a) * ahead
    shown = (y / new if new > 0 else 1.0) if kind == MULTIPLICATIVE else y - new
    factors[n % season] = c * shown + (1 - c) * factor
    numbers[SLOPE_NOW] = b * (new - level) + (1 - b) * numbers[SLOPE_NOW]
    numbers[LEVEL_NOW] = new


@jit
def tell_holt_winters(out: Array, numbers: Array, factors: Array, n: int, season: int) -> None:
    """(level + h slope) with the shape of the season."""
    for h in range(1, out.size + 1):
        level, factor = numbers[LEVEL_NOW] + h * numbers[SLOPE_NOW], factors[(n + h) % season]
        out[h - 1] = level * factor if numbers[KIND] == MULTIPLICATIVE else level + factor


@jit
def follow_season(
    out: Array, guides: Array, sizes: Sizes, q: int, season: int, past: Array, now: int, clock: Array, y: float,
    sigma: float, buffer: Array,
) -> None:  # fmt: skip
    """Season q takes the newest value in and tells the next ones: rows of out (5, H). y is NaN where it was missing."""
    H, start, n = sizes[0], season_at(sizes, q), int(guides[N])
    numbers = view(guides, start, (N_SEASON_NUMBERS,))
    factors = view(guides, start + N_SEASON_NUMBERS, (LONGEST_SEASON,))
    at = start + N_SEASON_NUMBERS + LONGEST_SEASON
    if numbers[PERIOD] != season:
        numbers[:] = 0.0
        numbers[PERIOD] = season
        doubt(guides, at, H, N_SEASON_REGRESSORS)
    if season < 2 or now + 1 < season:
        out[:] = np.nan
        return
    regression = regression_of(guides, at, H, N_SEASON_REGRESSORS)
    before = (n - 2) % H
    residual = 0.0 if np.isnan(regression[4][before, 0]) else (past[now] - regression[4][before, 0]) / sigma
    if not np.isnan(y):
        learn_ahead(regression, n - 1, y, sigma)
    for i in range(3, 0, -1):
        numbers[RESIDUALS + i] = numbers[RESIDUALS + i - 1]
    numbers[RESIDUALS] = residual
    f = buffer[:N_SEASON_REGRESSORS]
    f[0] = CONSTANT
    for i in range(4):
        f[1 + i] = numbers[RESIDUALS + i]
    for i in range(3):
        numbers[RESIDUALS + 4 + i] += (0.2, 0.05, 0.01)[i] * (residual - numbers[RESIDUALS + 4 + i])
        f[5 + i] = numbers[RESIDUALS + 4 + i]
    f[8:] = clock
    tell_season(out, past, now, season, buffer[N_SEASON_REGRESSORS:])
    tell_ahead(out[SEASON_LAGS], regression, n, f, out[SEASON_MEAN], sigma)
    follow_holt_winters(numbers, factors, past, now, n, season)
    tell_holt_winters(out[HOLT_WINTERS], numbers, factors, n, season)


# ---------------------------------------------------------------------------------------------------------- all of them


@jit
def take(
    out: Array, guides: Array, sizes: Sizes, seasons: Array, past: Array, now: int, clock: Array, units: Array, y: float
) -> None:
    """Take in the newest value, past[now], and tell the next H: out (G, H), but for the network's own row.

    `clock` (14,) and `units` (F,) are regressors; y is past[now], or NaN where that was missing and only told.
    """
    H, F = sizes
    numbers = view(guides, 0, (N_NUMBERS,))
    follow(numbers, past[now])
    n, sigma, buffer = int(numbers[N]), deviation(numbers), np.empty(256 + F)
    tell_simply(out, numbers, past, now, buffer)
    lags = regression_of(guides, N_NUMBERS, H, N_LAG_REGRESSORS)
    state = regression_of(guides, N_NUMBERS + n_regression(H, N_LAG_REGRESSORS), H, N_STATE_REGRESSORS + F)
    if not np.isnan(y):
        learn_ahead(lags, n - 1, y, sigma)
        learn_ahead(state, n - 1, y, sigma)
    f = buffer[: N_STATE_REGRESSORS + F]
    k = recent(f, numbers, past, now, 3, sigma)
    f[k:] = units
    tell_ahead(out[STATE], state, n, f, out[LAST], sigma)
    f = buffer[:N_LAG_REGRESSORS]
    k = recent(f, numbers, past, now, N_LAGS, sigma)
    for i in range(4):
        f[k + i] = (past[now] - past[now - LONG_LAGS[i]]) / sigma if now >= LONG_LAGS[i] else 0.0
    f[k + 4 :] = clock
    tell_ahead(out[LAGS], lags, n, f, out[LAST], sigma)
    for q in range(N_SEASONS):
        rows = out[SEASONAL + q * N_SEASONAL : SEASONAL + (q + 1) * N_SEASONAL]
        follow_season(rows, guides, sizes, q, seasons[q], past, now, clock, y, sigma, buffer)


@jit
def tell_far(out: Array, guides: Array, sizes: Sizes, seasons: Array, past: Array, now: int) -> None:
    """out (G, n) of the guides that can tell more than H values; NaN of the others. Changes nothing."""
    out[:] = np.nan
    numbers, buffer = view(guides, 0, (N_NUMBERS,)), np.empty(256)
    tell_simply(out, numbers, past, now, buffer)
    for q in range(N_SEASONS):
        season, start = seasons[q], season_at(sizes, q)
        if season >= 2 and now + 1 >= season:
            rows = out[SEASONAL + q * N_SEASONAL : SEASONAL + (q + 1) * N_SEASONAL]
            tell_season(rows, past, now, season, buffer)
            of_season = view(guides, start, (N_SEASON_NUMBERS,))
            factors = view(guides, start + N_SEASON_NUMBERS, (LONGEST_SEASON,))
            tell_holt_winters(rows[HOLT_WINTERS], of_season, factors, int(numbers[N]), season)


@jit
def run_forward(
    out: Array, units: Array, rows: Array, places: Array, table: Array, unit: float, season: int, past: Array, now: int,
    scratch: Array, work: Array, weights: Array, own: Array, counts: Array, shape: Shape, kind: Kind,
) -> None:  # fmt: skip
    """out (n,) of the network run forward: what it tells is the last value of its next step.

    `rows` (n, D) are its inputs as far as they are known; the last value, its change, what comes a season later and
    that change are filled in at `places`. `units` (F,) become the hidden and context units of the first step. `own` and
    `counts` are copies, which are spent.
    """
    H, C, D = shape[1], shape[2], rows.shape[1]
    z, told = np.empty(D), np.empty(1, np.float32)
    last, before = past[now], past[now - 1] if now else past[now]
    for h in range(out.size):
        x = rows[h]
        x[places[0]] = last
        x[places[1]] = last - before
        if season > 0:
            j = now + h + 1 - season
            later = past[j] if j <= now else out[h - season]
            earlier = past[j - 1] if j - 1 <= now else out[h - 1 - season]
            x[places[2]] = later - last
            x[places[3]] = later - earlier
        scaled(z, table, x)
        readout.expect(told, scratch, work, weights, own, counts, z, 1.0, shape, kind)
        _kernels.step(own, counts, work, z, 1.0, shape, kind)
        if h == 0:
            tape, slot = tape_of(own, shape), counts[SLOT]
            for i in range(H):
                units[i] = tape[slot + 1, i]
            for i in range(C):
                units[H + i] = tape[slot, H + i]
        before = last
        if np.isfinite(told[0]):
            last += float(told[0]) * unit
        out[h] = last
