"""How long a memory learns online: recall, the adding problem and a hidden level, against LSTM and GRU.

    python -m benchmarks.memory [--samples 500000] [--first 0] [--seeds 3] [--only NAME,...] [--json FILE]

Every model sees each sample once and predicts before it learns. A cell is the mean squared error over the last tenth of
what was asked for: the median over the seeds and, below it, the smallest and the largest. The tasks are described in
`benchmarks/memory_tasks.py`.

recall 100, recall 300   +-1, to be told 100 or 300 samples later; a guess gives 1
adding 100               the sum of two marked values among 100; the mean gives 0.167
level                    an average over 200 samples that is never an input; the mean gives 1.26, the noise alone 0.01
weights                  number of parameters on recall; other tasks differ by their number of inputs

simple recurrent         SCRNN without context units
SCRNN 0.95               16 context units, all with the decay of the paper
SCRNN fixed, learned     16 decays that begin spread over memories of 2 to 1000 samples, and stay or are learned
LSTM, GRU window N       PyTorch's, where it is installed; their gradient goes back through N samples

SCRNN and the simple recurrent network share one configuration, CONFIGURATION below: the defaults of the library but for
a rate of 0.01, which LSTM and GRU have too. Their window is 20; only the traces of the context units reach further. All
networks have nearly as many weights. On `level`, a decay that fits is the whole solution: it is SCRNN's home ground.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from math import log
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import recurrent_peers, sizes
from benchmarks.memory_tasks import TASKS, Task
from benchmarks.stamp import stamp, write_json
from scrnn_stream.network import SCRNN

Array = NDArray[Any]

CONFIGURATION: dict[str, Any] = {"truncation_length": 20, "optimizer": "rmsprop", "lr": 0.01, "clip_gradient": 1.0}
N_HIDDEN, N_CONTEXT, MEMORY = 32, 16, (2.0, 1000.0)
PAPER_MEMORY = -1.0 / log(0.95)  # the decay of the paper, 0.95
# On recall 100 in a window of 150. GRU: RMSprop learned it within 200,000 samples, Adam at 0.01 did not. LSTM: neither
# did within 500,000, at 0.001, 0.003 or 0.01.
PEER_CONFIGURATION: dict[str, Any] = {"optimizer": "RMSprop", "lr": 0.01, "clip_gradient": 1.0}


class Learner(Protocol):
    """Predictions for each row, made before its target is learned; NaN is a target that nobody asks for."""

    n_parameters: int

    def replay(self, xs: Array, targets: Array) -> Array: ...


class Model(NamedTuple):
    """A row of the table."""

    name: str
    title: str
    make: Callable[[int, int], Learner]  # n_inputs, seed
    window: int = 0  # of a peer


class Result(NamedTuple):
    task: str
    model: str
    seed: int
    error: float
    n_parameters: int
    us_per_sample: float


# -- models -----------------------------------------------------------------------------------------------------------


class Mean:
    """The mean of all targets so far."""

    n_parameters = 0

    def replay(self, xs: Array, targets: Array) -> Array:  # noqa: ARG002
        is_asked = ~np.isnan(targets)
        before = np.cumsum(is_asked) - is_asked.ravel()
        total = np.cumsum(np.where(is_asked, targets, 0.0)) - np.where(is_asked, targets, 0.0).ravel()
        return np.asarray((total / np.maximum(before, 1))[:, None])


class Last:
    """The last target."""

    n_parameters = 0

    def replay(self, xs: Array, targets: Array) -> Array:  # noqa: ARG002
        asked = np.flatnonzero(~np.isnan(targets))
        predictions = np.zeros(targets.shape)
        predictions[asked[1:]] = targets[asked[:-1]]
        return predictions


class Network:
    """SCRNN as a learner."""

    def __init__(self, n_inputs: int, seed: int, **arguments: Any) -> None:
        arguments = {"n_hidden": N_HIDDEN, "n_context": N_CONTEXT, "memory": MEMORY, **CONFIGURATION, **arguments}
        self._network = SCRNN(n_inputs, 1, seed=seed, **arguments)
        self.n_parameters = self._network.n_parameters

    def replay(self, xs: Array, targets: Array) -> Array:
        predictions, _ = self._network.replay(xs, targets)
        return np.asarray(predictions)


def simple(n_inputs: int, seed: int) -> Learner:
    """The simple recurrent network with as many weights as SCRNN."""
    wanted = sizes.scrnn(n_inputs, 1, N_HIDDEN, N_CONTEXT)
    n_hidden = sizes.closest(wanted, lambda n: sizes.scrnn(n_inputs, 1, n, 0))
    return Network(n_inputs, seed, n_context=0, n_hidden=n_hidden)


def peer(n_inputs: int, seed: int, kind: str, window: int) -> Learner:
    wanted = sizes.scrnn(n_inputs, 1, N_HIDDEN, N_CONTEXT)
    n_hidden = sizes.closest(wanted, lambda n: recurrent_peers.n_parameters(kind, n_inputs, 1, n))
    arguments = {"n_hidden": n_hidden, "truncation_length": window, **PEER_CONFIGURATION}
    return recurrent_peers.RecurrentPeer(kind, n_inputs, 1, seed=seed, **arguments)


FIXED_95 = partial(Network, memory=PAPER_MEMORY, learn_decay=False)
PEERS = tuple(
    Model(f"{kind.lower()}-{window}", f"{kind} window {window}", partial(peer, kind=kind, window=window), window)
    for kind in recurrent_peers.GATES
    for window in (20, 150, 350)
)
MODELS = (
    Model("mean", "mean", lambda *_: Mean()),
    Model("last", "last value", lambda *_: Last()),
    Model("simple", "simple recurrent", simple),
    Model("fixed-95", "SCRNN 0.95", FIXED_95),
    Model("fixed", "SCRNN fixed", partial(Network, learn_decay=False)),
    Model("learned", "SCRNN learned", Network),
    *PEERS,
)

# -- measuring --------------------------------------------------------------------------------------------------------


def run(task_name: str, model_name: str, seed: int, n_samples: int) -> Result:
    """One model on one stream, from the first sample to the last."""
    task, model = _named(TASKS, task_name), _named(MODELS, model_name)
    xs, targets = task.draw(n_samples, seed)
    learner = model.make(xs.shape[1], seed)
    began = time.perf_counter()
    predictions = learner.replay(xs, targets)
    seconds = time.perf_counter() - began
    error = final_error(predictions, targets)
    return Result(task.name, model.name, seed, error, learner.n_parameters, 1e6 * seconds / n_samples)


def final_error(predictions: Array, targets: Array) -> float:
    """Mean squared error over the last tenth of what was asked for."""
    squares = ((predictions - targets) ** 2)[~np.isnan(targets)]
    return float(squares[-max(1, len(squares) // 10) :].mean())


def runs(models: Iterable[Model], seeds: range) -> list[tuple[str, str, int]]:
    """What is to be measured: peers only in the windows of the task, and only if they are installed."""
    usable = [model for model in models if not model.window or recurrent_peers.is_installed()]
    cells = [(t, m) for t in TASKS for m in usable if not m.window or m.window in t.windows]
    return [(task.name, model.name, seed) for seed in seeds for task, model in cells]


def _named(things: Iterable[Any], name: str) -> Any:
    return next(thing for thing in things if thing.name == name)


# -- telling ----------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=500_000)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", metavar="NAME,...", help=f"of {', '.join(model.name for model in MODELS)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else [model.name for model in MODELS]
    models = [_named(MODELS, name) for name in names]
    seeds = range(options.first, options.first + options.seeds)
    with ProcessPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(run, *what, options.samples) for what in runs(models, seeds)]
        bar = track(as_completed(futures), "streams", total=len(futures), console=Console(stderr=True))
        results = [future.result() for future in bar]
    Console().print(table(models, results, options.samples))
    if options.json:
        settings = {"samples": options.samples, "seeds": list(seeds), **CONFIGURATION, "peers": PEER_CONFIGURATION}
        write_json(options.json, {**stamp(**settings), "results": [result._asdict() for result in results]})


def table(models: Iterable[Model], results: list[Result], n_samples: int) -> Table:
    made = Table(title=f"Mean squared error over the last tenth of {n_samples:,} samples", box=SIMPLE)
    made.add_column("model")
    made.add_column("weights", justify="right")
    for task in TASKS:
        made.add_column(task.title, justify="right", min_width=len("0.000-0.000"))
    for model in models:
        of_model = [result for result in results if result.model == model.name]
        made.add_row(model.title, _weights(of_model), *(cell(model, task, of_model) for task in TASKS))
    return made


def _weights(results: list[Result]) -> str:
    return next((str(result.n_parameters) for result in results if result.n_parameters), "")


def cell(model: Model, task: Task, results: list[Result]) -> str:
    if model.window and not recurrent_peers.is_installed():
        return "not installed"
    errors = [result.error for result in results if result.task == task.name]
    if not errors:
        return "-"
    spread = f"\n[dim]{min(errors):.3f}-{max(errors):.3f}[/dim]" if len(errors) > 1 else ""
    return f"{median(errors):.3f}{spread}"


if __name__ == "__main__":
    main()
