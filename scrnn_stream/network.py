"""SCRNN: the network on arrays, one sample or one recording at a time."""

import copy
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrnn_stream import _kernels, _layout
from scrnn_stream.encoding import EncodingError, decode, encode

ACTIVATIONS = {"sigmoid": _layout.SIGMOID, "tanh": _layout.TANH, "relu": _layout.RELU}
LOSSES = {"squared": _layout.SQUARED, "gaussian": _layout.GAUSSIAN, "softmax": _layout.SOFTMAX}
OPTIMIZERS = {"sgd": _layout.SGD, "rmsprop": _layout.RMSPROP, "adam": _layout.ADAM}
DTYPES = ("float32", "float64")
# From a grid of 0.0003 to 0.01 and 0.1 to 10: the pair whose error over the last fifth of the stream was within 6 % of
# the best on each of 8 sensors of a simulated machine (1,500 and 10,000 samples), NARMA-10, and a product of two inputs
# recalled after 3 samples. Clipping hardly mattered; lr 0.01 was noisier, 0.001 slower.
LR, CLIP_GRADIENT = 0.003, 1.0
# Squared error against the full window, median of 3 seeds: -1 to +2 % at 0.01, +0 to +2 % at 0.03, up to +4 % at 0.1,
# on NAB's taxi, machine temperature and AAPL, two files of SKAB, NARMA-10 and two multiplied lags.
EARLY_STOP = 0.01
SHORTEST_MEMORY, LONGEST_MEMORY = 0.1, 1e6
LONGEST_TRUNCATION = 100_000

Array = NDArray[Any]


