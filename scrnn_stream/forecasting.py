"""SCRNNForecaster: the next values of a series and intervals around them, with River's interface."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river.time_series.base import Forecaster

from scrnn_stream import guides
from scrnn_stream.features import as_reading
from scrnn_stream.intervals import Intervals
from scrnn_stream.known import Known
from scrnn_stream.mixing import Mixture
from scrnn_stream.network import restore
from scrnn_stream.predictor import LAST, Predictor
from scrnn_stream.rhythm import Rhythm, time_in
from scrnn_stream.targets import Number

Array = NDArray[Any]
Record = Mapping[Any, Any]

CHANGE, SEASON, SEASON_CHANGE = "change", "season", "season change"  # what the network sees beside the last value
CLOCKS = {"day": (0, 3), "week": (6, 8), "year": (10, 12)}  # columns of the first harmonics, sine and cosine


class SCRNNForecaster(Forecaster):
    """Forecasts a series, `horizon` values ahead and more, with intervals that hold their level.

    A Structurally Constrained Recurrent Network[^1] learns the series value by value and is run forward: what it tells
    is the last value of its next step. Beside it stand simple guides (the last value, averages, a damped trend, what
    came a season ago, Holt-Winters, regressions on the past and on the network's state). Each horizon weighs them by
    how well they have told values that far ahead. Intervals are conformal and adapt: 90 % of the values come to lie in
    a 90 % interval, whatever the series does.

    It scales, takes differences and finds seasons itself. A date or datetime in `x` (the first by name) tells the step
    between values and so the season: day, week and year, where they are 4 to 2100 steps. Then a gap in time is that
    many missing values. Without one, periods are found in the series. Other features of `x` correct the forecasts if
    those of the values to come are handed to `forecast`: numbers, and text as categories, 16 columns at most. A missing
    y (None or NaN) moves time and teaches nothing. `forecast` and `forecast_interval` change nothing.

    Parameters
    ----------
    horizon
        Values ahead for which errors are measured, one by one. A forecast may go further: it uses the last one's
        weights, and the intervals grow on as before.
    seasons
        Lengths of up to three seasons, in values, instead of those that the clock or the series tells; `()` for none.
    n_hidden
        Fast hidden units of the network.
    n_context
        Slow context units of the network.
    lr
        Learning rate of the hidden and context units, which may be changed by `mutate`.
    seed
        For the network's starting weights.

    Examples
    --------
    >>> from river import datasets
    >>> from scrnn_stream import SCRNNForecaster
    >>> forecaster = SCRNNForecaster(seed=1)
    >>> series = [(x, float(y)) for x, y in datasets.AirlinePassengers()]
    >>> for x, y in series[:120]:
    ...     forecaster.learn_one(y, x)
    >>> intervals = forecaster.forecast_interval(24, level=0.9)
    >>> sum(low < y < high for (low, high), (x, y) in zip(intervals, series[120:])) >= 22
    True
    >>> max(abs(told - y) / y for told, (x, y) in zip(forecaster.forecast(12), series[120:])) < 0.12
    True

    References
    ----------
    [^1]: Mikolov et al., Learning Longer Memory in Recurrent Neural Networks, 2014, arXiv:1412.7753.
    """

    def __init__(
        self,
        horizon: int = 24,
        seasons: Sequence[int] | None = None,
        n_hidden: int = 32,
        n_context: int = 16,
        lr: float = 0.003,
        seed: int | None = None,
    ) -> None:
        if horizon < 1:
            raise ValueError(f"horizon must be at least 1, got {horizon}")
        if seasons is not None and not _are_seasons(seasons):
            rule = f"at most {guides.N_SEASONS} numbers from 2 to {guides.LONGEST_SEASON}"
            raise ValueError(f"seasons must be {rule}, got {seasons!r}")
        self.horizon = horizon
        self.seasons = seasons
        self.n_hidden = n_hidden
        self.n_context = n_context
        self.lr = lr
        self.seed = seed
        self._predictor = Predictor(Number(), n_hidden=n_hidden, n_context=n_context, lr=lr, seed=seed)
        self._rhythm = Rhythm(guides.N_SEASONS, guides.LONGEST_SEASON, seasons)
        self._mixture = Mixture(horizon, guides.N_GUIDES)
        self._intervals, self._informed = Intervals(horizon), Intervals(horizon)  # without and with known features
        self._known = Known(horizon)
        self._sizes = (horizon, n_hidden + n_context)
        self._guides = np.zeros(guides.n_guides(self._sizes))
        guides.begin(self._guides, self._sizes)
        self._past, self._now = np.zeros(64), -1
        self._told = np.zeros((guides.N_GUIDES, horizon))
        self._centres = np.full((horizon, horizon), np.nan)  # by origin and horizon
        self._time_name: Any = None
        self._time: dt.date | None = None

    @property
    def _mutable_attributes(self) -> set[str]:
        return {"lr"}

    # -- learning -----------------------------------------------------------------------------------------------------

    def learn_one(self, y: float | None, x: Record | None = None) -> None:
        """Take the next value in, with the features that came with it; None or NaN is a missing one."""
        name, time = time_in(x or {})
        rest = {key: value for key, value in (x or {}).items() if key != name}
        for _ in range(self._rhythm.observe(time)):
            self._take(math.nan, {}, self._rhythm.after(self._time))
        self._time_name = self._time_name if name is None else name
        self._take(as_reading(y), rest, self._rhythm.after(self._time) if time is None else time)

    def _take(self, y: float, x: Record, time: Any) -> None:
        """One step: compare what was told of y with it, learn, and tell the next values."""
        self._time = time
        if self._now < 0 and math.isnan(y):
            return
        y = self._measure(y, x)
        clocks = self._rhythm.clocks(time, self.horizon + 1)
        self._predictor.learn(self._record() | self._clock_features(clocks[0]), y, self.lr)
        self._append(float(self._centre(1)[0]) if math.isnan(y) else y)
        self._rhythm.search(self._past[: self._now + 1])
        self._tell(y, clocks)
        self._known.keep(x)

    def _measure(self, y: float, x: Record) -> float:
        """What was told of y, 1 to `horizon` values before, against y; returns y less what its features did to it."""
        steps = np.arange(self.horizon)
        residuals = y - self._centres[(self._mixture.n - 1 - steps) % self.horizon, steps]
        given, blind = self._known.learn(x, y, residuals)
        self._intervals.learn(blind)
        if self._known.n_columns:
            self._informed.learn(given)
        y -= self._known.effect(x)
        self._mixture.learn(y)
        return y

    def _tell(self, y: float, clocks: Array) -> None:
        """What all guides say of the next values, and their mixture; clocks are of this value and of those to come."""
        seasons, units = self._seasons(), np.zeros(self._sizes[1])
        path = self._run_network(units, clocks[1:])
        guides.take(self._told, self._guides, self._sizes, seasons, self._past, self._now, clocks[0], units, y)
        self._told[guides.NETWORK] = path
        self._centres[self._mixture.n % self.horizon] = self._mixture.mixed(self._told)
        self._mixture.keep(self._told)
        self._intervals.keep()
        if self._known.n_columns:
            self._informed.keep()

    def _append(self, y: float) -> None:
        if self._now + 1 == len(self._past):
            if len(self._past) < 2 * guides.LONGEST_PAST:
                self._past = np.concatenate([self._past, np.zeros_like(self._past)])
            else:
                self._past[: guides.LONGEST_PAST] = self._past[-guides.LONGEST_PAST :]
                self._now = guides.LONGEST_PAST - 1
                self._rhythm.shifted(self._now + 1)
        self._now += 1
        self._past[self._now] = y

    def _seasons(self) -> Array:
        seasons = np.zeros(guides.N_SEASONS, np.int64)
        found = self._rhythm.seasons()
        seasons[: len(found)] = found
        return seasons

    # -- the network --------------------------------------------------------------------------------------------------

    def _record(self) -> dict[Any, float]:
        """What the network sees of the next value before it comes."""
        now, past, season = self._now, self._past, self._network_season()
        record = {CHANGE: float(past[now] - past[now - 1]) if now > 0 else math.nan}
        if season:
            later, earlier = past[now + 1 - season], past[now - season]
            record |= {SEASON: float(later - past[now]), SEASON_CHANGE: float(later - earlier)}
        return record

    def _network_season(self) -> int:
        """The first season of which there is a whole one in the past; 0 if there is none."""
        return next((season for season in self._rhythm.seasons() if self._now >= season), 0)

    def _clock_features(self, clock: Array) -> dict[Any, float]:
        shown = [name for name, is_shown in self._rhythm.shown().items() if is_shown] if clock.any() else []
        return {(name, k): float(clock[CLOCKS[name][k]]) for name in shown for k in (0, 1)}

    def _run_network(self, units: Array, clocks: Array) -> Array:
        """The network run forward for each row of clocks (n, 14), (n,); `units` become those of the first step."""
        network, table, n = self._predictor.network, self._predictor.inputs, len(clocks)
        if network is None:
            return np.full(n, self._past[self._now])
        rows = np.full((n, network.n_inputs), np.nan)
        for name, (sine, cosine) in CLOCKS.items():
            for k, column in enumerate((sine, cosine)):
                place = table.place((name, k))
                if place >= 0:
                    rows[:, place] = clocks[:, column]
        places = np.array([table.place(name) for name in (LAST, CHANGE, SEASON, SEASON_CHANGE)])
        season = self._network_season() if places[2] >= 0 else 0
        path = np.empty(n)
        unit = self._predictor.target.told(np.ones(1), 0.0)  # of a change: it has no mean
        args = self._predictor.vectors()
        guides.run_forward(path, units, rows, places, table.table, unit, season, self._past, self._now, *args)
        return path

    # -- telling ------------------------------------------------------------------------------------------------------

    def forecast(self, horizon: int, xs: Sequence[Record] | None = None) -> list[float]:
        """The next `horizon` values; `xs` are the features that will come with them, as far as they are known."""
        _check(horizon, xs)
        return [float(value) for value in self._forecast(horizon, xs)]

    def forecast_interval(
        self, horizon: int, level: float = 0.9, xs: Sequence[Record] | None = None
    ) -> list[tuple[float, float]]:
        """For each of the next `horizon` values the ends of an interval in which it lies with probability `level`."""
        _check(horizon, xs)
        if not 0 < level < 1:
            raise ValueError(f"level must be above 0 and below 1, got {level}")
        centres = self._forecast(horizon, xs)
        reach = (self._informed if self._is_informed(xs) else self._intervals).reach(level, horizon)
        return [
            (float(low), float(high)) for low, high in zip(centres - reach[:, 0], centres + reach[:, 1], strict=True)
        ]

    def _forecast(self, horizon: int, xs: Sequence[Record] | None) -> Array:
        if self._now < 0 or horizon == 0:
            return np.zeros(horizon)
        centres = self._centre(horizon)
        if xs is not None and self._is_informed(xs):
            return centres + self._known.with_features(xs)
        return centres + self._known.without_features(horizon) if self._known.n_columns else centres

    def _centre(self, horizon: int) -> Array:
        """The mixture of the guides, (horizon,)."""
        near: Array = self._centres[(self._mixture.n - 1) % self.horizon][:horizon]
        if horizon <= self.horizon:
            return near
        told = np.empty((guides.N_GUIDES, horizon))
        guides.tell_far(told, self._guides, self._sizes, self._seasons(), self._past, self._now)
        clocks = self._rhythm.clocks(self._time, horizon + 1)[1:]
        told[guides.NETWORK] = self._run_network(np.zeros(self._sizes[1]), clocks)
        return np.concatenate([near, self._mixture.mixed(told[:, self.horizon :], self.horizon - 1)])

    def _is_informed(self, xs: Sequence[Record] | None) -> bool:
        return bool(self._known.n_columns) and any(set(x) - {self._time_name} for x in xs or ())

    # -- keeping ------------------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """Everything learned, as plain data; the parameters are not part of it."""
        return {
            "predictor": self._predictor.to_state(),
            "rhythm": self._rhythm.to_state(),
            "mixture": self._mixture.to_state(),
            "intervals": self._intervals.to_state(),
            "informed": self._informed.to_state(),
            "known": self._known.to_state(),
            "guides": self._guides.copy(),
            "past": self._past[: self._now + 1].copy(),
            "centres": self._centres.copy(),
            "time": None if self._time is None else self._time.isoformat(),
            "time_name": self._time_name,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become the forecaster whose `to_state` this is; it goes on identically. ValueError where parts do not fit."""
        new = type(self)(**self._get_params())
        for name in ("predictor", "rhythm", "mixture", "intervals", "informed", "known"):
            getattr(new, f"_{name}").restore(state[name])
        restore(new._guides, state, "guides", finite=False)
        restore(new._centres, state, "centres", finite=False)
        new._now = len(state["past"]) - 1
        while len(new._past) <= new._now:
            new._past = np.zeros(2 * len(new._past))
        restore(new._past[: new._now + 1], state, "past")
        new._time, new._time_name = _time_of(state["time"]), state["time_name"]
        vars(self).update(vars(new))


def _time_of(text: str | None) -> dt.date | None:
    """A date or a datetime from ISO 8601."""
    if text is None:
        return None
    return dt.datetime.fromisoformat(text) if "T" in text else dt.date.fromisoformat(text)


def _are_seasons(seasons: Sequence[int]) -> bool:
    return len(seasons) <= guides.N_SEASONS and all(2 <= season <= guides.LONGEST_SEASON for season in seasons)


def _check(horizon: int, xs: Sequence[Record] | None) -> None:
    if horizon < 0:
        raise ValueError(f"horizon must be at least 0, got {horizon}")
    if xs is not None and len(xs) != horizon:
        raise ValueError(f"xs must have one record for each of {horizon} values, got {len(xs)}")
