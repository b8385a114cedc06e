"""Where everything lies in the flat vectors of a network: sizes, places, and views of the named parts.

A network is one vector: theta (what is learned), the moments of the optimiser, the tape, the traces. Views borrow from
it and are cut anew in each kernel.
"""

from typing import Any

from numpy.typing import NDArray

from scrnn_stream._compile import jit_or_python, view

Array = NDArray[Any]
Shape = tuple[int, int, int, int, int, int, int]
Kind = tuple[int, int, int, int]
Rates = tuple[float, float, float]

SIGMOID, TANH, RELU = 0, 1, 2  # activation
SQUARED, GAUSSIAN, SOFTMAX = 0, 1, 2  # loss
SGD, RMSPROP, ADAM = 0, 1, 2  # optimizer, and the number of its moments of each weight
SLOT, N_STORED, N_LEARNED, N_CLIPPED, N_DIVERGED = 0, 1, 2, 3, 4  # places in counts
N_COUNTS = 5


@jit_or_python
def n_parameters(shape: Shape) -> int:
    """Length of theta."""
    D, H, C, Y, _, Q, _ = shape
    return H * (H + C + D + 1) + C * (D + 1) + Y * (H + C + 1) + Q


@jit_or_python
def n_tape(shape: Shape) -> int:
    """Length of the tape: room for the window to slide along, so that its steps stay side by side."""
    D, H, C, _, K, _, _ = shape
    return (2 * K + 2) * (H + 3 * C + D + 1)


@jit_or_python
def n_network(shape: Shape) -> int:
    """Length of a network."""
    D, _, C, _, _, _, M = shape
    return (1 + M) * n_parameters(shape) + n_tape(shape) + C * (D + 1)


@jit_or_python
def n_work(shape: Shape) -> int:
    """Length of the scratch space."""
    D, H, C, Y, K, _, _ = shape
    return n_parameters(shape) + K * (H + C) + 3 * H + 6 * C + D + 1 + Y


@jit_or_python
def theta_of(network: Array, shape: Shape) -> Array:
    """What is learned: the beginning of a network."""
    return view(network, 0, (n_parameters(shape),))


@jit_or_python
def moments_of(network: Array, shape: Shape) -> Array:
    """(M, length of theta): what the optimiser remembers of each weight."""
    n = n_parameters(shape)
    return view(network, n, (shape[6], n))


@jit_or_python
def tape_of(network: Array, shape: Shape) -> Array:
    """(2K + 2, H + 3 C + D + 1): the last steps. Row t is u_t = (h_(t-1), s_t, x_t, 1), gain_t and e_t."""
    D, H, C, _, K, _, M = shape
    return view(network, (1 + M) * n_parameters(shape), (2 * K + 2, H + 3 * C + D + 1))


@jit_or_python
def traces_of(network: Array, shape: Shape) -> tuple[Array, Array]:
    """T = ds/dB (D, C) and E = ds/dm (C) at the edge of the window, the step before its oldest one."""
    D, C = shape[0], shape[2]
    start = network.size - C * (D + 1)
    return view(network, start, (D, C)), view(network, start + D * C, (C,))


@jit_or_python
def parameters(theta: Array, shape: Shape) -> tuple[Array, ...]:
    """W (H, H + C + D + 1), B' (D, C), m (C), U (Y, H), V (Y, C), c (Y), l (Q): views of a vector like theta."""
    D, H, C, Y, _, Q, _ = shape
    B = H * (H + C + D + 1)
    m = B + D * C
    U = m + C
    V = U + Y * H
    c = V + Y * C
    return (
        view(theta, 0, (H, H + C + D + 1)),
        view(theta, B, (D, C)),
        view(theta, m, (C,)),
        view(theta, U, (Y, H)),
        view(theta, V, (Y, C)),
        view(theta, c, (Y,)),
        view(theta, c + Y, (Q,)),
    )


@jit_or_python
def scratch(work: Array, shape: Shape) -> tuple[Array, ...]:
    """g (like theta), dz (K, H), ds (K, C), u (H + C + D + 1), h (H), du (H + C), decay (3, C), e (C), dy (Y)."""
    D, H, C, Y, K, _, _ = shape
    g = n_parameters(shape)
    ds = g + K * H
    u = ds + K * C
    h = u + H + C + D + 1
    du = h + H
    decay = du + H + C
    return (
        view(work, 0, (g,)),
        view(work, g, (K, H)),
        view(work, ds, (K, C)),
        view(work, u, (H + C + D + 1,)),
        view(work, h, (H,)),
        view(work, du, (H + C,)),
        view(work, decay, (3, C)),
        view(work, decay + 3 * C, (C,)),
        view(work, decay + 4 * C, (Y,)),
    )
