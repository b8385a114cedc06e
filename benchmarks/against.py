"""The kernel against plain C and PyTorch: the same work on the same samples, in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.c_scrn import CNetwork
from benchmarks.machine import fma_peak
from benchmarks.native import compiler_version
from benchmarks.timing import interleaved, seconds
from benchmarks.workload import EARLY_STOP, SHAPES, Shape, n_operations_of_learn, n_operations_of_score, network, stream
from scrnn_stream import _kernels
from scrnn_stream._compile import jit
from scrnn_stream.network import SCRNN

Array = NDArray[Any]
Row = dict[str, Any]
Run = Callable[[int], object]  # works through the first n samples

ABSENT = "not installed"
N_WARM = 1500  # samples learned before the clock starts: the window is full, the errors are a trained network's
N_SAMPLES = 4000
RUN_S = 0.02


def kernel_rows(effort: float) -> Iterator[Row]:
    """A row for each size and kind of work."""
    xs, targets = stream(max(shape.D for shape in SHAPES), N_SAMPLES)
    for shape in SHAPES:
        x, target = xs[:, : shape.D].copy(), targets[:, : shape.D].copy()
        yield _score_row(shape, x, target, effort)
        for name, early_stop in (("learn, full window", 0.0), ("learn, early stop", EARLY_STOP)):
            yield _learn_row(shape, name, early_stop, x, target, effort)


def _score_row(shape: Shape, xs: Array, targets: Array, effort: float) -> Row:
    ours = network(shape)
    runs: dict[str, Run] = {"ours": lambda n: predict_each(ours, xs[:n])}
    if compiler_version():
        c = CNetwork(ours)
        runs["c"] = lambda n: c.predict(xs[:n])
    if find_spec("torch"):
        runs["torch"] = _torch_runs(ours, xs, targets)[0]
    ours.replay(xs[:N_WARM], targets[:N_WARM])
    return _row(shape, "score", None, _times(runs, effort), n_operations_of_score(shape))


def _learn_row(shape: Shape, name: str, early_stop: float, xs: Array, targets: Array, effort: float) -> Row:
    ours, steps = network(shape, early_stop), None
    runs: dict[str, Run] = {"ours": lambda n: ours.replay(xs[:n], targets[:n])}
    if compiler_version():
        c = CNetwork(ours)
        runs["c"] = lambda n: c.replay(xs[:n], targets[:n])
        c.replay(xs[:N_WARM], targets[:N_WARM])
        before = c.n_steps
        c.replay(xs[:N_WARM], targets[:N_WARM])
        steps = (c.n_steps - before) / N_WARM
    if find_spec("torch") and not early_stop:
        runs["torch"] = _torch_runs(ours, xs, targets)[1]
    for _ in range(2):
        ours.replay(xs[:N_WARM], targets[:N_WARM])
    times = _times(runs, effort)
    n_steps = float(shape.K) if not early_stop else steps
    n_operations = None if n_steps is None else n_operations_of_learn(shape, n_steps)
    return _row(shape, name, n_steps, times, n_operations)


def _row(shape: Shape, work: str, steps: float | None, times: dict[str, float], n_operations: float | None) -> Row:
    ours, c, torch, peak = times["ours"], times.get("c"), times.get("torch"), fma_peak()
    gflops = n_operations / ours / 1e9 if n_operations else None
    return {
        "D, H, C, K": str(shape),
        "work": work,
        "steps": steps,
        "us": ours * 1e6,
        "GFLOP/s": gflops,
        "% of peak": 100 * gflops / peak if gflops and peak else None,
        "C us": c * 1e6 if c else ABSENT,
        "of C": ours / c if c else None,
        "torch us": torch * 1e6 if torch else None if find_spec("torch") else ABSENT,
    }


def _times(runs: dict[str, Run], effort: float) -> dict[str, float]:
    """Median seconds per sample of each: of 25 runs of 20 ms, or 5 of PyTorch, whose samples take milliseconds."""
    fast = {name: run for name, run in runs.items() if name != "torch"}
    lengths = {name: _length(run, effort) for name, run in fast.items()}
    calls = {name: partial(run, lengths[name]) for name, run in fast.items()}
    times = {name: t / lengths[name] for name, t in interleaved(calls, max(5, round(25 * effort))).items()}
    if "torch" in runs:
        n = 20
        times["torch"] = interleaved({"torch": partial(runs["torch"], n)}, 5)["torch"] / n
    return times


def _length(run: Run, effort: float) -> int:
    n = 50
    return int(np.clip(RUN_S * max(effort, 0.1) * n / seconds(partial(run, n)), 20, N_SAMPLES))


def predict_each(ours: SCRNN, xs: Array) -> Array:
    """What the network expects at each row of xs, if that came next."""
    ys = np.empty((len(xs), ours.n_outputs), ours.dtype)
    _predict_each(ys, ours._work, ours._network, ours._counts, xs.astype(np.float64), ours._shape, ours._kind)
    return ys


@jit
def _predict_each(
    ys: Array,
    work: Array,
    theta: Array,
    counts: Array,
    xs: Array,
    shape: _kernels.Shape,
    kind: _kernels.Kind,
) -> None:
    for i in range(len(xs)):
        _kernels.predict(ys[i], work, theta, counts, xs[i], 1.0, shape, kind)


def _torch_runs(ours: SCRNN, xs: Array, targets: Array) -> tuple[Run, Run]:
    import torch

    from benchmarks.torch_scrn import TorchNetwork

    net, x, target = TorchNetwork(ours), torch.from_numpy(xs), torch.from_numpy(targets)

    def learn(n: int) -> None:
        for i in range(n):
            net.learn(x[i], target[i])

    def predict(n: int) -> None:
        for i in range(n):
            net.predict(x[i])

    learn(2 * ours.truncation_length)
    return predict, learn
