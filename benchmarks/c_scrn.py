"""The network in plain C (scrn.c), called from Python."""

from __future__ import annotations

import ctypes
from ctypes import c_float, c_int, c_long, c_void_p
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.native import library
from scrnn_stream.network import SCRNN

Array = NDArray[Any]


class CNetwork:
    """The twin of a network of sigmoid units with squared loss and RMSprop in float32, that has not learned yet."""

    def __init__(self, network: SCRNN) -> None:
        self._library = _declared()
        theta = np.concatenate([block.ravel() for block in network._parameters()])
        sizes = (network.n_inputs, network.n_hidden, network.n_context, network.n_outputs, network.truncation_length)
        rates = (network.lr, network.clip_gradient, network.early_stop)
        self.n_outputs = network.n_outputs
        self._network = self._library.scrn_new(*sizes, *rates, theta.ctypes.data)

    def __del__(self) -> None:
        self._library.scrn_free(self._network)

    def replay(self, xs: Array, targets: Array) -> tuple[Array, Array]:
        """Learn each row of xs (n, D) and targets (n, Y), float32: the predictions (n, Y) and the losses (n,)."""
        predictions, losses = np.empty(targets.shape, np.float32), np.empty(len(xs))
        arrays = (a.ctypes.data for a in (predictions, losses, xs, targets))
        self._library.scrn_learn(self._network, *arrays, len(xs))
        return predictions, losses

    def predict(self, xs: Array) -> Array:
        """What it expects at each row of xs (n, D), if that came next: (n, Y)."""
        predictions = np.empty((len(xs), self.n_outputs), np.float32)
        self._library.scrn_predict(self._network, predictions.ctypes.data, xs.ctypes.data, len(xs))
        return predictions

    @property
    def n_steps(self) -> int:
        """Number of steps that the error of the hidden units has travelled back, over all samples."""
        return int(self._library.scrn_n_steps(self._network))

    @property
    def n_learned(self) -> int:
        """Number of updates."""
        return int(self._library.scrn_n_learned(self._network))


@cache
def _declared() -> ctypes.CDLL:
    c = library("scrn")
    c.scrn_new.argtypes, c.scrn_new.restype = [c_int] * 5 + [c_float] * 3 + [c_void_p], c_void_p
    c.scrn_learn.argtypes, c.scrn_learn.restype = [c_void_p] * 5 + [c_int], None
    c.scrn_predict.argtypes, c.scrn_predict.restype = [c_void_p] * 3 + [c_int], None
    for count in (c.scrn_n_steps, c.scrn_n_learned):
        count.argtypes, count.restype = [c_void_p], c_long
    c.scrn_free.argtypes, c.scrn_free.restype = [c_void_p], None
    return c
