"""SCRNN: the network on arrays, one sample at a time."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrnn_stream import _kernels

ACTIVATIONS = {"sigmoid": _kernels.SIGMOID, "tanh": _kernels.TANH, "relu": _kernels.RELU}
LOSSES = ("squared",)
OPTIMIZERS = ("rmsprop",)
DTYPES = ("float32", "float64")
# From a grid of 0.0003 to 0.01 and 0.1 to 10: the pair whose error over the last fifth of the stream was within 6 % of
# the best on each of 8 sensors of a simulated machine (1,500 and 10,000 samples), NARMA-10, and a product of two inputs
# recalled after 3 samples. Clipping hardly mattered; lr 0.01 was noisier, 0.001 slower.
LR, CLIP_GRADIENT = 0.003, 1.0
SHORTEST_MEMORY, LONGEST_MEMORY = 0.1, 1e6

Array = NDArray[Any]


class SCRNN:
    """Structurally Constrained Recurrent Network, learning online.

    Equations 3 to 5 of the paper[^1], with one decay per context unit and biases:

        s_t = a s_(t-1) + (1 - a) B x_t                context units: averages of the input at many time scales
        h_t = f(P s_t + A x_t + R h_(t-1) + b)         hidden units
        y_t = U h_t + V s_t + c                        prediction of the target

    Context units learn by exact forward traces, however long their memory; hidden units by backpropagation through
    `truncation_length` steps. Context units are linear in the input: they remember, but do not choose what to remember.
    Inputs and targets are expected centred and of about unit variance. NaN is a missing value: a missing input counts
    as 0, its mean; a missing target brings no error.

    Parameters
    ----------
    n_inputs, n_outputs
        Length of x and of the target.
    n_hidden, n_context
        Number of hidden and context units. Without context units it is the simple recurrent network, without hidden
        units a linear predictor over many time scales.
    memory
        Shortest and longest time constant tau of the context units at the start, in units of dt (samples, if dt is 1):
        a = exp(-1 / tau), spread evenly in log tau.
    learn_decay
        Whether the decays are learned too.
    truncation_length
        Number of steps the error of the hidden units travels back; fewer when it has faded before.
    activation
        `sigmoid` (the paper's), `tanh` or `relu`.
    loss
        `squared`: the mean of (y - target)^2 / 2 over the targets that are present.
    optimizer
        `rmsprop`.
    lr
        Length of a step of the optimiser. To remember over hundreds of samples, 0.01 learns better than the default.
    clip_gradient
        Longest gradient let through; a longer one is shortened to this norm.
    dtype
        `float32`, or `float64`.
    seed
        For the starting weights. None draws one.

    References
    ----------
    [^1]: Mikolov et al., Learning Longer Memory in Recurrent Neural Networks, 2014, arXiv:1412.7753.

    Examples
    --------
    >>> import math
    >>> wave = [math.sin(0.2 * t) for t in range(2000)]
    >>> network = SCRNN(n_inputs=1, n_outputs=1, seed=1)
    >>> losses = [network.learn([now], [after]) for now, after in zip(wave, wave[1:])]
    >>> sum(losses[-100:]) < 0.05 * sum(losses[:100])
    True
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        *,
        n_hidden: int = 32,
        n_context: int = 16,
        memory: Sequence[float] = (2, 1000),
        learn_decay: bool = True,
        truncation_length: int = 20,
        activation: str = "sigmoid",
        loss: str = "squared",
        optimizer: str = "rmsprop",
        lr: float = LR,
        clip_gradient: float = CLIP_GRADIENT,
        dtype: str = "float32",
        seed: int | None = None,
    ) -> None:
        _check_at_least("n_inputs", n_inputs, 1)
        _check_at_least("n_outputs", n_outputs, 1)
        _check_at_least("n_hidden", n_hidden, 0)
        _check_at_least("n_context", n_context, 0)
        _check_at_least("n_hidden + n_context", n_hidden + n_context, 1)
        _check_at_least("truncation_length", truncation_length, 1)
        _check_memory(memory)
        _check_one_of("activation", activation, ACTIVATIONS)
        _check_one_of("loss", loss, LOSSES)
        _check_one_of("optimizer", optimizer, OPTIMIZERS)
        _check_one_of("dtype", dtype, DTYPES)
        _check_positive("lr", lr)
        _check_positive("clip_gradient", clip_gradient)
        if seed is not None:
            _check_at_least("seed", seed, 0)
        self.n_inputs = n_inputs
        self.n_outputs = n_outputs
        self.n_hidden = n_hidden
        self.n_context = n_context
        self.memory = memory
        self.learn_decay = learn_decay
        self.truncation_length = truncation_length
        self.activation = activation
        self.loss = loss
        self.optimizer = optimizer
        self.lr = lr
        self.clip_gradient = clip_gradient
        self.dtype = dtype
        self.seed = seed
        self.gradient_norm = 0.0
        self._drawn_seed = int(np.random.SeedSequence(seed).generate_state(1)[0])
        self._largest = float(np.finfo(dtype).max)
        self._activation = ACTIVATIONS[activation]
        self._shape: _kernels.Shape = (n_inputs, n_hidden, n_context, n_outputs, truncation_length)
        self._theta = self._starting_weights()
        self._moments = np.zeros_like(self._theta)
        self._state = np.zeros(_kernels.n_state(self._shape), dtype)
        self._counts = np.zeros(_kernels.N_COUNTS, np.int64)
        self._work = np.zeros(_kernels.n_work(self._shape), dtype)

    # -- time ---------------------------------------------------------------------------------------------------------

    def predict(self, x: ArrayLike, dt: float = 1.0) -> Array:
        """What the network expects at input x, dt after the last one. Changes nothing."""
        y = np.empty(self.n_outputs, self.dtype)
        _kernels.predict(
            y,
            self._work,
            self._theta,
            self._state,
            self._counts,
            self._checked("x", x, self.n_inputs),
            _checked_dt(dt),
            self._shape,
            self._activation,
        )
        return y

    def learn(self, x: ArrayLike, target: ArrayLike, dt: float = 1.0) -> float:
        """Take x in, dt after the last input, compare the prediction with the target and update the weights.

        Returns the loss before the update: NaN if every target is missing, and then only time moves. A loss or a
        gradient that overflows changes no weight and is counted in `n_diverged`.
        """
        loss, self.gradient_norm = _kernels.learn(
            self._theta,
            self._moments,
            self._state,
            self._counts,
            self._work,
            self._checked("x", x, self.n_inputs),
            self._checked("target", target, self.n_outputs),
            _checked_dt(dt),
            self._shape,
            self._activation,
            bool(self.learn_decay),
            float(self.lr),
            float(self.clip_gradient),
        )
        return loss

    def advance(self, x: ArrayLike, dt: float = 1.0) -> None:
        """Take x in, dt after the last input, without learning."""
        x = self._checked("x", x, self.n_inputs)
        _kernels.step(
            self._state, self._counts, self._work, self._theta, x, _checked_dt(dt), self._shape, self._activation
        )

    # -- what it is now -----------------------------------------------------------------------------------------------

    @property
    def context(self) -> Array:
        """The context units s_t, a copy."""
        return np.array(_kernels.history(self._state, self._shape)[2][self._counts[_kernels.SLOT]])

    @property
    def hidden(self) -> Array:
        """The hidden units h_t, a copy."""
        return np.array(_kernels.history(self._state, self._shape)[1][self._counts[_kernels.SLOT]])

    @property
    def time_constants(self) -> Array:
        """The memory tau of each context unit, a = exp(-1 / tau), in units of dt."""
        m = _kernels.parameters(self._theta, self._shape)[8].astype(np.float64)
        return np.asarray(1.0 / np.log1p(np.exp(-m)))

    @property
    def n_learned(self) -> int:
        """Number of updates."""
        return int(self._counts[_kernels.N_LEARNED])

    @property
    def n_clipped(self) -> int:
        """Number of updates whose gradient was shortened."""
        return int(self._counts[_kernels.N_CLIPPED])

    @property
    def n_diverged(self) -> int:
        """Number of samples at which the loss, the gradient or the state overflowed; no weight was changed by them."""
        return int(self._counts[_kernels.N_DIVERGED])

    # -- growing ------------------------------------------------------------------------------------------------------

    def grow(self, n_inputs: int, n_outputs: int) -> None:
        """Make room for more inputs and outputs. All that was learned stays.

        While the new inputs are missing or 0, the old outputs are as before, up to rounding. A new one starts at 0.
        """
        _check_at_least("n_inputs", n_inputs, self.n_inputs)
        _check_at_least("n_outputs", n_outputs, self.n_outputs)
        old, new = self._shape, (n_inputs, self.n_hidden, self.n_context, n_outputs, self.truncation_length)
        if new == old:
            return
        theta, moments, state = self._theta, self._moments, self._state
        self.n_inputs, self.n_outputs, self._shape = n_inputs, n_outputs, new
        self._theta = self._starting_weights()
        # a new weight inherits the typical gradient: as a stranger its first steps would be ten times too long
        self._moments = np.full_like(self._theta, moments.mean())
        self._state = np.zeros(_kernels.n_state(new), self.dtype)
        self._work = np.zeros(_kernels.n_work(new), self.dtype)
        _copy_blocks(_kernels.parameters(self._theta, new), _kernels.parameters(theta, old))
        _copy_blocks(_kernels.parameters(self._moments, new), _kernels.parameters(moments, old))
        _copy_blocks(_kernels.history(self._state, new), _kernels.history(state, old))

    def _starting_weights(self) -> Array:
        """Small weights inside; none in the readout: the first prediction is 0, the mean. Decays even in log tau."""
        rng = np.random.default_rng((self._drawn_seed, self.n_inputs, self.n_outputs))
        theta = np.zeros(_kernels.n_parameters(self._shape), self.dtype)
        A, R, P, B, _, _, _, _, m = _kernels.parameters(theta, self._shape)
        for weights in (A, R, P, B):
            weights[:] = rng.standard_normal(weights.shape) / math.sqrt(max(weights.shape[1], 1))
        tau = np.geomspace(self.memory[0], self.memory[1], self.n_context)
        m[:] = -np.log(np.expm1(1.0 / tau))
        return theta

    # -- saving -------------------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """All there is, as plain data: strings, numbers, tuples and arrays. The arrays are copies."""
        return {
            "n_inputs": self.n_inputs,
            "n_outputs": self.n_outputs,
            "n_hidden": self.n_hidden,
            "n_context": self.n_context,
            "memory": tuple(self.memory),
            "learn_decay": self.learn_decay,
            "truncation_length": self.truncation_length,
            "activation": self.activation,
            "loss": self.loss,
            "optimizer": self.optimizer,
            "lr": self.lr,
            "clip_gradient": self.clip_gradient,
            "dtype": self.dtype,
            "seed": self.seed,
            "drawn_seed": self._drawn_seed,
            "gradient_norm": self.gradient_norm,
            "theta": self._theta.copy(),
            "moments": self._moments.copy(),
            "state": self._state.copy(),
            "counts": self._counts.copy(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "SCRNN":
        """The network that `to_state` described. What it does next is identical to the last bit."""
        made = {"drawn_seed", "gradient_norm", "theta", "moments", "state", "counts"}
        network = cls(**{name: value for name, value in state.items() if name not in made})
        network._drawn_seed = state["drawn_seed"]
        network.gradient_norm = state["gradient_norm"]
        network._theta = _restored(state, "theta", network._theta)
        network._moments = _restored(state, "moments", network._moments)
        network._state = _restored(state, "state", network._state)
        network._counts = _restored(state, "counts", network._counts)
        return network

    # -- checks -------------------------------------------------------------------------------------------------------

    def _checked(self, name: str, values: ArrayLike, length: int) -> Array:
        array = np.array(values, np.float64, order="C")  # a copy: for a read-only array the kernels would compile anew
        if array.shape != (length,):
            raise ValueError(f"{name} must have shape ({length},), got {array.shape}")
        i = _kernels.position_out_of_range(array, self._largest)
        if i >= 0:
            raise ValueError(f"{name} must be finite or NaN in {self.dtype}, got {array[i]} at position {i}")
        return array


def _copy_blocks(new: Sequence[Array], old: Sequence[Array]) -> None:
    for to, block in zip(new, old, strict=True):
        to[tuple(slice(n) for n in block.shape)] = block


def _restored(state: dict[str, Any], name: str, like: Array) -> Array:
    array = np.array(state[name], like.dtype)
    if array.shape != like.shape:
        raise ValueError(f"{name} must have shape {like.shape}, got {array.shape}")
    return array


def _checked_dt(dt: float) -> float:
    if not 0 <= dt < math.inf:
        raise ValueError(f"dt must be finite and at least 0, got {dt}")
    return float(dt)


def _check_at_least(name: str, value: int, least: int) -> None:
    if not value >= least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value}")


def _check_one_of(name: str, value: str, choices: Sequence[str] | dict[str, int]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def _check_memory(memory: Sequence[float]) -> None:
    if len(memory) != 2 or not SHORTEST_MEMORY <= memory[0] <= memory[1] <= LONGEST_MEMORY:
        rule = f"{SHORTEST_MEMORY} <= short <= long <= {LONGEST_MEMORY:.0f}"
        raise ValueError(f"memory must be (short, long) with {rule}, got {memory!r}")