class SCRNN:
    """Structurally Constrained Recurrent Network, learning online.

    Equations 3 to 5 of the paper[^1], with one decay per context unit and biases:

        s_t = a s_(t-1) + (1 - a) B x_t                context units: averages of the input at many time scales
        h_t = f(P s_t + A x_t + R h_(t-1) + b)         hidden units
        y_t = U h_t + V s_t + c                        prediction of the target; its softmax for symbols

    Context units learn by exact forward traces, however long their memory; hidden units by backpropagation through
    `truncation_length` steps. Context units are linear in the input: they remember, but do not choose what to remember.
    Inputs and targets are expected centred and of about unit variance. NaN is a missing value: a missing input counts
    as 0, its mean; a missing target brings no error.

    Of the arguments, `lr`, `clip_gradient` and `early_stop` may be changed later, as attributes. A network is used by
    one thread at a time.

    Parameters
    ----------
    n_inputs, n_outputs
        Length of x and of the target.
    n_hidden, n_context
        Number of hidden and context units. Without context units it is the simple recurrent network, without hidden
        units a linear predictor over many time scales.
    memory
        Time constant tau of the context units at the start, in units of dt (samples, if dt is 1): a = exp(-1 / tau). A
        number is one decay for all (the paper's 0.95 is 19.5); a pair is the shortest and the longest one, and the
        units lie evenly in log tau between them.
    learn_decay
        Whether the decays are learned too, each unit its own.
    truncation_length
        Number of steps the error of the hidden units travels back; fewer when it has faded before.
    early_stop
        The error of the hidden units has faded when the sum of its sizes is this share of what it was at the newest
        step. 0 goes back `truncation_length` steps each time.
    activation
        `sigmoid` (the paper's), `tanh` or `relu`.
    loss
        `squared`: the mean of (y - target)^2 / 2 over the targets that are present. `gaussian`: their negative log
        likelihood, with a learned standard deviation for each output (`scale`), from 1e-4 to 1e4. `softmax`:
        cross-entropy; y are the probabilities of symbols, and the target is 1 for the one that came, else 0.
    optimizer
        `sgd`, `rmsprop` or `adam`.
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
        memory: float | Sequence[float] = (2, 1000),
        learn_decay: bool = True,
        truncation_length: int = 20,
        early_stop: float = EARLY_STOP,
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
        if truncation_length > LONGEST_TRUNCATION:
            raise ValueError(f"truncation_length must be at most {LONGEST_TRUNCATION}, got {truncation_length}")
        _check_memory(memory)
        if not 0 <= early_stop < 1:
            raise ValueError(f"early_stop must be at least 0 and below 1, got {early_stop}")
        _check_one_of("activation", activation, ACTIVATIONS)
        _check_one_of("loss", loss, LOSSES)
        _check_one_of("optimizer", optimizer, OPTIMIZERS)
        _check_one_of("dtype", dtype, DTYPES)
        _check_positive("lr", lr)
        _check_positive("clip_gradient", clip_gradient)
        if seed is not None:
            _check_at_least("seed", seed, 0)
        # plain integers: sizes of a narrow NumPy type would wrap around
        self.n_inputs = operator.index(n_inputs)
        self.n_outputs = operator.index(n_outputs)
        self.n_hidden = operator.index(n_hidden)
        self.n_context = operator.index(n_context)
        self.memory = memory
        self.learn_decay = learn_decay
        self.truncation_length = operator.index(truncation_length)
        self.early_stop = early_stop
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
        self._allocate()
        self._network[: self.n_parameters] = self._starting_weights()

    def _allocate(self) -> None:
        """All arrays, at rest, for the present sizes."""
        self._shape = _shape_of(vars(self))
        self._kind: _layout.Kind = (
            ACTIVATIONS[self.activation],
            LOSSES[self.loss],
            OPTIMIZERS[self.optimizer],
            int(self.learn_decay),
        )
        self._network = aligned_zeros(_layout.n_network(self._shape), self.dtype)
        self._work = aligned_zeros(_layout.n_work(self._shape), self.dtype)
        self._counts = np.zeros(_layout.N_COUNTS, np.int64)

    @property
    def _rates(self) -> _layout.Rates:
        return float(self.lr), float(self.clip_gradient), float(self.early_stop)

    # -- time ---------------------------------------------------------------------------------------------------------

    def predict(self, x: ArrayLike, dt: float = 1.0) -> Array:
        """What the network expects at input x, dt after the last one. Changes nothing."""
        y = np.empty(self._shape[3], self._network.dtype)
        x = self._checked("x", x, self._shape[0])
        _kernels.predict(y, self._work, self._network, self._counts, x, _checked_dt(dt), self._shape, self._kind)
        return y

    def learn(self, x: ArrayLike, target: ArrayLike, dt: float = 1.0) -> float:
        """Take x in, dt after the last input, compare the prediction with the target and update the weights.

        Returns the loss before the update: NaN if every target is missing, and then only time moves. A loss or a
        gradient that overflows changes no weight and is counted in `n_diverged`.
        """
        loss, self.gradient_norm = _kernels.learn(
            np.empty(self._shape[3], self._network.dtype),
            self._work,
            self._network,
            self._counts,
            self._checked("x", x, self._shape[0]),
            self._checked("target", target, self._shape[3]),
            _checked_dt(dt),
            self._shape,
            self._kind,
            self._rates,
        )
        return loss

    def replay(self, xs: ArrayLike, targets: ArrayLike, dts: ArrayLike | None = None) -> tuple[Array, Array]:
        """`learn` for each row of a recording, in one call: xs (n, n_inputs), targets (n, n_outputs), dts (n,).

        Returns the predictions (n, n_outputs), each made before its update, and the losses (n,). NaN stands for the
        prediction of a sample at which the network diverged.
        """
        xs = checked_rows("xs", xs, self._shape[0], self.dtype)
        targets = checked_rows("targets", targets, self._shape[3], self.dtype, len(xs))
        predictions, losses, norms = np.empty(targets.shape, self._network.dtype), np.empty(len(xs)), np.empty(len(xs))
        _kernels.learn_stream(
            predictions,
            losses,
            norms,
            self._work,
            self._network[None],
            self._counts[None],
            np.zeros(len(xs), np.int64),
            xs,
            targets,
            checked_dts(dts, len(xs)),
            self._shape,
            self._kind,
            self._rates,
        )
        self.gradient_norm = float(norms[-1]) if len(norms) else self.gradient_norm
        return predictions, losses

    def advance(self, x: ArrayLike, dt: float = 1.0) -> None:
        """Take x in, dt after the last input, without learning."""
        x = self._checked("x", x, self._shape[0])
        _kernels.step(self._network, self._counts, self._work, x, _checked_dt(dt), self._shape, self._kind)

    # -- what it is now -----------------------------------------------------------------------------------------------

    @property
    def n_parameters(self) -> int:
        """Number of learned weights, decays and scales."""
        return int(_layout.n_parameters(self._shape))

    @property
    def context(self) -> Array:
        """The context units s_t, a copy."""
        tape, H = _layout.tape_of(self._network, self._shape), self.n_hidden
        return np.array(tape[self._counts[_layout.SLOT], H : H + self.n_context])

    @property
    def hidden(self) -> Array:
        """The hidden units h_t, a copy."""
        tape = _layout.tape_of(self._network, self._shape)
        return np.array(tape[self._counts[_layout.SLOT] + 1, : self.n_hidden])

    @property
    def time_constants(self) -> Array:
        """The memory tau of each context unit, a = exp(-1 / tau), in units of dt."""
        m = self._parameters()[2].astype(np.float64)
        return np.asarray(1.0 / np.log1p(np.exp(-m)))

    @property
    def scale(self) -> Array:
        """The learned standard deviation of each output (Y,); without any where the loss is not `gaussian`."""
        return np.asarray(np.exp(self._parameters()[6].astype(np.float64)))

    @property
    def n_learned(self) -> int:
        """Number of updates."""
        return int(self._counts[_layout.N_LEARNED])

    @property
    def n_clipped(self) -> int:
        """Number of updates whose gradient was shortened."""
        return int(self._counts[_layout.N_CLIPPED])

    @property
    def n_diverged(self) -> int:
        """Number of samples at which the loss, the gradient or the state overflowed; no weight was changed by them."""
        return int(self._counts[_layout.N_DIVERGED])

    def _parameters(self) -> tuple[Array, ...]:
        return _layout.parameters(_layout.theta_of(self._network, self._shape), self._shape)

    # -- growing ------------------------------------------------------------------------------------------------------

    def grow(self, n_inputs: int, n_outputs: int) -> None:
        """Make room for more inputs and outputs. All that was learned stays.

        While the new inputs are missing or 0, the old outputs are as before, up to rounding, and a new one starts at 0;
        with `softmax`, both before it is taken.
        """
        _check_at_least("n_inputs", n_inputs, self.n_inputs)
        _check_at_least("n_outputs", n_outputs, self.n_outputs)
        if (n_inputs, n_outputs) == (self.n_inputs, self.n_outputs):
            return
        grown = copy.copy(self)  # this one stays whole if there is no memory for it
        grown.n_inputs, grown.n_outputs = operator.index(n_inputs), operator.index(n_outputs)
        grown._allocate()
        grown._counts[:] = self._counts
        old, old_shape, new, shape = self._network, self._shape, grown._network, grown._shape
        theta = _layout.theta_of(new, shape)
        theta[:] = grown._starting_weights()
        _copy_blocks(self._blocks(theta, shape), self._blocks(_layout.theta_of(old, old_shape), old_shape))
        moments = zip(_layout.moments_of(new, shape), _layout.moments_of(old, old_shape), strict=True)
        for i, (moment, old_moment) in enumerate(moments):
            if i == shape[6] - 1:
                # a new weight inherits the typical gradient: as a stranger its first steps would be ten times too long
                moment[:] = old_moment.mean()
            _copy_blocks(self._blocks(moment, shape), self._blocks(old_moment, old_shape))
        _copy_blocks(self._tape_blocks(new, shape), self._tape_blocks(old, old_shape))
        _copy_blocks(_layout.traces_of(new, shape), _layout.traces_of(old, old_shape))
        vars(self).update(vars(grown))

    @staticmethod
    def _blocks(theta: Array, shape: _layout.Shape) -> list[Array]:
        """R, P, A, b, B', m, U, V, c, l: views of a vector like theta."""
        _, H, C, _, _, _, _ = shape
        W, *others = _layout.parameters(theta, shape)
        return [W[:, :H], W[:, H : H + C], W[:, H + C : -1], W[:, -1], *others]

    @staticmethod
    def _tape_blocks(network: Array, shape: _layout.Shape) -> list[Array]:
        """h and s, x, and what else a row holds: views of the tape."""
        D, H, C, _, _, _, _ = shape
        tape = _layout.tape_of(network, shape)
        return [tape[:, : H + C], tape[:, H + C : H + C + D], tape[:, H + C + D :]]

    def _starting_weights(self) -> Array:
        """Small weights inside; none in the readout: the first prediction is 0, the mean. Decays even in log tau."""
        rng = np.random.default_rng((self._drawn_seed, self.n_inputs, self.n_outputs))
        theta = np.zeros(self.n_parameters, self.dtype)
        R, P, A, _, B, m, _, _, _, _ = self._blocks(theta, self._shape)
        for weights in (A, R, P, B.T):
            weights[:] = rng.standard_normal(weights.shape) / math.sqrt(max(weights.shape[1], 1))
        shortest, longest = _memory_range(self.memory)
        tau = np.geomspace(shortest, longest, self.n_context)
        m[:] = -np.log(np.expm1(1.0 / tau))
        return theta

    # -- saving -------------------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """All there is, as plain data: strings, numbers, tuples and arrays. The arrays are copies."""
        now = int(self._counts[_layout.SLOT])
        first = max(0, now - self.truncation_length + 1)  # the window alone
        theta, shape = _layout.theta_of(self._network, self._shape), self._shape
        T, E = _layout.traces_of(self._network, shape)
        tape = _layout.tape_of(self._network, shape)[first : now + 2].copy()
        tape[-1, self.n_hidden :] = 0  # of the next step only h is known
        counts = self._counts.copy()
        counts[_layout.SLOT] = now - first
        memory = self.memory if isinstance(self.memory, (int, float)) else tuple(self.memory)
        arguments = {name: getattr(self, name) for name in _ARGUMENTS}
        return arguments | {
            "memory": memory,
            "drawn_seed": self._drawn_seed,
            "gradient_norm": self.gradient_norm,
            "theta": theta.copy(),
            "moments": _layout.moments_of(self._network, shape).copy(),
            "tape": tape,
            "T": T.copy(),
            "E": E.copy(),
            "counts": counts,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "SCRNN":
        """The network that `to_state` described. What it does next is identical to the last bit."""
        expected, saved = (_layout.n_parameters(_shape_of(state)),), np.shape(state["theta"])
        if expected != saved:  # before memory is asked for: a damaged size may be gigantic
            raise ValueError(f"theta must have shape {expected}, got {saved}")
        if not isinstance(state["learn_decay"], bool):
            raise ValueError(f"learn_decay must be true or false, got {state['learn_decay']!r}")
        network = cls(**{name: state[name] for name in _ARGUMENTS})
        network._drawn_seed = operator.index(state["drawn_seed"])
        _check_at_least("drawn_seed", network._drawn_seed, 0)
        network.gradient_norm = float(state["gradient_norm"])
        row, shape = network._network, network._shape
        restore(_layout.theta_of(row, shape), state, "theta")
        restore(_layout.moments_of(row, shape), state, "moments")
        T, E = _layout.traces_of(row, shape)
        restore(T, state, "T")
        restore(E, state, "E")
        restore(network._counts, state, "counts")
        now, n_stored = (int(network._counts[place]) for place in (_layout.SLOT, _layout.N_STORED))
        if not (0 <= n_stored <= now + 1 <= network.truncation_length + 1 and network._counts.min() >= 0):
            raise ValueError(f"counts must fit the window, got {network._counts.tolist()}")
        restore(_layout.tape_of(row, shape)[: now + 2], state, "tape")
        return network

    def to_bytes(self) -> bytes:
        """The whole network, to be kept: versioned, with a checksum, numbers and text alone."""
        return encode({"SCRNN": self.to_state()})

    @classmethod
    def from_bytes(cls, data: bytes) -> "SCRNN":
        """The network that `to_bytes` wrote. What it does next is identical to the last bit.

        Raises
        ------
        EncodingError
            A ValueError: if the bytes are foreign, damaged, of another version, or hold something else.
        """
        try:
            return cls.from_state(decode(data)["SCRNN"])
        except EncodingError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, MemoryError) as error:
            raise EncodingError(f"the bytes hold no SCRNN: {error!r}") from None

    # -- checks -------------------------------------------------------------------------------------------------------

    def _checked(self, name: str, values: ArrayLike, length: int) -> Array:
        array = np.array(values, np.float64, order="C")  # a copy: for a read-only array the kernels would compile anew
        if array.shape != (length,):
            raise ValueError(f"{name} must have shape ({length},), got {array.shape}")
        i = _kernels.position_out_of_range(array, self._largest)
        if i >= 0:
            raise ValueError(f"{name} must be finite or NaN in {self.dtype}, got {array[i]} at position {i}")
        return array


