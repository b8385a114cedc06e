"""Forecasts of many series, by horizon: error, coverage of the intervals and time, against rivals.

    python -m benchmarks.forecasting [--data DIR] [--json FILE] [--only NAME;...] [--also FILE] [--jobs N]

The series are in benchmarks/forecast_series.py, the rivals in benchmarks/forecast_rivals.py. `--data` is a folder with
`nab` (github.com/numenta/NAB: its `data` folder) and `skab` (github.com/waico/SKAB: its data folder) in it. Every
forecaster sees one value after the other and tells the next 24 after each; what is told after two seasons and 50 values
counts. Ours has its default configuration and gets the time with each value, where there is one, and is not told the
season; rivals are.

ratio      mean absolute error of ours over that of the best rival of this series and horizon; below 1 ours is better
last       the same over that of the last value
covered    share of the values within the 90 % interval
us         microseconds of processor time a value: learned and forecast 24 ahead

Series that are `held out` had no part in any choice, those that are `seen` in the last one alone (see
forecast_series.py); they are summed up apart. `without the network` is
ours with neither the network run forward nor its state among the regressors. deep-river wants a River and a NumPy of
its own: run this there with `--only` its forecasters and `--json`, and hand that file to `--also` here. Being slow, its
forecasters tell at every eighth value only, and ours is compared with them there.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from time import thread_time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.forecast_rivals import DEEP, RIVALS, Rival
from benchmarks.forecast_series import CHOSEN, HELD_OUT, SEEN, Series, all_series
from benchmarks.stamp import stamp, write_json

Array = NDArray[Any]

OURS, CUT, LAST = "ours", "ours, without the network", "last value"
LONGEST_HORIZON, HORIZONS = 24, (1, 2, 4, 12, 24)
LEVEL, SEED = 0.9, 1
EVERY_OF_SLOW = 8


class Result(NamedTuple):
    """Of one forecaster on one series, by horizon; of rivals there is no coverage."""

    series: str
    group: str
    forecaster: str
    mae: list[float]
    sparse: list[float]  # the same where the slow ones tell too
    covered: list[float]
    us: float


# -- measuring --------------------------------------------------------------------------------------------------------


def measure(series: Series, forecaster: str) -> Result:
    told = _ours(series, forecaster == CUT) if forecaster in (OURS, CUT) else _rival(series, forecaster)
    centres, intervals, us = told
    mae, sparse, covered = [], [], []
    for h in HORIZONS:
        y = np.array(series.y[series.first + h :])
        at = slice(series.first, len(series.y) - h)
        error = np.abs(centres[at, h - 1] - y)
        sparse.append(float(error[::EVERY_OF_SLOW].mean()))
        mae.append(float(error[~np.isnan(error)].mean()))
        if intervals is not None:
            covered.append(float(np.mean((y >= intervals[at, h - 1, 0]) & (y <= intervals[at, h - 1, 1]))))
    return Result(series.name, series.group, forecaster, mae, sparse, covered, us)


def _ours(series: Series, is_cut: bool) -> tuple[Array, Array, float]:
    from scrnn_stream.forecasting import SCRNNForecaster

    forecaster = (_without_network() if is_cut else SCRNNForecaster)(seed=SEED)
    forecaster.learn_one(series.y[0])  # loads the kernels
    forecaster = forecaster.clone()
    centres = np.empty((len(series.y), LONGEST_HORIZON))
    intervals = np.empty((len(series.y), LONGEST_HORIZON, 2))
    begin = thread_time()
    for i, y in enumerate(series.y):
        forecaster.learn_one(y, series.x(i))
        centres[i] = forecaster.forecast(LONGEST_HORIZON)
    seconds = thread_time() - begin
    forecaster = forecaster.clone()
    for i, y in enumerate(series.y):
        forecaster.learn_one(y, series.x(i))
        intervals[i] = forecaster.forecast_interval(LONGEST_HORIZON, LEVEL)
    return centres, intervals, seconds / len(series.y) * 1e6


def _without_network() -> Any:
    """The class, made here since this module is imported where scrnn_stream is not installed."""
    from scrnn_stream.forecasting import SCRNNForecaster

    class WithoutNetwork(SCRNNForecaster):
        def _run_network(self, units: Array, clocks: Array) -> Array:  # noqa: ARG002
            return np.full(len(clocks), np.nan)

    return WithoutNetwork


def _rival(series: Series, name: str) -> tuple[Array, None, float]:
    forecaster, every = RIVALS[name](series), EVERY_OF_SLOW if name in DEEP else 1
    centres = np.full((len(series.y), LONGEST_HORIZON), np.nan)
    begin = thread_time()
    for i, y in enumerate(series.y):
        forecaster.learn_one(y)
        if i >= series.first and (i - series.first) % every == 0:
            centres[i] = _told(forecaster)
    return centres, None, (thread_time() - begin) / len(series.y) * 1e6


def _told(forecaster: Rival) -> Array:
    """A forecast that has overflowed is infinitely wrong."""
    try:
        told = np.array(forecaster.forecast(LONGEST_HORIZON), float)
    except (OverflowError, ZeroDivisionError):
        return np.full(LONGEST_HORIZON, np.inf)
    return np.where(np.isnan(told), np.inf, told)


# -- comparing --------------------------------------------------------------------------------------------------------


class Rows(NamedTuple):
    """Series by horizon, (n, 5) each."""

    ratio: Array
    last: Array
    covered: Array

    def summary(self) -> dict[str, float]:
        is_held = (self.covered >= LEVEL - 0.02) & (self.covered <= LEVEL + 0.02)
        return {
            "rows": self.ratio.size,
            "best or within 5 %": float((self.ratio <= 1.05).mean()),
            "best": float((self.ratio <= 1.0).mean()),
            "geometric mean": float(np.exp(np.log(self.ratio).mean())),
            "worst": float(self.ratio.max()),
            "worst against last value": float(self.last.max()),
            "covered 88 to 92 %": float(is_held.mean()),
        }


def rows(results: Iterable[Result], forecaster: str, group: str | None = None) -> Rows:
    """Ours against the best rival at each horizon, of the series of a group, or of all."""
    by_series: dict[str, dict[str, Result]] = {}
    for result in results:
        by_series.setdefault(result.series, {})[result.forecaster] = result
    compared = []
    for of_series in by_series.values():
        ours = of_series.get(forecaster)
        if ours is None or group not in (None, ours.group):
            continue
        rivals = {name: result for name, result in of_series.items() if name not in (OURS, CUT)}
        ratios = [
            np.divide(ours.sparse, rival.sparse) if name in DEEP else np.divide(ours.mae, rival.mae)
            for name, rival in rivals.items()
        ]
        last = np.divide(ours.mae, rivals[LAST].mae)
        compared.append((np.max(ratios, 0), last, np.array(ours.covered)))
    return Rows(*(np.array(part) for part in zip(*compared, strict=True)))


def table(results: list[Result]) -> Table:
    made = Table(title=f"Horizons {', '.join(map(str, HORIZONS))}", box=SIMPLE)
    for column in ("series", "ratio", "last", "covered", "us"):
        made.add_column(column, justify="left" if column == "series" else "right", no_wrap=True)
    for result in results:
        if result.forecaster == OURS:
            own = [other for other in results if other.series == result.series]
            ratio, last, covered = (" ".join(f"{value:.2f}" for value in part[0]) for part in rows(own, OURS))
            name = f"{result.series} ({result.group})"
            made.add_row(name, ratio, last, covered, f"{result.us:.0f}")
    return made


def summaries(results: list[Result]) -> Table:
    parts: dict[str, tuple[str, str | None]] = {group: (OURS, group) for group in (CHOSEN, SEEN, HELD_OUT)}
    parts |= {"all": (OURS, None), "without the network": (CUT, None)}
    made = Table(title="Rows of all series and horizons", box=SIMPLE)
    made.add_column("")
    lines: dict[str, list[str]] = {}
    for title, (forecaster, group) in parts.items():
        if any(r.forecaster == forecaster and group in (None, r.group) for r in results):
            made.add_column(title, justify="right")
            for name, value in rows(results, forecaster, group).summary().items():
                is_share = name.startswith(("best", "covered"))
                text = f"{value:.1%}" if is_share else f"{value:.3f}" if name != "rows" else str(value)
                lines.setdefault(name, []).append(text)
    for name, texts in lines.items():
        made.add_row(name, *texts)
    return made


def times(results: list[Result]) -> Table:
    made = Table(title="Microseconds a value, median of the series", box=SIMPLE)
    made.add_column("forecaster")
    made.add_column("us", justify="right")
    for name in dict.fromkeys(result.forecaster for result in results):
        made.add_row(name, f"{np.median([result.us for result in results if result.forecaster == name]):.0f}")
    return made


# -- telling ----------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--only", metavar="NAME;...", help=f"of {', '.join([OURS, CUT, *RIVALS])}")
    parser.add_argument("--also", type=Path, metavar="FILE", help="results of forecasters that cannot run here")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="series at a time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    series = sorted(all_series(options.data), key=lambda one: -len(one.y))
    names = [name.strip() for name in options.only.split(";")] if options.only else [OURS, CUT, *RIVALS]
    tasks = [(one, name) for name in names for one in series if (name, one.season) != ("seasonal last value", 1)]
    with ProcessPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(measure, *task) for task in tasks]
        bar = track(as_completed(futures), "forecasters", total=len(futures), console=Console(stderr=True))
        results = [future.result() for future in bar]
    order = [one.name for one in all_series(options.data)]
    results.sort(key=lambda result: (order.index(result.series), names.index(result.forecaster)))
    if options.json:
        write_json(options.json, {**_stamp(), "results": [_plain(result) for result in results]})
    if options.also:
        results += [result for result in read(options.also) if result.series in order]
    console = Console(width=200)
    if {OURS, LAST} <= {result.forecaster for result in results}:
        console.print(table(results))
        console.print(summaries(results))
    console.print(times(results))


def _stamp() -> dict[str, Any]:
    return stamp(horizons=HORIZONS, level=LEVEL, seed=SEED)


def _plain(result: Result) -> dict[str, Any]:
    """What is infinite is written as null."""
    errors = {"mae": result.mae, "sparse": result.sparse}
    return result._asdict() | {name: [e if math.isfinite(e) else None for e in of] for name, of in errors.items()}


def read(path: Path) -> list[Result]:
    """Results that were kept."""
    kept = [Result(**result) for result in json.loads(path.read_text())["results"]]
    return [result._replace(mae=_whole(result.mae), sparse=_whole(result.sparse)) for result in kept]


def _whole(errors: list[Any]) -> list[float]:
    return [math.inf if error is None else error for error in errors]


if __name__ == "__main__":
    main()
