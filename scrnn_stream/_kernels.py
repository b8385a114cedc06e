"""The Structurally Constrained Recurrent Network on plain arrays, one sample at a time.

    s_t = a s_(t-1) + (1 - a) B x_t                context units, decay a = sigmoid(m)
    h_t = f(P s_t + A x_t + R h_(t-1) + b)         hidden units
    y_t = U h_t + V s_t + c                        prediction

Each forward kernel is followed by its backward kernel, in the letters of the paper[^1]. A name `dq` holds dL/dq.

A network is four flat vectors: `theta` (what is learned), `moments` (what the optimiser remembers of each weight),
`state` (a ring of the last steps, the newest of which is the present) and `counts` (integers). `work` is scratch space.
Named views of them are built inside the kernels from the sizes

    shape = (D inputs, H hidden units, C context units, Y outputs, K steps of truncation)

[^1]: Mikolov et al., Learning Longer Memory in Recurrent Neural Networks, 2014, arXiv:1412.7753.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[int, int, int, int, int]
F = TypeVar("F", bound=Callable[..., Any])

SIGMOID, TANH, RELU = 0, 1, 2  # activation
SLOT, N_STORED, N_LEARNED, N_CLIPPED, N_DIVERGED = 0, 1, 2, 3, 4  # places in counts
N_COUNTS = 5

EARLY_STOP = 1e-3  # the backward pass ends when the hidden error signal has shrunk to this share of its start
FORGETTING = 0.99  # of the running mean square of each weight's gradient
GRADIENT_FLOOR = 1e-16  # added to each squared gradient: a weight at rest takes no leap when its input returns
LARGEST_LOGIT = 15.0  # decays stay between memories of a tenth of a sample and of three million
TINY = 1e-30  # smaller context units and traces are set to 0: denormal numbers are a hundred times slower


def jit(function: F) -> F:
    """Compile a kernel: the one place that decides the flags.

    NaN means missing and an infinity means divergence, so the fast-math flags `nnan` and `ninf` stay off.
    """
    flags = {"reassoc", "contract", "nsz", "arcp", "afn"}
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=flags)(function))


# ---------------------------------------------------------------------------------------------------------------- views


def n_parameters(shape: Shape) -> int:
    """Length of theta."""
    D, H, C, Y, _ = shape
    return H * (D + H + C + 1) + C * (D + 1) + Y * (H + C + 1)


def n_state(shape: Shape) -> int:
    """Length of the state: x, h, s and both traces of the last K steps and the one before."""
    D, H, C, _, K = shape
    return (K + 1) * (D + H + C * (D + 2))


def n_work(shape: Shape) -> int:
    """Length of the scratch space."""
    D, H, C, Y, K = shape
    return n_parameters(shape) + K * H + D + 2 * H + 5 * C + 2 * Y


@jit
def parameters(theta: Array, shape: Shape) -> tuple[Array, ...]:
    """A (H, D), R (H, H), P (H, C), B (C, D), U (Y, H), V (Y, C), b (H), c (Y), m (C): views of a vector like theta."""
    D, H, C, Y, _ = shape
    i = H * D
    A = theta[:i].reshape(H, D)
    R = theta[i : i + H * H].reshape(H, H)
    i += H * H
    P = theta[i : i + H * C].reshape(H, C)
    i += H * C
    B = theta[i : i + C * D].reshape(C, D)
    i += C * D
    U = theta[i : i + Y * H].reshape(Y, H)
    i += Y * H
    V = theta[i : i + Y * C].reshape(Y, C)
    i += Y * C
    return A, R, P, B, U, V, theta[i : i + H], theta[i + H : i + H + Y], theta[i + H + Y : i + H + Y + C]


@jit
def history(state: Array, shape: Shape) -> tuple[Array, Array, Array, Array, Array]:
    """x (K+1, D), h (K+1, H), s (K+1, C), T = ds/dB (K+1, C, D), E = ds/dm (K+1, C): the rings of the window."""
    D, H, C, _, K = shape
    n = K + 1
    i = n * D
    x = state[:i].reshape(n, D)
    h = state[i : i + n * H].reshape(n, H)
    i += n * H
    s = state[i : i + n * C].reshape(n, C)
    i += n * C
    T = state[i : i + n * C * D].reshape(n, C, D)
    i += n * C * D
    return x, h, s, T, state[i : i + n * C].reshape(n, C)


@jit
def scratch(work: Array, shape: Shape) -> tuple[Array, ...]:
    """g (like theta), dz (K, H), x (D), h (H), dh (H), s (C), ds (C), y (Y), dy (Y), decay (3, C): views of work."""
    D, H, C, Y, K = shape
    n = H * (D + H + C + 1) + C * (D + 1) + Y * (H + C + 1)
    g = work[:n]
    dz = work[n : n + K * H].reshape(K, H)
    i = n + K * H
    x = work[i : i + D]
    i += D
    h, dh = work[i : i + H], work[i + H : i + 2 * H]
    i += 2 * H
    s, ds = work[i : i + C], work[i + C : i + 2 * C]
    i += 2 * C
    y, dy = work[i : i + Y], work[i + Y : i + 2 * Y]
    i += 2 * Y
    return g, dz, x, h, dh, s, ds, y, dy, work[i : i + 3 * C].reshape(3, C)


# --------------------------------------------------------------------------------------------------- inputs and algebra


@jit
def position_out_of_range(values: Array, limit: float) -> int:
    """Position of the first value beyond +-limit, else -1. NaN is within."""
    for i in range(values.size):
        if abs(values[i]) > limit:
            return i
    return -1


@jit
def all_missing(values: Array) -> bool:
    """Every value is NaN."""
    for i in range(values.size):  # noqa: SIM110  all() of a generator does not compile
        if not np.isnan(values[i]):
            return False
    return True


@jit
def present(out: Array, x: Array) -> None:
    """x with 0 where it is NaN: a missing input contributes nothing."""
    for i in range(x.size):
        out[i] = 0.0 if np.isnan(x[i]) else x[i]


@jit
def add_product(out: Array, W: Array, v: Array) -> None:
    """out += W v"""
    for i in range(out.size):
        row = W[i]
        total = out[i]
        for j in range(v.size):
            total += row[j] * v[j]
        out[i] = total


@jit
def add_transposed_product(out: Array, W: Array, v: Array) -> None:
    """out += W' v"""
    for i in range(v.size):
        row = W[i]
        vi = v[i]
        for j in range(out.size):
            out[j] += row[j] * vi