_ARGUMENTS = (
    "n_inputs",
    "n_outputs",
    "n_hidden",
    "n_context",
    "memory",
    "learn_decay",
    "truncation_length",
    "early_stop",
    "activation",
    "loss",
    "optimizer",
    "lr",
    "clip_gradient",
    "dtype",
    "seed",
)


def _shape_of(arguments: Mapping[str, Any]) -> _layout.Shape:
    """The sizes that the kernels want."""
    names = ("n_inputs", "n_hidden", "n_context", "n_outputs", "truncation_length")
    D, H, C, Y, K = (operator.index(arguments[name]) for name in names)
    return D, H, C, Y, K, Y if arguments["loss"] == "gaussian" else 0, OPTIMIZERS[arguments["optimizer"]]


def aligned_zeros(n: int | tuple[int, int], dtype: str) -> Array:
    """Zeros that begin at a multiple of 64 bytes, a cache line."""
    size = int(np.prod(n)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(n)


def checked_rows(name: str, rows: ArrayLike, width: int, dtype: str, n: int | None = None) -> Array:
    """Rows as a float64 matrix (n, width) of numbers that fit `dtype`, or NaN."""
    array = np.array(rows, np.float64, order="C")
    if array.ndim != 2 or array.shape[1] != width or (n is not None and len(array) != n):
        raise ValueError(f"{name} must have shape ({'n' if n is None else n}, {width}), got {array.shape}")
    i = _kernels.position_out_of_range(array.reshape(-1), float(np.finfo(dtype).max))
    if i >= 0:
        row, column = divmod(i, width)
        value = array[row, column]
        raise ValueError(f"{name} must be finite or NaN in {dtype}, got {value} at row {row}, column {column}")
    return array


def checked_dts(dts: ArrayLike | None, n: int) -> Array:
    """Time steps as a float64 vector (n,); ones where None are given."""
    if dts is None:
        return np.ones(n)
    array = np.array(dts, np.float64, order="C")
    if array.shape != (n,):
        raise ValueError(f"dts must have shape ({n},), got {array.shape}")
    bad = np.flatnonzero(~((array >= 0) & (array < np.inf)))
    if len(bad):
        raise ValueError(f"dts must be finite and at least 0, got {array[bad[0]]} at position {bad[0]}")
    return array


def _copy_blocks(new: Sequence[Array], old: Sequence[Array]) -> None:
    for to, block in zip(new, old, strict=True):
        to[tuple(slice(n) for n in block.shape)] = block


def restore(to: Array, state: Mapping[str, Any], name: str, finite: bool = True) -> None:
    """Fill an array with the one of that name. ValueError where type, shape or numbers are not what they must be."""
    array = np.asarray(state[name])
    if array.shape != to.shape or array.dtype != to.dtype:
        raise ValueError(f"{name} must be {to.dtype} of shape {to.shape}, got {array.dtype} of {array.shape}")
    if finite and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")
    to[:] = array


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


def _check_one_of(name: str, value: str, choices: Sequence[str] | Mapping[str, int]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def _memory_range(memory: float | Sequence[float]) -> tuple[float, float]:
    if isinstance(memory, (int, float)):
        return float(memory), float(memory)
    shortest, longest = memory
    return shortest, longest


def _check_memory(memory: float | Sequence[float]) -> None:
    pair = (memory, memory) if isinstance(memory, (int, float)) else tuple(memory)
    if len(pair) != 2 or not SHORTEST_MEMORY <= pair[0] <= pair[1] <= LONGEST_MEMORY:
        rule = f"{SHORTEST_MEMORY} <= short <= long <= {LONGEST_MEMORY:.0f}"
        raise ValueError(f"memory must be one time constant or (short, long) with {rule}, got {memory!r}")
