"""Those that forecast beside ours: simple rules, River's forecasters and, where they are installed, deep-river's.

Rules and River's forecasters are told the season; ours is not.
"""

from __future__ import annotations

import importlib.util
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from river import stats, time_series

from benchmarks.forecast_series import Series


class Rival(Protocol):
    def learn_one(self, y: float) -> None: ...

    def forecast(self, horizon: int) -> list[float]: ...


class LastValue:
    def learn_one(self, y: float) -> None:
        self.y = y

    def forecast(self, horizon: int) -> list[float]:
        return [self.y] * horizon


class SeasonalLastValue:
    """The value of the same phase in the newest season that is known."""

    def __init__(self, season: int) -> None:
        self.past: deque[float] = deque(maxlen=season)

    def learn_one(self, y: float) -> None:
        self.past.append(y)

    def forecast(self, horizon: int) -> list[float]:
        return [self.past[h % len(self.past)] for h in range(horizon)]


class Mean:
    def __init__(self) -> None:
        self.mean = stats.Mean()

    def learn_one(self, y: float) -> None:
        self.mean.update(y)

    def forecast(self, horizon: int) -> list[float]:
        return [self.mean.get()] * horizon


class Scaled:
    """A rival that wants a target of about unit size, behind a running scaler of it."""

    def __init__(self, model: Any) -> None:
        self.model, self.variance = model, stats.Var()

    def learn_one(self, y: float) -> None:
        self.variance.update(y)
        mean, spread = self._scale()
        self.model.learn_one((y - mean) / spread)

    def forecast(self, horizon: int) -> list[float]:
        mean, spread = self._scale()
        return [mean + spread * float(z) for z in self.model.forecast(horizon)]

    def _scale(self) -> tuple[float, float]:
        return self.variance.mean.get(), math.sqrt(self.variance.get()) or 1.0


def snarimax(series: Series) -> Rival:
    """As River documents it: differenced, and by the season, with as many lags and errors as a season has, up to 24."""
    m = series.season
    p = min(max(m, 12), 24)
    return Scaled(time_series.SNARIMAX(p=p, d=1, q=p, m=m, sd=1 if m > 1 else 0))


def autoregressive(series: Series) -> Rival:
    """SNARIMAX with lags alone, and those of up to three seasons."""
    m = series.season
    return Scaled(time_series.SNARIMAX(p=12, d=0, q=0, m=m, sp=3 if m > 1 else 0))


def holt_winters(series: Series) -> Rival:
    """With the rates of River's documentation; multiplicative where all that is seen is positive."""
    m, positive = series.season, min(series.y) > 0
    if m == 1:
        return time_series.HoltWinters(alpha=0.3, beta=0.1)
    return time_series.HoltWinters(alpha=0.3, beta=0.1, gamma=0.6, seasonality=m, multiplicative=positive)


def deep_river(name: str) -> Callable[[Series], Rival]:
    def make(series: Series) -> Rival:
        import torch
        from deep_river.forecasting import zoo

        torch.set_num_threads(1)
        window = min(max(series.season, 10), 48)
        return Scaled(getattr(zoo, name)(window_size=window, seed=1))

    return make


RIVALS: dict[str, Callable[[Series], Rival]] = {
    "last value": lambda _: LastValue(),
    "seasonal last value": lambda series: SeasonalLastValue(series.season),
    "mean": lambda _: Mean(),
    "SNARIMAX": snarimax,
    "SNARIMAX, lags alone": autoregressive,
    "HoltWinters": holt_winters,
}
DEEP = {"deep-river linear": "LinearForecaster", "deep-river GRU": "GRUForecaster", "deep-river LSTM": "LSTMForecaster"}
if importlib.util.find_spec("deep_river") is not None:
    RIVALS |= {title: deep_river(name) for title, name in DEEP.items()}
