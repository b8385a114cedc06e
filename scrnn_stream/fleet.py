"""SCRNNFleet: many networks of one shape, the machines of a topic, stepped in one call."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrnn_stream import _kernels, _layout
from scrnn_stream.network import SCRNN, aligned_zeros, checked_dts, checked_rows

Array = NDArray[Any]

FEWEST_FOR_A_THREAD = 500  # records: to start one takes as long as to learn some hundred


class SCRNNFleet:
    """Networks of one shape, each a row of a matrix, that learn without a call for each.

    Every network learns exactly what it would learn alone, whatever else is in the batch and however many threads.

    Parameters
    ----------
    n_networks
        Number of networks.
    n_inputs, n_outputs, **options
        As of :class:`~scrnn_stream.network.SCRNN`; the networks start from seeds `seed`, `seed + 1` and so on.

    Examples
    --------
    Two machines, whose records come in turn.

    >>> import numpy as np
    >>> fleet = SCRNNFleet(2, n_inputs=1, n_outputs=1, seed=1)
    >>> waves = np.sin(np.outer(np.arange(2001), [0.1, 0.2]))
    >>> machines = np.tile([0, 1], 2000)
    >>> predictions, losses = fleet.learn(machines, waves[:-1].reshape(-1, 1), waves[1:].reshape(-1, 1))
    >>> bool(losses[-200:].mean() < 0.1 * losses[:200].mean())
    True
    """

    def __init__(self, n_networks: int, n_inputs: int, n_outputs: int, **options: Any) -> None:
        if n_networks < 1:
            raise ValueError(f"n_networks must be at least 1, got {n_networks}")
        seed = options.pop("seed", None)
        self._pattern = SCRNN(n_inputs, n_outputs, seed=seed, **options)
        self._networks = aligned_zeros((n_networks, len(self._pattern._network)), self._pattern.dtype)
        self._counts = np.zeros((n_networks, _layout.N_COUNTS), np.int64)
        self._seeds: list[tuple[int | None, int]] = []  # as given, as drawn
        for i in range(n_networks):
            network = SCRNN(n_inputs, n_outputs, seed=None if seed is None else seed + i, **options)
            self._networks[i] = network._network
            self._seeds.append((network.seed, network._drawn_seed))

    def __len__(self) -> int:
        return len(self._networks)

    def __getitem__(self, i: int) -> SCRNN:
        """Network i, a handle on its row: what it learns, the fleet has learned, until it grows to another shape."""
        network = copy.copy(self._pattern)
        network._network, network._counts = self._networks[i], self._counts[i]
        network.seed, network._drawn_seed = self._seeds[i]
        network._work = np.zeros_like(self._pattern._work)
        return network

    def learn(
        self, networks: ArrayLike, xs: ArrayLike, targets: ArrayLike, dts: ArrayLike | None = None, *, threads: int = 1
    ) -> tuple[Array, Array]:
        """Learn records in their order: record i, xs[i] with targets[i], by network `networks[i]`.

        Parameters
        ----------
        networks
            Position of the network of each record, (n,), in [0, n_networks).
        xs, targets, dts
            Inputs (n, n_inputs), targets (n, n_outputs) and time steps (n,) of the records; NaN is missing.
        threads
            Largest number of threads; each takes the records of some of the networks. Short batches take fewer.

        Returns
        -------
        The predictions (n, n_outputs), each made before its update, and the losses (n,).
        """
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        like = self._pattern
        which = self._checked(networks)
        xs = checked_rows("xs", xs, like.n_inputs, like.dtype, len(which))
        targets = checked_rows("targets", targets, like.n_outputs, like.dtype, len(which))
        steps = checked_dts(dts, len(which))
        predictions, losses, norms = np.empty(targets.shape, like.dtype), np.empty(len(which)), np.empty(len(which))

        threads = min(threads, max(1, len(which) // FEWEST_FOR_A_THREAD))

        def learn_share(k: int) -> None:
            mine = which if threads == 1 else np.where(which % threads == k, which, -1)
            work = np.zeros_like(like._work)
            _kernels.learn_stream(
                predictions,
                losses,
                norms,
                work,
                self._networks,
                self._counts,
                mine,
                xs,
                targets,
                steps,
                like._shape,
                like._kind,
                like._rates,
            )

        if threads == 1:
            learn_share(0)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(learn_share, range(threads)))
        return predictions, losses

    def _checked(self, networks: ArrayLike) -> NDArray[np.int64]:
        which = np.array(networks)
        if which.ndim != 1 or (which.size and which.dtype.kind not in "iu"):
            raise ValueError(f"networks must be integers of shape (n,), got {which.dtype} of shape {which.shape}")
        bad = np.flatnonzero((which < 0) | (which >= len(self)))
        if len(bad):
            raise ValueError(f"networks must be in [0, {len(self)}), got {which[bad[0]]} at position {bad[0]}")
        return which.astype(np.int64)
