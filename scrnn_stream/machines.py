"""The numeric state of machines with the same sensors: a few arrays with one row for each, and what makes them grow."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import _layout, readout
from scrnn_stream import places as at
from scrnn_stream.absorbing import refresh
from scrnn_stream.calibration import N_NEEDED
from scrnn_stream.channels import N_CALIBRATED
from scrnn_stream.evidence import N_CONTRIBUTED, contributions
from scrnn_stream.extremes import see_nothing
from scrnn_stream.judging import forget, process
from scrnn_stream.network import SCRNN, aligned_zeros, restore
from scrnn_stream.season import N_REGRESSORS

Array = NDArray[Any]


class _Rooms(threading.local):
    """Scratch space of a thread, by size: from one call of a kernel to the next nobody needs what is in it."""

    def __init__(self) -> None:
        self._by_size: dict[tuple[int, int, int], tuple[Array, Array, Array]] = {}

    def of(self, size: tuple[int, int, int]) -> tuple[Array, Array, Array]:
        """`work`, what of it is in single precision, and that of the readout."""
        if size not in self._by_size:
            n, n_single, n_readout = size
            self._by_size[size] = np.zeros(n), aligned_zeros(n_single, "float32"), np.zeros(n_readout)
        return self._by_size[size]


_ROOMS = _Rooms()


class Machines:
    """Machines with the same D sensors, each a row of every array.

    Parameters
    ----------
    n_sensors
        Number of sensors D.
    network
        The network that each new one starts with, of D inputs and outputs; None without sensors.
    policy
        Their grace_period and accept_after.
    """

    _KEPT = ("numbers", "counts", "calm", "networks", "readouts")

    def __init__(self, n_sensors: int, network: SCRNN | None, policy: tuple[int, int]) -> None:
        self.n_sensors = n_sensors
        self.network = network
        self.policy = policy
        self.numbers = np.zeros((0, at.n_numbers(n_sensors)))
        self.counts = np.zeros((0, at.N_COUNTS + _layout.N_COUNTS), np.int64)
        self.calm = np.zeros((0, at.N_CALM_PLACES), np.float32)
        self.networks = np.zeros((0, 0 if network is None else network._network.size), np.float32)
        shape: _layout.Shape = (0,) * 7
        kind, rates, n_scratch = (0,) * 4, (0.0,) * 3, 0
        if network is not None:
            shape, kind, rates, n_scratch = network._shape, network._kind, network._rates, network._work.size
        self.shape = shape
        self.readouts = np.zeros((0, 0 if network is None else readout.n_readout(shape)))
        self._sizes = np.array([*policy, *shape, *kind])
        self._rates = np.array(rates)
        self._room = (at.n_work(n_sensors), n_scratch + at.N_UPPER + n_sensors, readout.n_scratch(shape))

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def lr(self) -> float:
        """Learning rate of their networks; 0 where there are none yet."""
        return float(self._rates[0])

    @lr.setter
    def lr(self, lr: float) -> None:
        if self.network is not None:
            self._rates[0] = lr

    @property
    def rooms(self) -> tuple[Array, Array, Array]:
        """Scratch space as kernels take it; what one leaves at the beginning of the first is good until the next."""
        return _ROOMS.of(self._room)

    def add(self, n: int) -> None:
        """Put n machines that know nothing after the others."""
        start, counts, calm = (np.zeros(part.shape[1], part.dtype) for part in (self.numbers, self.counts, self.calm))
        start[[at.FIRST_TIME, at.TIME]] = np.nan
        at.season_of(start)[:] = np.eye(N_REGRESSORS)
        see_nothing(at.extremes_of(start, self.n_sensors))
        machine = at.machine_of(start, counts, calm, self.n_sensors)
        machine[3][[at.PREVIOUS, at.LAST]] = np.nan
        machine[3][at.WEIGHTS : at.PICTURE] = np.nan
        forget(machine, self._desk())
        weights = np.zeros(0, np.float32) if self.network is None else self.network._network
        regression = np.zeros(self.readouts.shape[1])
        if self.network is not None:
            readout.doubt(regression, self.shape)
        longer = {}
        for name, row in zip(self._KEPT, (start, counts, calm, weights, regression), strict=True):
            old = getattr(self, name)
            new = aligned_zeros((len(old) + n, old.shape[1]), old.dtype.name)
            new[: len(old)] = old
            if row.any():
                new[len(old) :] = row
            longer[name] = new
        vars(self).update(longer)  # all or none, should memory be short

    def process(self, scores: Array, p_of_tails: Array, records: Array, machines: Array, is_learning: bool) -> float:
        """Score records (M, D + 1), and learn each before the next, as :func:`~scrnn_stream.judging.process` does."""
        return process(
            scores,
            p_of_tails,
            records,
            machines,
            self.numbers,
            self.counts,
            self.calm,
            self.networks,
            self.readouts,
            *self.rooms,
            self._sizes,
            self._rates,
            is_learning,
        )

    @property
    def gradient_norm(self) -> float:
        """Of the last record that was learned in this thread by a machine of as many sensors; 0 before there is one.

        Nobody needs it to learn: it is read from the gradient, which is still in the scratch space.
        """
        gradient = self.rooms[1][: _layout.n_parameters(self.shape)].astype(np.float64)
        return float(np.sqrt(gradient @ gradient))

    def machine(self, i: int) -> tuple[Array, ...]:
        """Views of all there is of machine i, as kernels take them."""
        return at.machine_of(self.numbers[i], self.counts[i], self.calm[i], self.n_sensors)

    def table(self, i: int) -> Array:
        """What is known of each sensor of machine i, (N_LINES, D), a view; in the order of `places`."""
        return self.machine(i)[3]

    def contributions(self, i: int, channel: int, assessment: Array) -> Array:
        """By sensor of machine i, (5, D): blame in a channel of an assessment, what was judged, expected, its band."""
        out = np.zeros((N_CONTRIBUTED, self.n_sensors))
        self.rooms[0][: assessment.size] = assessment
        contributions(out, channel, self.machine(i), self._desk())
        return out

    def _desk(self) -> tuple[Array, ...]:
        work, single, _ = self.rooms
        upper = single[-at.N_UPPER - self.n_sensors :][: at.N_UPPER].reshape(2, at.MEMORY)
        return at.desk_of(work, upper, self.n_sensors)

    # -- one of them --------------------------------------------------------------------------------------------------

    def one(self, i: int) -> Machines:
        """A copy of machine i on its own."""
        alone = Machines(self.n_sensors, self.network, self.policy)
        alone.lr = self.lr
        for name in self._KEPT:
            setattr(alone, name, getattr(self, name)[i : i + 1].copy())
        return alone

    def network_of(self, i: int) -> SCRNN | None:
        """The network of machine i, a copy."""
        if self.network is None:
            return None
        network = copy.deepcopy(self.network)
        network.lr = self.lr
        network._network[:] = self.networks[i]
        network._counts[:] = self.counts[i, at.N_COUNTS :]
        return network

    def put_network(self, i: int, network: SCRNN) -> None:
        """Give machine i the weights and the state of a network."""
        self.networks[i] = network._network
        self.counts[i, at.N_COUNTS :] = network._counts

    def grown(self, n_sensors: int, network: SCRNN | None) -> Machines:
        """The first machine, alone, with room for new sensors and all that it has learned; `network` has grown already.

        What waited to be learned does not know the new sensors, and is left out. Where correlations are kept no longer,
        distances are others: the picture of calm starts anew.
        """
        new, D = Machines(n_sensors, network, self.policy), self.n_sensors
        new.add(1)
        new.numbers[0, : at.TABLE] = self.numbers[0, : at.TABLE]
        new.counts[0] = self.counts[0]
        new.calm[0] = self.calm[0]
        if network is not None:
            new.put_network(0, network)
        if network is not None and self.network is not None:
            new.readouts[0] = readout.grown(self.readouts[0], self.shape, new.shape)
        new.counts[0, at.N_WAITING] = 0
        new.table(0)[:, :D] = self.table(0)
        at.season_of(new.numbers[0])[:] = np.eye(N_REGRESSORS)  # so that new sensors learn as fast as the first did
        at.extremes_of(new.numbers[0], n_sensors)[:, :, :D] = at.extremes_of(self.numbers[0], D)
        machine, desk = new.machine(0), new._desk()
        if (D <= at.MOST_DENSE) == (n_sensors <= at.MOST_DENSE):
            machine[4][:, : at.n_correlated(D), :D] = self.machine(0)[4]
            refresh(machine, desk)
            if D <= at.MOST_DENSE:
                machine[5][at.OF_ERRORS, :D, :D] = self.machine(0)[5][at.OF_ERRORS]
        else:
            forget(machine, desk)
        return new

    # -- keeping ------------------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """The first machine as plain data."""
        network = self.network_of(0)
        return {
            "n_sensors": self.n_sensors,
            "numbers": self.numbers[0].copy(),
            "counts": self.counts[0, : at.N_COUNTS].copy(),
            "calm": self.calm[0].copy(),
            "network": None if network is None else network.to_state(),
            "readout": self.readouts[0].copy(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], policy: tuple[int, int]) -> Machines:
        """The machine that `to_state` described. ValueError if the parts do not fit: kernels would trust them."""
        D = state["n_sensors"]
        network = None if state["network"] is None else SCRNN.from_state(state["network"])
        if network is not None and (network.n_inputs, network.n_outputs) != (D, D):
            raise ValueError(f"n_sensors must be that of the network, got {D}")
        if network is not None and (network.dtype, network.loss) != ("float32", "squared"):
            raise ValueError(f"network must be float32 and squared, got {network.dtype} and {network.loss}")
        machines = cls(D, network, policy)
        machines.add(1)
        restore(machines.numbers[0], state, "numbers", finite=False)
        restore(machines.counts[0, : at.N_COUNTS], state, "counts")
        restore(machines.calm[0], state, "calm")
        restore(machines.readouts[0], state, "readout")
        _check_counts(machines.counts[0])
        if network is not None:
            machines.put_network(0, network)
        return machines


def _check_counts(counts: Array) -> None:
    """ValueError where counts contradict each other; the kernels take them for places in memory."""
    waiting = counts[at.HEAD] < at.N_PLACES and counts[at.N_WAITING] <= at.N_QUEUED
    learned = counts[at.N_CALM : at.N_CALM + N_CALIBRATED]
    fitted = counts[at.N_FITTED : at.N_FITTED + N_CALIBRATED]
    needed = np.asarray(N_NEEDED)
    young = (fitted == 0) & (learned < needed)
    fitting = (needed <= fitted) & (fitted <= learned) & (learned - fitted < at.REFIT_EVERY)
    if counts.min() < 0 or not waiting or not (young | fitting).all():
        raise ValueError(f"counts contradict each other, got {counts.tolist()}")