@jit
def add_outer(W: Array, u: Array, v: Array) -> None:
    """W += u v'"""
    for i in range(u.size):
        row = W[i]
        ui = u[i]
        for j in range(v.size):
            row[j] += ui * v[j]


# -------------------------------------------------------------------------------------------------------- context units


@jit
def decays(decay: Array, m: Array, dt: float) -> None:
    """keep = a^dt, gain = 1 - a^dt, slope = d(a^dt)/dm, with a = sigmoid(m): the rows of decay (3, C)."""
    for k in range(m.size):
        e = math.exp(-float(m[k]))
        exponent = -dt * math.log1p(e)  # log a = -log(1 + exp(-m)); accurate also where a is almost 1
        keep = math.exp(exponent)
        decay[0, k] = keep
        decay[1, k] = -math.expm1(exponent)
        decay[2, k] = keep * dt * (e / (1.0 + e))


@jit
def context_forward(s: Array, s_before: Array, x: Array, B: Array, decay: Array) -> None:
    """s_t = keep s_(t-1) + gain B x_t"""
    zero, tiny = s.dtype.type(0), s.dtype.type(TINY)
    s[:] = 0
    add_product(s, B, x)
    for k in range(s.size):
        now = decay[0, k] * s_before[k] + decay[1, k] * s[k]
        s[k] = zero if abs(now) < tiny else now


