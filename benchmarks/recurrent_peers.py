"""LSTM and GRU of PyTorch as online learners, where PyTorch is installed. It is no dependency of this project.

At each sample that asks for something the network predicts it, then makes one update: the error travels back through
the last `truncation_length` samples, which are run again from the state before them, and an optimiser makes one step.
This is what SCRNN does at each sample; in between both only let time move.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
GATES = {"LSTM": 4, "GRU": 3}
FORGET_BIAS = 1.0


def is_installed() -> bool:
    return importlib.util.find_spec("torch") is not None


def n_parameters(kind: str, n_inputs: int, n_outputs: int, n_hidden: int) -> int:
    """PyTorch has two biases for each gate."""
    return GATES[kind] * n_hidden * (n_inputs + n_hidden + 2) + n_outputs * (n_hidden + 1)


class RecurrentPeer:
    """One layer of LSTM or GRU cells with a linear readout, an optimiser of PyTorch, the gradient's norm clipped."""

    def __init__(
        self,
        kind: str,
        n_inputs: int,
        n_outputs: int,
        *,
        n_hidden: int,
        truncation_length: int,
        optimizer: str = "RMSprop",
        lr: float = 0.01,
        clip_gradient: float = 1.0,
        seed: int = 0,
    ) -> None:
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self._torch = torch
        self._cells = getattr(torch.nn, kind)(n_inputs, n_hidden, batch_first=True)
        if kind == "LSTM":  # to remember at the start, as Jozefowicz et al. (2015) found best
            with torch.no_grad():
                self._cells.bias_ih_l0[n_hidden : 2 * n_hidden] = FORGET_BIAS
        self._readout = torch.nn.Linear(n_hidden, n_outputs)
        self._weights = [*self._cells.parameters(), *self._readout.parameters()]
        self._optimizer = getattr(torch.optim, optimizer)(self._weights, lr=lr)
        self._truncation_length = truncation_length
        self._clip_gradient = clip_gradient
        self._state: Any = None  # before the first of the recent inputs
        self._recent = np.empty((0, n_inputs), np.float32)
        self.n_parameters = sum(weights.numel() for weights in self._weights)

    def replay(self, xs: Array, targets: Array) -> Array:
        """Predictions (T, Y), each made before its update; NaN where nothing is asked."""
        xs = np.concatenate([self._recent, np.asarray(xs, np.float32)])
        predictions = np.full(targets.shape, np.nan)
        n_before, begin = len(self._recent), 0
        for asked in np.flatnonzero(~np.isnan(targets).all(axis=1)).tolist():
            end = n_before + asked + 1
            begin = self._advance(xs, begin, end - self._truncation_length)
            predictions[asked] = self._learn(xs[begin:end], targets[asked])
        begin = self._advance(xs, begin, len(xs) - self._truncation_length)
        self._recent = xs[begin:]
        return predictions

    def _advance(self, xs: Array, begin: int, end: int) -> int:
        if end <= begin:
            return begin
        with self._torch.no_grad():
            _, self._state = self._cells(self._torch.from_numpy(xs[None, begin:end]), self._state)
        return end

    def _learn(self, window: Array, target: Array) -> Array:
        outputs, _ = self._cells(self._torch.from_numpy(window[None]), self._state)
        prediction = self._readout(outputs[0, -1])
        loss = ((prediction - self._torch.from_numpy(target.astype(np.float32))) ** 2).mean() / 2
        self._optimizer.zero_grad()
        loss.backward()
        self._torch.nn.utils.clip_grad_norm_(self._weights, self._clip_gradient)
        self._optimizer.step()
        return np.asarray(prediction.detach().numpy())
