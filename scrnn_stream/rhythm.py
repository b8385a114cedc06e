"""The rhythm of a series: the step between its values, gaps in it, and its seasons, by the clock or found in it."""

from __future__ import annotations

import datetime as dt
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DAY_S, YEAR_DAYS = 86400.0, 365.2425
PERIODS_S = (DAY_S, 7 * DAY_S, YEAR_DAYS * DAY_S)
CLOCKS = ("day", "week", "year")
HARMONICS = (3, 2, 2)  # of the day, the week and the year
SHORTEST_SEASON = 4  # steps; of the clock
N_INTERVALS = 31  # between values, of which the step is the median
REGULAR = 0.95  # share of them that are whole steps, to a tenth: only then an interval of several steps is a gap
LONGEST_GAP = 1000  # steps that are lived through one by one; of a longer gap, what is left after whole seasons
SEARCH_FIRST, SEARCH_WITHIN = 24, 4096  # values: when a period is sought first, and how far back
CLEAR = 0.2  # the least autocorrelation of a period, and how far it must rise from what lies before
EPOCH = dt.datetime(1970, 1, 1)


class Rhythm:
    """When values come, and after how many of them the series repeats itself.

    The day, the week and the year are seasons where they are 4 to `longest` steps. A period found in the series by its
    autocorrelation is one more, if there is room for it. Where the seasons are given, nothing is sought.
    """

    def __init__(self, n_seasons: int, longest: int, given: Sequence[int] | None = None) -> None:
        self.n_seasons, self.longest, self.given = n_seasons, longest, given
        self.intervals: list[float] = []
        self.n_intervals = 0  # ever
        self.last: float | None = None  # seconds
        self.step = 0.0  # seconds; 0 while unknown
        self.is_regular = False
        self.found, self.next_search = 0, SEARCH_FIRST
        self._key, self._seasons = (-1.0, 0), list[int]()

    def observe(self, time: dt.date | None) -> int:
        """Take the time of the next value in; returns how many values are missing before it."""
        if time is None:
            return 0
        now, before = seconds_of(time), self.last
        self.last = now
        if before is None or now <= before:
            return 0
        missing = round((now - before) / self.step) - 1 if self.step and self.is_regular else 0
        self.intervals.append(now - before)
        self.n_intervals += 1
        if len(self.intervals) == N_INTERVALS or self.n_intervals in (2, 4, 8, 16):
            self._judge()
        if missing > LONGEST_GAP:
            missing %= max(self.seasons(), default=1)
        return max(missing, 0)

    def _judge(self) -> None:
        median = statistics.median(self.intervals)
        steps = [interval / median for interval in self.intervals]
        near = sum(abs(n - max(1, round(n))) <= 0.1 for n in steps)
        if not 0.9 * median <= self.step <= 1.1 * median:
            self.step = median
        self.is_regular = near >= REGULAR * len(self.intervals)
        if len(self.intervals) >= N_INTERVALS:
            self.intervals.clear()

    # -- seasons ------------------------------------------------------------------------------------------------------

    def seasons(self) -> list[int]:
        """In steps, the shortest of the clock first."""
        key = self.step, self.found
        if key != self._key:
            self._key, self._seasons = key, self._told_seasons()
        return self._seasons

    def _told_seasons(self) -> list[int]:
        if self.given is not None:
            return list(self.given)
        seasons = [season for season in map(self._season, PERIODS_S) if season]
        is_new = all(abs(self.found - season) > max(1, 0.02 * season) for season in seasons)
        return (seasons + [self.found] * bool(self.found and is_new))[: self.n_seasons]

    def _season(self, period_s: float) -> int:
        """Steps in a period of the clock; 0 if it is none, or a whole number of steps is not close to it."""
        steps = period_s / self.step if self.step else 0.0
        if 28 * DAY_S <= self.step <= 31 * DAY_S:  # months
            steps = 12.0 if period_s == PERIODS_S[2] else 0.0
        is_near = abs(steps - round(steps)) <= 0.02 * steps + 0.01
        return round(steps) if is_near and SHORTEST_SEASON <= steps <= self.longest else 0

    def search(self, past: Array) -> None:
        """Look for a period now and then: at first after each third more values, later after 500."""
        n = len(past)
        if self.given is None and n >= self.next_search:
            self.found = period_of(past[-SEARCH_WITHIN:], self.longest)
            self.next_search = min(n + n // 3, n + 500)

    def shifted(self, n: int) -> None:
        """The past was cut to its newest n values."""
        self.next_search = min(self.next_search, n)

    # -- clock --------------------------------------------------------------------------------------------------------

    def clocks(self, time: dt.date | None, n: int) -> Array:
        """Sine and cosine of where the n times from `time` on stand in day, week and year, (n, 14); 0 if unknown.

        And of that which is no season: a clock whose hands hardly move, or whirl, tells nothing.
        """
        if time is None or not self.step:
            return np.zeros((n, 2 * sum(HARMONICS)))
        return hands(turns(time) + np.arange(n)[:, None] * self.step / np.array(PERIODS_S), self.shown())

    def shown(self) -> dict[str, bool]:
        """Which clocks tell something."""
        lengths = [period_s / (self.step or math.inf) for period_s in PERIODS_S]
        return {name: SHORTEST_SEASON <= n <= self.longest for name, n in zip(CLOCKS, lengths, strict=True)}

    def after(self, time: dt.date | None) -> dt.date | None:
        """A step after a time."""
        return None if time is None or not self.step else time + dt.timedelta(seconds=self.step)

    # -- keeping ------------------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        names = ("n_intervals", "last", "step", "is_regular", "found", "next_search")
        return {name: getattr(self, name) for name in names} | {"intervals": list(self.intervals)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.intervals = [float(interval) for interval in state["intervals"]]
        self.n_intervals = int(state["n_intervals"])
        self.last = None if state["last"] is None else float(state["last"])
        self.step, self.is_regular = float(state["step"]), bool(state["is_regular"])
        self.found, self.next_search = int(state["found"]), int(state["next_search"])
        if not 0 <= self.found <= self.longest or not 0 <= self.step < math.inf:
            raise ValueError(f"found and step must be in range, got {self.found} and {self.step}")


# -- times ------------------------------------------------------------------------------------------------------------


def time_in(x: Mapping[Any, Any]) -> tuple[Any, dt.date | None]:
    """The name and the value of the first feature, by its name, that is a date or a datetime; None if none is."""
    times = {name: time for name, value in x.items() if (time := as_time(value)) is not None}
    name = min(times, key=str, default=None)
    return name, times.get(name)


def as_time(value: Any) -> dt.date | None:
    if isinstance(value, np.datetime64):
        value = value.astype("M8[us]").item()
    return value if isinstance(value, dt.date) and value == value else None  # NaT is not itself


def seconds_of(time: dt.date) -> float:
    """Since 1970; a time without a zone is taken as it stands."""
    if not isinstance(time, dt.datetime):
        return (time - EPOCH.date()).days * DAY_S
    return (time.replace(tzinfo=None) - (time.utcoffset() or dt.timedelta()) - EPOCH).total_seconds()


def turns(time: dt.date) -> Array:
    """Where a time stands in its day, week and year, from 0 to 1, as its own zone shows it."""
    is_long = isinstance(time, dt.datetime)
    day = (time.hour * 3600 + time.minute * 60 + time.second) / DAY_S if is_long else 0.0  # type: ignore[attr-defined]
    days = time.toordinal()
    return np.array([day, (time.weekday() + day) / 7, (days - dt.date(time.year, 1, 1).toordinal() + day) / YEAR_DAYS])


def hands(turned: Array, shown: Mapping[str, bool]) -> Array:
    """Sine and cosine of the harmonics, (n, 14), of turns (n, 3)."""
    angles = turned[:, _OF] * _TIMES
    columns = np.empty((len(turned), 2 * len(_OF)))
    columns[:, _SINES], columns[:, _COSINES] = np.sin(angles), np.cos(angles)
    columns *= np.repeat(list(shown.values()), 2 * np.array(HARMONICS))
    return columns


_OF = np.repeat(np.arange(3), HARMONICS)  # of each pair of hands the clock
_TIMES = 2 * math.pi * np.concatenate([np.arange(1, n + 1) for n in HARMONICS])
_SINES = np.concatenate([np.arange(n) + start for n, start in zip(HARMONICS, (0, 6, 10), strict=True)])
_COSINES = _SINES + np.repeat(HARMONICS, HARMONICS)


# -- periods ----------------------------------------------------------------------------------------------------------


def period_of(y: Array, longest: int) -> int:
    """The period of a series by its autocorrelation, at most a third of its length; 0 if it shows none.

    The smallest lag at a peak that comes near the highest one, after the autocorrelation has fallen first.
    """
    n = len(y)
    r = autocorrelation(y)[: min(n // 2, longest + 2)]
    inner = r[1:-1]
    falls = np.flatnonzero(r < 0)[:1] if (r < 0).any() else np.flatnonzero((inner <= r[:-2]) & (inner < r[2:]))[:1] + 1
    if not len(falls):
        return 0
    first, least = max(2, int(falls[0])), max(CLEAR, 3.0 / math.sqrt(n))
    lags = [k for k in range(first, len(r) - 1) if r[k - 1] <= r[k] > r[k + 1] and r[k] > least]
    lowest = np.minimum.accumulate(r[first:]) if lags else r
    lags = [k for k in lags if k > first and r[k] - lowest[k - first - 1] > CLEAR]
    highest = max((r[k] for k in lags), default=0.0)
    return next((k for k in lags if r[k] >= 0.9 * highest), 0)


def autocorrelation(y: Array) -> Array:
    """Of a series without its line from the first eighth to the last one and its wildest values, (n,)."""
    n, part = len(y), max(1, len(y) // 8)
    rest = y - np.linspace(y[:part].mean(), y[-part:].mean(), n)
    rest = np.clip(rest, *np.quantile(rest, [0.02, 0.98]))
    rest = rest - rest.mean()
    largest = np.abs(rest).max()
    if largest <= 1e-9 * np.abs(y).max():
        return np.zeros(n)
    spectrum = np.fft.rfft(rest / largest, 2 * n)
    products = np.fft.irfft(spectrum * np.conj(spectrum))[:n]
    return np.asarray(products / products[0] * n / (n - np.arange(n)))
