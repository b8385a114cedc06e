"""The kernel against plain C and PyTorch: the same work on the same samples, in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from itertools import cycle
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
Run = Callable[[slice], object]  # works through a piece of the samples

ABSENT = "not installed"
N_SAMPLES = 4_000
N_WARM = 16_000  # samples learned before the clock starts: the error of a trained network travels further back
RUN_S = 0.005


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
    runs: dict[str, Run] = {"ours": lambda piece: predict_each(ours, xs[piece])}
    if compiler_version():
        c = CNetwork(ours)
        c.replay(xs, targets)
        runs["c"] = lambda piece: c.predict(xs[piece])
    if find_spec("torch"):
        runs["torch"] = _torch_runs(ours, xs, targets)[0]
    ours.replay(xs, targets)
    return _row(shape, "score", None, _times(runs, effort), n_operations_of_score(shape))


def _learn_row(shape: Shape, name: str, early_stop: float, xs: Array, targets: Array, effort: float) -> Row:
    ours = network(shape, early_stop)
    runs: dict[str, Run] = {"ours": lambda piece: ours.replay(xs[piece], targets[piece])}
    c = CNetwork(ours) if compiler_version() else None
    if c:
        runs["c"] = lambda piece: c.replay(xs[piece], targets[piece])
    for run in runs.values():
        for _ in range(N_WARM // N_SAMPLES):
            run(slice(None))
    if find_spec("torch") and not early_stop:
        runs["torch"] = _torch_runs(ours, xs, targets)[1]
    n_before = (c.n_steps, c.n_learned) if c else (0, 0)
    times = _times(runs, effort)
    n_steps = float(shape.K) if not early_stop else None
    if c and early_stop:
        n_steps = (c.n_steps - n_before[0]) / (c.n_learned - n_before[1])
    return _row(shape, name, n_steps, times, None if n_steps is None else n_operations_of_learn(shape, n_steps))


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
    """Median seconds per sample of each: of 81 runs of 5 ms, or 5 of PyTorch, whose samples take milliseconds."""
    lengths = {name: 20 if name == "torch" else _length(run) for name, run in runs.items()}
    calls = {name: _next_piece(run, lengths[name]) for name, run in runs.items()}
    slow = {"torch": calls.pop("torch")} if "torch" in calls else {}
    times = interleaved(calls, max(5, round(81 * effort))) | interleaved(slow, 5)
    return {name: t / lengths[name] for name, t in times.items()}


def _length(run: Run) -> int:
    piece = slice(0, 50)
    run(piece)  # compiles
    return int(np.clip(RUN_S * 50 / seconds(partial(run, piece)), 20, N_SAMPLES))


def _next_piece(run: Run, length: int) -> Callable[[], object]:
    """A call that works through the next piece of the samples, and begins again after the last."""
    pieces = cycle([slice(i, i + length) for i in range(0, N_SAMPLES - length + 1, length)])
    return lambda: run(next(pieces))


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

    def learn(piece: slice) -> None:
        for i in range(N_SAMPLES)[piece]:
            net.learn(x[i], target[i])

    def predict(piece: slice) -> None:
        for i in range(N_SAMPLES)[piece]:
            net.predict(x[i])

    learn(slice(2 * ours.truncation_length))
    return predict, learn