@jit
def context_traces(
    T: Array, E: Array, T_before: Array, E_before: Array, s_before: Array, x: Array, B: Array, decay: Array
) -> None:
    """T_t = keep T_(t-1) + gain x_t              ds/dB, one per unit and input
    E_t = keep E_(t-1) + slope (s_(t-1) - B x_t)  ds/dm, one per unit

    A context unit feeds nothing but itself, so these are its exact derivatives over the whole past, not over a window.
    """
    zero, tiny = T.dtype.type(0), T.dtype.type(TINY)
    E[:] = 0
    add_product(E, B, x)
    for k in range(E.size):
        keep, gain = decay[0, k], decay[1, k]
        e = keep * E_before[k] + decay[2, k] * (s_before[k] - E[k])
        E[k] = zero if abs(e) < tiny else e
        trace, before = T[k], T_before[k]
        for j in range(x.size):
            t = keep * before[j] + gain * x[j]
            trace[j] = zero if abs(t) < tiny else t


@jit
def context_backward(dB: Array, dm: Array, ds: Array, T: Array, E: Array) -> None:
    """dB += ds T, dm += ds E, where ds is what this step's s did to the loss directly, not through the next s."""
    for k in range(ds.size):
        dk = ds[k]
        dm[k] += dk * E[k]
        row, trace = dB[k], T[k]
        for j in range(row.size):
            row[j] += dk * trace[j]


# --------------------------------------------------------------------------------------------------------- hidden units


@jit
def hidden_forward(
    h: Array, h_before: Array, s: Array, x: Array, A: Array, R: Array, P: Array, b: Array, activation: int
) -> None:
    """h_t = f(P s_t + A x_t + R h_(t-1) + b)"""
    half, one, zero = h.dtype.type(0.5), h.dtype.type(1), h.dtype.type(0)
    h[:] = b
    add_product(h, A, x)
    add_product(h, R, h_before)
    add_product(h, P, s)
    for i in range(h.size):
        if activation == SIGMOID:
            h[i] = half * (one + math.tanh(half * h[i]))  # the same function as 1 / (1 + exp(-z)), without overflow
        elif activation == TANH:
            h[i] = math.tanh(h[i])
        else:
            h[i] = max(h[i], zero)


@jit
def activation_backward(dz: Array, dh: Array, h: Array, activation: int) -> float:
    """dz = dh f'(z), by way of h = f(z). Returns |dz|^2."""
    one, zero = h.dtype.type(1), h.dtype.type(0)
    total = 0.0
    for i in range(h.size):
        if activation == SIGMOID:
            dz[i] = dh[i] * h[i] * (one - h[i])
        elif activation == TANH:
            dz[i] = dh[i] * (one - h[i] * h[i])
        else:
            dz[i] = dh[i] if h[i] > zero else zero
        total += dz[i] * dz[i]
    return total


@jit
def hidden_backward(
    dA: Array, dR: Array, dP: Array, db: Array, dz: Array, xs: Array, hs: Array, ss: Array, slot: int, n_steps: int
) -> None:
    """dA = sum dz_t x_t', dR = sum dz_t h_(t-1)', dP = sum dz_t s_t', db = sum dz_t, over the last n_steps."""
    n = hs.shape[0]
    for i in range(db.size):
        to_x, to_h, to_s = dA[i], dR[i], dP[i]
        for step in range(n_steps):
            now = (slot - step + n) % n
            d = dz[step, i]
            db[i] += d
            x, h_before, s = xs[now], hs[(now + n - 1) % n], ss[now]
            for j in range(x.size):
                to_x[j] += d * x[j]
            for j in range(h_before.size):
                to_h[j] += d * h_before[j]
            for j in range(s.size):
                to_s[j] += d * s[j]


# ---------------------------------------------------------------------------------------------------- readout and loss


