"""A number from a record and its past: SCRNNRegressor against River's regressors.

    python -m benchmarks.regression [--data SKAB_DIR] [--only NAME,...] [--json FILE]

Strictly online: each record is predicted, then learned. An error is the mean absolute one from the 100th record on, as
a share of that of the last value: below 1 it is worth something to have looked at the record. River's models are given
the record, the last three records and the last three targets, each a feature of its own (hour and weekday of a
datetime), behind a StandardScaler, their target scaled too where they are linear; "no lags" is the record alone. Of
datetimes SCRNNRegressor makes features itself. One configuration each for all streams, the defaults.

With `--data`, the `data` directory of SKAB (https://github.com/waico/SKAB), one sensor is to be told from the seven
others: each in the run without faults, and in the 34 runs with faults one each, in turn.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import math
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from time import thread_time
from typing import Any, NamedTuple

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table
from river import compose, datasets, dummy, forest, linear_model, neighbors, preprocessing, stats, tree
from river.datasets import synth

from benchmarks import skab_files
from benchmarks.stamp import stamp, write_json
from scrnn_stream import SCRNNFeatures, SCRNNRegressor

N_LAGS = 3
N_FIRST = 100  # records that do not count: everybody begins
CLOSE = 1.05  # within 5 % of the best

Example = tuple[dict[str, Any], float]


class Lagged:
    """A model of River that sees the last records and targets too, as numbers."""

    def __init__(self, model: Any, n_lags: int = N_LAGS) -> None:
        self.model = model
        self.past: deque[dict[str, float]] = deque(maxlen=n_lags)

    def predict_one(self, x: dict[str, Any]) -> float:
        return float(self.model.predict_one(self._features(x)))

    def learn_one(self, x: dict[str, Any], y: float) -> None:
        self.model.learn_one(self._features(x), y)
        self.past.appendleft(numbers(x) | {"y": y})

    def _features(self, x: dict[str, Any]) -> dict[str, float]:
        features = numbers(x)
        for lag, record in enumerate(self.past, 1):
            features |= {f"{name} -{lag}": value for name, value in record.items()}
        return features


class LastValue:
    """What was the target last."""

    def __init__(self) -> None:
        self.last = 0.0

    def predict_one(self, _x: dict[str, Any]) -> float:
        return self.last

    def learn_one(self, _x: dict[str, Any], y: float) -> None:
        self.last = y


def numbers(x: dict[str, Any]) -> dict[str, float]:
    """The features that are numbers, and hour and weekday of a datetime."""
    out: dict[str, float] = {}
    for name, value in x.items():
        if isinstance(value, dt.datetime):
            out |= {f"{name} hour": value.hour, f"{name} weekday": value.weekday()}
        elif isinstance(value, (int, float)):
            out[str(name)] = float(value)
    return out


def linear(model: Any) -> Any:
    return preprocessing.TargetStandardScaler(preprocessing.StandardScaler() | model)


MODELS: dict[str, Callable[[], Any]] = {
    "SCRNN": lambda: SCRNNRegressor(seed=0),
    "no network": lambda: SCRNNRegressor(n_hidden=0, n_context=1, seed=0),
    "features + Bayes": lambda: preprocessing.TargetStandardScaler(
        SCRNNFeatures(seed=0) + (compose.SelectType(float, int) | preprocessing.StandardScaler())
        | linear_model.BayesianLinearRegression()
    ),
    "Bayes": lambda: Lagged(linear(linear_model.BayesianLinearRegression())),
    "Linear": lambda: Lagged(linear(linear_model.LinearRegression())),
    "Linear, no lags": lambda: Lagged(linear(linear_model.LinearRegression()), 0),
    "Hoeffding": lambda: Lagged(preprocessing.StandardScaler() | tree.HoeffdingTreeRegressor()),
    "ARF": lambda: Lagged(forest.ARFRegressor(seed=0)),
    "KNN": lambda: Lagged(preprocessing.StandardScaler() | neighbors.KNNRegressor()),
    "mean": lambda: dummy.StatisticRegressor(stats.Mean()),
    "last value": LastValue,
}
OURS = ("SCRNN", "no network", "features + Bayes")


class Stream(NamedTuple):
    name: str
    examples: list[Example]


def streams(data: Path | None) -> Iterator[Stream]:
    """Of River, made up, and of SKAB."""
    yield Stream("TrumpApproval", list(datasets.TrumpApproval()))
    yield Stream("ChickWeights", list(datasets.ChickWeights()))
    yield Stream("WaterFlow", list(datasets.WaterFlow()))
    yield Stream("Friedman", list(synth.Friedman(seed=0).take(4000)))
    yield Stream("Friedman, drifting", list(synth.FriedmanDrift(seed=0, position=(1000, 2000, 3000)).take(4000)))
    yield Stream("delayed product", list(delayed_product(4000)))
    if data is None:
        return
    calm = calm_run(data)
    for sensor in calm[0]:
        yield Stream(f"SKAB calm, {sensor}", told_from_the_others(calm, sensor))
    for number, file in enumerate(skab_files.read(data)):
        sensor = list(file.readings[0])[number % len(file.readings[0])]
        yield Stream(f"SKAB {file.name}, {sensor}", told_from_the_others(file.readings, sensor))


def delayed_product(n: int) -> Iterator[Example]:
    """y_t = a_(t-5) b_(t-5) + noise: neither line nor last value tells it, and the lags of the others are too short."""
    rng = np.random.default_rng(0)
    a, b = (np.convolve(rng.normal(0, 1, n + 12), np.ones(8) / 8**0.5, "valid") for _ in range(2))
    for t in range(5, n):
        yield {"a": float(a[t]), "b": float(b[t])}, float(a[t - 5] * b[t - 5] + rng.normal(0, 0.1))


def calm_run(data: Path) -> list[dict[str, float]]:
    with (data / "anomaly-free" / "anomaly-free.csv").open(newline="") as file:
        return [
            {name: float(value) for name, value in row.items() if name != skab_files.TIME}
            for row in csv.DictReader(file, delimiter=";")
        ]


def told_from_the_others(readings: list[dict[str, float]], sensor: str) -> list[Example]:
    return [({name: value for name, value in x.items() if name != sensor}, x[sensor]) for x in readings]


def run(model: Any, examples: list[Example]) -> tuple[float, float]:
    """Mean absolute error, and seconds for each record."""
    errors, start = np.empty(len(examples)), thread_time()
    for i, (x, y) in enumerate(examples):
        errors[i] = abs(model.predict_one(x) - y)
        model.learn_one(x, y)
    return float(errors[N_FIRST:].mean()), (thread_time() - start) / len(examples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="SKAB_DIR")
    parser.add_argument("--only", metavar="NAME,...", help="models to run, and the last value")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    names = [name for name in MODELS if options.only is None or name in (*options.only.split(","), "last value")]
    errors: dict[str, dict[str, float]] = {}
    times: dict[str, list[float]] = {name: [] for name in names}
    for stream in track(list(streams(options.data)), description="streams", transient=True):
        found = {name: run(MODELS[name](), stream.examples) for name in names}
        errors[stream.name] = {name: error / found["last value"][0] for name, (error, _) in found.items()}
        for name, (_, seconds) in found.items():
            times[name].append(seconds)
    show(errors, {name: 1e6 * float(np.median(of)) for name, of in times.items()}, names)
    if options.json is not None:
        write_json(options.json, {**stamp(models=names), "errors": errors})


def show(errors: dict[str, dict[str, float]], times: dict[str, float], names: list[str]) -> None:
    table = Table(box=SIMPLE)
    for title in ("", *names):
        table.add_column(title, justify="right" if title else "left")
    for title, rows in groups(errors).items():
        means = {name: math.exp(np.mean([math.log(row[name]) for row in rows])) for name in names}
        table.add_row(title, *(f"{means[name]:.3f}" for name in names))
    n_close = {name: sum(row[name] <= CLOSE * best_of_all(row) for row in errors.values()) for name in names}
    table.add_row(f"best or within 5 %, of {len(errors)}", *(str(n_close[name]) for name in names))
    table.add_row("worst", *(f"{max(row[name] for row in errors.values()):.3g}" for name in names))
    table.add_row("us a record", *(f"{times[name]:.0f}" for name in names))
    Console(width=200).print(table)


def groups(errors: dict[str, dict[str, float]]) -> dict[str, list[dict[str, float]]]:
    """Rows of the table: each stream, but the runs with faults together, by their geometric mean."""
    out: dict[str, list[dict[str, float]]] = {}
    for name, row in errors.items():
        is_faulty = name.startswith("SKAB") and not name.startswith("SKAB calm")
        out.setdefault("SKAB, 34 runs with faults" if is_faulty else name, []).append(row)
    return out


def best_of_all(row: dict[str, float]) -> float:
    """Of all but our own variants."""
    return min(error for name, error in row.items() if name not in OURS[1:])


if __name__ == "__main__":
    main()
