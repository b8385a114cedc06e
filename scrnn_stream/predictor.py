"""Predictor: one network and what it sees, learning online. All estimators that predict own one; the loop is here.

    record -> inputs -> network -> what it tells -> compare -> learn -> grow

Numbers are told by the readout of the detector, least squares on (h_t, s_t, 1, x_t), from which the error travels on
into the network; labels by the network's own softmax.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import _kernels, _layout, readout
from scrnn_stream.inputs import Inputs, as_key
from scrnn_stream.network import SCRNN, restore
from scrnn_stream.targets import Target

Array = NDArray[Any]

LAST = ("y", -1)  # the feature that is the last target; no column of a file has such a name


class Predictor:
    """Tells the target of a record from it and all before it, and learns from what the target was.

    `learn` alone moves time and changes anything: a prediction is one of the record that would follow the last one
    learned. New features and labels are given room as they come.

    Parameters
    ----------
    target
        What is told: a `Number`, `Labels`, or a `Record`.
    inputs
        What the network sees of a record; with a `Record` as the target, the same ones.
    recalls
        Whether the network sees the last target beside the next record.
    sizes
        Arguments of the network: n_hidden, n_context, memory, truncation_length, lr, optimizer, clip_gradient, seed.

    Examples
    --------
    >>> import math
    >>> from scrnn_stream.targets import Number
    >>> predictor = Predictor(Number(), seed=1)
    >>> for t in range(1000):
    ...     predictor.learn({"crank": math.cos(t / 5)}, 20 + 3 * math.sin(t / 5 - 1))
    >>> round(predictor.predict({"crank": math.cos(200)}), 1), round(20 + 3 * math.sin(199), 1)
    (17.4, 17.4)
    """

    def __init__(self, target: Target, inputs: Inputs | None = None, recalls: bool = True, **sizes: Any) -> None:
        self.target = target
        self.inputs = Inputs() if inputs is None else inputs
        self.recalls = recalls
        self.network: SCRNN | None = None
        self._sizes = sizes
        self._last: Any = None
        self._readout, self._scratch = np.zeros(0), np.zeros(0)
        self._new_network(1, 1)  # refuses bad arguments at once

    # -- telling ------------------------------------------------------------------------------------------------------

    def predict(self, x: Mapping[Any, Any]) -> Any:
        """What the target of x is expected to be. Changes nothing."""
        if self.network is None:
            return self.target.told(None, self._last)
        z = self.inputs.read(self._with_last(x, self._last))
        return self.target.told(self._outputs(z, self.network._network, self.network._counts), self._last)

    def run(self, xs: Iterable[Mapping[Any, Any]]) -> list[Any]:
        """The same of records that follow each other: what is expected of one is the last target of the next."""
        if self.network is None:
            return [self.target.told(None, self._last) for _ in xs]
        own, counts, last, all_told = self.network._network.copy(), self.network._counts.copy(), self._last, []
        for x in xs:
            z = self.inputs.read(self._with_last(x, last))
            all_told.append(self.target.told(self._outputs(z, own, counts), last))
            self._step(z, own, counts)
            last = self.target.recalled(all_told[-1])
        return all_told

    def vectors(self) -> tuple[Any, ...]:
        """Scratch space, the readout and copies of the network, as a kernel wants them that runs it forward."""
        network = self._present
        own, counts = network._network.copy(), network._counts.copy()
        return self._scratch, network._work, self._readout, own, counts, network._shape, network._kind

    def state_features(self, *xs: Mapping[Any, Any]) -> tuple[Array, Array]:
        """Hidden and context units, (H,) and (C,), after the records xs, should they come now. Changes nothing."""
        if self.network is None:
            return np.zeros(self._sizes.get("n_hidden", 32)), np.zeros(self._sizes.get("n_context", 16))
        if not xs:
            return self.network.hidden, self.network.context
        own, counts = self.network._network.copy(), self.network._counts.copy()
        for x in xs:
            self._step(self.inputs.read(self._with_last(x, self._last)), own, counts)
        tape, now, H = _layout.tape_of(own, self.network._shape), int(counts[_layout.SLOT]), self.network.n_hidden
        return tape[now + 1, :H].copy(), tape[now, H : H + self.network.n_context].copy()

    def _outputs(self, z: Array, own: Array, counts: Array) -> Array:
        """y (n,) of the network's vectors, if z came next."""
        network = self._present
        out, shape, kind = np.empty(network.n_outputs, np.float32), network._shape, network._kind
        if self.is_linear:
            readout.expect(out, self._scratch, network._work, self._readout, own, counts, z, 1.0, shape, kind)
        else:
            _kernels.predict(out, network._work, own, counts, z, 1.0, shape, kind)
        return out

    def _step(self, z: Array, own: Array, counts: Array) -> None:
        network = self._present
        _kernels.step(own, counts, network._work, z, 1.0, network._shape, network._kind)

    @property
    def is_linear(self) -> bool:
        """Whether least squares are the readout."""
        return self.target.loss == "squared"

    @property
    def _present(self) -> SCRNN:
        assert self.network is not None
        return self.network

    # -- learning -----------------------------------------------------------------------------------------------------

    def learn(self, x: Mapping[Any, Any], y: Any, lr: float | None = None) -> None:
        """Take the record x in and learn that y was its target; with a missing y time moves, and no weight."""
        self.target.admit(y)
        raw = self.inputs.admit(self._with_last(x, self._last))
        self._make_room()
        if self.network is not None:
            self.network.lr = self.network.lr if lr is None else lr
            self._learn(self.network, self.inputs.scaled(raw), self.target.vector(y, self._last))
        self.inputs.follow(raw)
        self.target.follow(y, self._last)
        last = self.target.recalled(y)
        self._last = self._last if last is None else last

    def _with_last(self, x: Mapping[Any, Any], last: Any) -> Mapping[Any, Any]:
        return {**x, LAST: last} if self.recalls else x

    def _learn(self, network: SCRNN, z: Array, target: Array) -> None:
        own, counts, shape, kind = network._network, network._counts, network._shape, network._kind
        if np.isnan(target).all():
            self._step(z, own, counts)
        elif self.is_linear:
            out, rooms = np.empty(target.size, np.float32), (self._scratch, network._work, self._readout)
            readout.learn(out, *rooms, own, counts, z, target, 1.0, shape, kind, network._rates)
        else:
            network.learn(z, target)

    def _make_room(self) -> None:
        """A network as soon as there is something to see and to tell; more inputs and outputs as they come."""
        sizes = (len(self.inputs), len(self.target))
        if 0 in sizes or (self.network is not None and sizes == (self.network.n_inputs, self.network.n_outputs)):
            return
        if self.network is None:
            self.network = self._new_network(*sizes)
            self._readout = np.zeros(readout.n_readout(self.network._shape) if self.is_linear else 0)
            if self.is_linear:
                readout.doubt(self._readout, self.network._shape)
        else:
            old = self.network._shape
            self.network.grow(*sizes)
            if self.is_linear:
                self._readout = readout.grown(self._readout, old, self.network._shape)
        self._scratch = np.zeros(readout.n_scratch(self.network._shape))

    def _new_network(self, n_inputs: int, n_outputs: int) -> SCRNN:
        return SCRNN(n_inputs, n_outputs, loss=self.target.loss, **self._sizes)

    # -- keeping ------------------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """Everything learned, as plain data; the parameters are not part of it."""
        return {
            "inputs": self.inputs.to_state(),
            "target": self.target.to_state(),
            "last": self._last,
            "network": None if self.network is None else self.network.to_state(),
            "readout": self._readout.copy(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become the predictor whose `to_state` this is; it goes on identically. ValueError where parts do not fit."""
        network = None if state["network"] is None else SCRNN.from_state(state["network"])
        self.inputs.restore(state["inputs"])
        self.target.restore(state["target"])
        self.network, self._last = network, as_key(state["last"])
        if network is not None:
            self._check(network)
        n = readout.n_readout(network._shape) if network is not None and self.is_linear else 0
        self._readout = np.zeros(n)
        restore(self._readout, state, "readout")
        self._scratch = np.zeros(0 if network is None else readout.n_scratch(network._shape))

    def _check(self, network: SCRNN) -> None:
        sizes, needed = (network.n_inputs, network.n_outputs), (len(self.inputs), len(self.target))
        if sizes != needed:
            raise ValueError(f"network must have {needed} inputs and outputs, got {sizes}")
        if (network.dtype, network.loss) != ("float32", self.target.loss):
            raise ValueError(f"network must be float32 and {self.target.loss}, got {network.dtype} and {network.loss}")