@jit
def readout_forward(y: Array, h: Array, s: Array, U: Array, V: Array, c: Array) -> None:
    """y_t = U h_t + V s_t + c"""
    y[:] = c
    add_product(y, U, h)
    add_product(y, V, s)


@jit
def readout_backward(
    dU: Array, dV: Array, dc: Array, dh: Array, ds: Array, dy: Array, h: Array, s: Array, U: Array, V: Array
) -> None:
    """dU = dy h', dV = dy s', dc = dy; dh = U' dy, ds = V' dy"""
    dc[:] = dy
    add_outer(dU, dy, h)
    add_outer(dV, dy, s)
    dh[:] = 0
    ds[:] = 0
    add_transposed_product(dh, U, dy)
    add_transposed_product(ds, V, dy)


@jit
def squared_loss(dy: Array, y: Array, target: Array) -> float:
    """L = mean of (y - target)^2 / 2 over the targets present, and dy: 0 where it is missing."""
    n_present = 0
    for i in range(y.size):
        n_present += 0 if np.isnan(target[i]) else 1
    loss = 0.0
    for i in range(y.size):
        if np.isnan(target[i]):
            dy[i] = 0
        else:
            error = float(y[i]) - target[i]
            loss += 0.5 * error * error
            dy[i] = error / n_present
    return loss / n_present


# ---------------------------------------------------------------------------------------------------------- the network


@jit
def is_finite(values: Array) -> bool:
    """No value is NaN or infinite."""
    for i in range(values.size):  # noqa: SIM110  all() of a generator does not compile
        if not np.isfinite(values[i]):
            return False
    return True


@jit
def step(
    state: Array, counts: Array, work: Array, theta: Array, x: Array, dt: float, shape: Shape, activation: int
) -> bool:
    """Move time: write x_t, s_t, h_t and the traces into the next slot of the ring.

    False, and a state of zeros, when the state has overflowed: a network whose weights explode starts again from rest.
    """
    A, R, P, B, _, _, b, _, m = parameters(theta, shape)
    xs, hs, ss, Ts, Es = history(state, shape)
    _, _, _, _, _, _, _, _, _, decay = scratch(work, shape)
    before = counts[SLOT]
    now = (before + 1) % hs.shape[0]
    present(xs[now], x)
    decays(decay, m, dt)
    context_forward(ss[now], ss[before], xs[now], B, decay)
    context_traces(Ts[now], Es[now], Ts[before], Es[before], ss[before], xs[now], B, decay)
    hidden_forward(hs[now], hs[before], ss[now], xs[now], A, R, P, b, activation)
    counts[SLOT] = now
    counts[N_STORED] = min(counts[N_STORED] + 1, shape[4])
    if is_finite(hs[now]) and is_finite(ss[now]) and is_finite(Es[now]):
        return True
    state[:] = 0
    counts[N_STORED] = 0
    counts[N_DIVERGED] += 1
    return False


@jit
def predict(
    out: Array,
    work: Array,
    theta: Array,
    state: Array,
    counts: Array,
    x: Array,
    dt: float,
    shape: Shape,
    activation: int,
) -> None:
    """out = y_t, the prediction at x, and nothing but `work` is written to."""
    A, R, P, B, U, V, b, c, m = parameters(theta, shape)
    _, hs, ss, _, _ = history(state, shape)
    _, _, x_now, h, _, s, _, y, _, decay = scratch(work, shape)
    before = counts[SLOT]
    present(x_now, x)
    decays(decay, m, dt)
    context_forward(s, ss[before], x_now, B, decay)
    hidden_forward(h, hs[before], s, x_now, A, R, P, b, activation)
    readout_forward(y, h, s, U, V, c)
    out[:] = y


@jit
def gradient(
    g: Array,
    work: Array,
    theta: Array,
    state: Array,
    counts: Array,
    target: Array,
    shape: Shape,
    activation: int,
    early_stop: float,
) -> float:
    """g = dL_t/dtheta, and the loss L_t of the present step.

    Hidden units: backward over the stored steps with today's weights, to the end of the window or of the error signal.
    Context units: dB = sum ds_t T_t and dm = sum ds_t E_t over the same steps, each trace reaching back without limit.
    """
    _, R, P, _, U, V, _, c, _ = parameters(theta, shape)
    dA, dR, dP, dB, dU, dV, db, dc, dm = parameters(g, shape)
    xs, hs, ss, Ts, Es = history(state, shape)
    _, dz, _, _, dh, _, ds, y, dy, _ = scratch(work, shape)
    now = slot = counts[SLOT]
    g[:] = 0
    readout_forward(y, hs[now], ss[now], U, V, c)
    loss = squared_loss(dy, y, target)
    readout_backward(dU, dV, dc, dh, ds, dy, hs[now], ss[now], U, V)
    start = 0.0
    n_steps = 0
    for n_steps_back in range(counts[N_STORED]):
        strength = activation_backward(dz[n_steps_back], dh, hs[slot], activation)
        if n_steps_back == 0:
            start = strength
        elif strength <= early_stop * early_stop * start:
            break
        add_transposed_product(ds, P, dz[n_steps_back])
        context_backward(dB, dm, ds, Ts[slot], Es[slot])
        dh[:] = 0
        ds[:] = 0
        add_transposed_product(dh, R, dz[n_steps_back])
        slot = (slot + hs.shape[0] - 1) % hs.shape[0]
        n_steps += 1
    hidden_backward(dA, dR, dP, db, dz, xs, hs, ss, now, n_steps)
    return loss


@jit
def norm(g: Array) -> float:
    """|g|, summed in double precision."""
    total = 0.0
    for i in range(g.size):
        total += float(g[i]) * float(g[i])
    return math.sqrt(total)


@jit
def update(theta: Array, moments: Array, g: Array, scale: float, lr: float, forgetting: float) -> None:
    """RMSprop: v = q v + (1 - q) g^2, theta -= lr g / sqrt(v), where g is scaled first."""
    clip, rate, floor = g.dtype.type(scale), g.dtype.type(lr), g.dtype.type(GRADIENT_FLOOR)
    q, p = g.dtype.type(forgetting), g.dtype.type(1.0 - forgetting)
    for i in range(g.size):
        gi = clip * g[i]
        v = q * moments[i] + p * (gi * gi + floor)
        moments[i] = v
        theta[i] -= rate * gi / math.sqrt(v)


@jit
def learn(
    theta: Array,
    moments: Array,
    state: Array,
    counts: Array,
    work: Array,
    x: Array,
    target: Array,
    dt: float,
    shape: Shape,
    activation: int,
    learn_decay: bool,
    lr: float,
    clip_gradient: float,
) -> tuple[float, float]:
    """Take x in, compare the prediction with the target, update. Returns the loss and the norm of its gradient."""
    if not step(state, counts, work, theta, x, dt, shape, activation):
        return np.nan, np.nan
    if all_missing(target):
        return np.nan, 0.0
    g = scratch(work, shape)[0]
    loss = gradient(g, work, theta, state, counts, target, shape, activation, EARLY_STOP)
    m, dm = parameters(theta, shape)[8], parameters(g, shape)[8]
    if not learn_decay:
        dm[:] = 0
    size = norm(g)
    if not (np.isfinite(loss) and np.isfinite(size)):
        counts[N_DIVERGED] += 1
        return loss, size
    counts[N_LEARNED] += 1
    counts[N_CLIPPED] += 1 if size > clip_gradient else 0
    scale = clip_gradient / size if size > clip_gradient else 1.0
    # the first gradients are averaged evenly: a mean square that starts at 0 would make the first steps far too long
    update(theta, moments, g, scale, lr, min(FORGETTING, 1.0 - 1.0 / counts[N_LEARNED]))
    for k in range(m.size):
        m[k] = min(max(m[k], -LARGEST_LOGIT), LARGEST_LOGIT)
    return loss, size
