"""The Structurally Constrained Recurrent Network[^1] on plain arrays: forward, backward and update, in reading order.

    s_t = a s_(t-1) + (1 - a) B x_t                context units, decay a = sigmoid(m)
    h_t = f(R h_(t-1) + P s_t + A x_t + b)         hidden units
    y_t = U h_t + V s_t + c                        prediction; its softmax for symbols

Each forward kernel is followed by its backward kernel, in the letters of the paper. A name `dq` holds dL/dq.

R, P, A and b stand side by side in one matrix, W = [R P A b], since their products are one: z_t = W u_t with u_t =
(h_(t-1), s_t, x_t, 1). The steps of the window lie one after the other on a *tape* whose row t is u_t: h_t is the
beginning of the next row, and the gradient of W over the window is one product of two matrices. B is kept transposed,
so that the inner loops over it run over units.

A network is a vector of numbers, `network` (weights, what the optimiser remembers of them, tape, traces), and a few
`counts`; many networks of one shape are the rows of a matrix. Scratch space, `work`, is shared by all of them. Where
the parts lie is told by :mod:`~scrnn_stream._layout`, by

    shape = (D inputs, H hidden units, C context units, Y outputs, K steps of truncation, Q learned scales, M moments)

and what a network is like comes as `kind` = (activation, loss, optimizer, learn_decay) and `rates` = (lr,
clip_gradient, early_stop).

[^1]: Mikolov et al., Learning Longer Memory in Recurrent Neural Networks, 2014, arXiv:1412.7753.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream._algebra import add_product, copy, fill, outer
from scrnn_stream._compile import jit, view
from scrnn_stream._layout import (
    ADAM,
    GAUSSIAN,
    N_CLIPPED,
    N_DIVERGED,
    N_LEARNED,
    N_STORED,
    RELU,
    RMSPROP,
    SIGMOID,
    SLOT,
    SOFTMAX,
    SQUARED,
    TANH,
    Kind,
    Rates,
    Shape,
    moments_of,
    n_parameters,
    parameters,
    scratch,
    tape_of,
    theta_of,
    traces_of,
)
from scrnn_stream._simd import transposed_product, window_product

Array = NDArray[Any]

FORGETTING = 0.99  # RMSprop: of the running mean square of each weight's gradient
GRADIENT_FLOOR = 1e-16  # added to each squared gradient: a weight at rest takes no leap when its input returns
BETA_1, BETA_2 = 0.9, 0.999  # Adam: forgetting of the mean gradient and of its mean square
LARGEST_LOGIT = 15.0  # decays stay between memories of a tenth of a sample and of three million
LARGEST_SCALE_GRADIENT = 10.0  # of the log of a scale, 1 - z^2 and averaged: one outlier tells little of a scale
LARGEST_LOG_SCALE = 9.0  # scales stay from 1e-4 to 1e4: that of a dead output would shrink until its return overflows
LARGEST_WEIGHT = 1e9  # a weight beyond it would overflow in the next products
TINY = 1e-30  # smaller numbers that would only decay further count as 0: denormal ones are a hundred times slower


# --------------------------------------------------------------------------------------------------------------- inputs


@jit
def position_out_of_range(values: Array, limit: float) -> int:
    """Position of the first value beyond +-limit, else -1. NaN is within."""
    for i in range(values.size):
        if abs(values[i]) > limit:
            return i
    return -1


@jit
def n_present(values: Array) -> int:
    """Number of values that are not NaN."""
    n = 0
    for i in range(values.size):
        n += 0 if np.isnan(values[i]) else 1
    return n


@jit
def present(out: Array, x: Array) -> None:
    """x with 0 where it is NaN: a missing input contributes nothing."""
    for i in range(x.size):
        out[i] = 0.0 if np.isnan(x[i]) else x[i]


@jit
def is_finite(values: Array) -> bool:
    """No value is NaN or infinite."""
    for i in range(values.size):  # noqa: SIM110  all() of a generator does not compile
        if not np.isfinite(values[i]):
            return False
    return True


# -------------------------------------------------------------------------------------------------------- context units


@jit
def decays(decay: Array, m: Array, dt: float) -> None:
    """keep = a^dt, gain = 1 - a^dt, slope = d(a^dt)/dm, with a = sigmoid(m): the rows of decay (3, C)."""
    for k in range(m.size):
        e = math.exp(-float(m[k]))
        if dt == 1.0:
            keep = 1.0 / (1.0 + e)
            decay[0, k], decay[1, k], decay[2, k] = keep, e * keep, keep * (e * keep)
            continue
        exponent = -dt * math.log1p(e)  # log a = -log(1 + exp(-m)); accurate also where a is almost 1
        keep = math.exp(exponent)
        decay[0, k] = keep
        decay[1, k] = -math.expm1(exponent)
        decay[2, k] = keep * dt * (e / (1.0 + e))


@jit
def context_forward(s: Array, e: Array, s_before: Array, x: Array, B: Array, decay: Array) -> None:
    """s_t = keep s_(t-1) + gain B x_t, and e_t = slope (s_(t-1) - B x_t), its derivative by m at a fixed s_(t-1)."""
    zero, tiny = s.dtype.type(0), s.dtype.type(TINY)
    transposed_product(s, B, x)
    for k in range(s.size):
        e[k] = decay[2, k] * (s_before[k] - s[k])
        now = decay[0, k] * s_before[k] + decay[1, k] * s[k]
        s[k] = zero if abs(now) < tiny else now


@jit
def edge_forward(T: Array, E: Array, x: Array, gain: Array, e: Array) -> None:
    """T_t = keep T_(t-1) + gain x_t       ds/dB, one per input and unit, of a step that leaves the window
    E_t = keep E_(t-1) + e_t            ds/dm, one per unit

    A context unit feeds nothing but itself, so these are its exact derivatives over the whole past.
    """
    zero, one, tiny = T.dtype.type(0), T.dtype.type(1), T.dtype.type(TINY)
    for k in range(E.size):
        now = (one - gain[k]) * E[k] + e[k]
        E[k] = zero if abs(now) < tiny else now
    for j in range(x.size):
        trace, xj = T[j], x[j]
        for k in range(E.size):
            now = (one - gain[k]) * trace[k] + gain[k] * xj
            trace[k] = zero if abs(now) < tiny else now


@jit
def context_backward(
    dB: Array, dm: Array, ds: Array, edge: Array, tape: Array, T: Array, E: Array, now: int, n_stored: int, H: int
) -> None:
    """ds_t += keep_(t+1) ds_(t+1), from the newest step to the oldest stored; what is left at the edge meets T and E:

    dB' = sum x_t (gain_t ds_t)' + T keep ds,  dm = sum ds_t e_t + E keep ds

    ds (K, C) comes as what each step's s did to the loss through that step's h and y, and is overwritten.
    """
    D, C = dB.shape
    K, S = ds.shape[0], H + C + D + 1
    zero, one, tiny = ds.dtype.type(0), ds.dtype.type(1), ds.dtype.type(TINY)
    fill(edge, 0.0)
    fill(dm, 0.0)
    for step in range(n_stored):
        row, d = tape[now - step], ds[K - 1 - step]
        gain, e = row[S : S + C], row[S + C :]
        for k in range(C):
            total = d[k] + edge[k]
            total = zero if abs(total) < tiny else total
            edge[k] = (one - gain[k]) * total
            dm[k] += total * e[k]
            d[k] = gain[k] * total
    window_product(dB, tape[now - n_stored + 1 : now + 1, H + C : S - 1], ds[K - n_stored :])
    for k in range(C):
        dm[k] += edge[k] * E[k]
    for j in range(D):
        row, trace = dB[j], T[j]
        for k in range(C):
            row[k] += edge[k] * trace[k]


# --------------------------------------------------------------------------------------------------------- hidden units


@jit
def hyperbolic_tangent(h: Array) -> None:
    """h = tanh(h). In float32 the 13th convergent of Lambert's continued fraction z / (1 + z^2 / (3 + z^2 / (5 + ...

    It is as exact as float32, and unlike a call of the C library it is computed for many units at once.
    """
    if h.itemsize == 8:
        for i in range(h.size):
            h[i] = math.tanh(h[i])
        return
    for i in range(h.size):
        z = min(max(h[i], np.float32(-8.6)), np.float32(8.6))
        t = z * z
        p = (((t + np.float32(4095)) * t + np.float32(2552550)) * t + np.float32(523783260)) * t
        p = ((p + np.float32(41247931725)) * t + np.float32(1159525191825)) * t + np.float32(7905853580625)
        q = ((np.float32(91) * t + np.float32(120120)) * t + np.float32(41351310)) * t
        q = ((q + np.float32(5237832600)) * t + np.float32(252070693875)) * t
        q = (q + np.float32(3794809718700)) * t + np.float32(7905853580625)
        h[i] = min(max(z * p / q, np.float32(-1)), np.float32(1))


@jit
def hidden_forward(h: Array, u: Array, W: Array, activation: int) -> None:
    """h_t = f(W u_t), where W u_t = R h_(t-1) + P s_t + A x_t + b"""
    half, zero = h.dtype.type(0.5), h.dtype.type(0)
    fill(h, 0.0)
    add_product(h, W, u)
    if activation == RELU:
        for i in range(h.size):
            h[i] = h[i] if h[i] > zero or np.isnan(h[i]) else zero
    elif activation == TANH:
        hyperbolic_tangent(h)
    else:  # 1 / (1 + exp(-z)) = (1 + tanh(z / 2)) / 2
        for i in range(h.size):
            h[i] *= half
        hyperbolic_tangent(h)
        for i in range(h.size):
            h[i] = half * h[i] + half


@jit
def activation_backward(dz: Array, k: int, dh: Array, tape: Array, row: int, activation: int) -> float:
    """dz_k = dh f'(z), by way of h = f(z), the beginning of a row of the tape. Returns sum |dz_k|."""
    one, zero = dz.dtype.type(1), dz.dtype.type(0)
    total = zero
    for i in range(dz.shape[1]):
        h = tape[row, i]
        if activation == SIGMOID:
            d = dh[i] * (h * (one - h))
        elif activation == TANH:
            d = dh[i] * (one - h * h)
        else:
            d = dh[i] if h > zero else zero
        dz[k, i] = d
        total += abs(d)
    return float(total)


@jit
def hidden_backward(
    dz: Array, ds: Array, du: Array, W: Array, tape: Array, now: int, n_stored: int, activation: int, early_stop: float
) -> int:
    """(dh_(t-1), ds_t) = (R P)' dz_t, step by step into the past; du begins with dh of the newest step.

    The rows of dz (K, H) are filled, and those of ds (K, C) added to, from the last one up. Ends where sum |dz| has
    shrunk to `early_stop` of its start; returns the number of steps taken.
    """
    (K, H), C = dz.shape, ds.shape[1]
    start = 0.0
    for step in range(n_stored):
        k = K - 1 - step
        strength = activation_backward(dz, k, du, tape, now + 1 - step, activation)
        if step == 0:
            start = strength
        elif strength <= max(early_stop * start, TINY):
            return step
        transposed_product(du, W, dz[k])
        for i in range(C):
            ds[k, i] += du[H + i]
    return n_stored


# ---------------------------------------------------------------------------------------------------- readout and loss


@jit
def readout_forward(y: Array, h: Array, s: Array, U: Array, V: Array, c: Array, loss: int) -> None:
    """y_t = U h_t + V s_t + c; its softmax exp(y_i) / sum exp(y_j) for the loss of symbols."""
    copy(y, c)
    add_product(y, U, h)
    add_product(y, V, s)
    if loss == SOFTMAX:
        largest = y.max()
        total = 0.0
        for i in range(y.size):
            y[i] = math.exp(y[i] - largest)
            total += y[i]
        y /= y.dtype.type(total)


@jit
def readout_backward(
    dU: Array, dV: Array, dc: Array, dh: Array, ds: Array, dy: Array, h: Array, s: Array, U: Array, V: Array
) -> None:
    """dU = dy h', dV = dy s', dc = dy; dh = U' dy, ds = V' dy"""
    outer(dU, dy, h)
    outer(dV, dy, s)
    copy(dc, dy)
    transposed_product(dh, U, dy)
    transposed_product(ds, V, dy)


@jit
def squared_loss(dy: Array, y: Array, target: Array) -> float:
    """L = mean of (y - target)^2 / 2 over the targets present, and dy: 0 where it is missing."""
    n, loss = n_present(target), 0.0
    for i in range(y.size):
        error = 0.0 if np.isnan(target[i]) else float(y[i]) - target[i]
        loss += 0.5 * error * error
        dy[i] = error / n
    return loss / n


@jit
def gaussian_loss(dy: Array, dl: Array, y: Array, l: Array, target: Array) -> float:  # noqa: E741  the log of a scale
    """L = mean of z^2 / 2 + l over the targets present, z = (y - target) / exp(l): their negative log likelihood.

    But for log(2 pi) / 2. Each output learns its own scale exp(l).
    """
    n, loss = n_present(target), 0.0
    for i in range(y.size):
        if np.isnan(target[i]):
            dy[i] = 0
            dl[i] = 0
        else:
            inverse = math.exp(-float(l[i]))
            z = (float(y[i]) - target[i]) * inverse
            loss += 0.5 * z * z + l[i]
            dy[i] = z * inverse / n
            dl[i] = (1.0 - z * z) / n
    return loss / n


@jit
def softmax_loss(dy: Array, y: Array, target: Array) -> float:
    """L = - sum target log y, and dy = y - target by the softmax's argument; a missing target counts as 0."""
    loss, total = 0.0, 0.0
    for i in range(y.size):
        wanted = 0.0 if np.isnan(target[i]) else target[i]
        if wanted > 0:
            loss -= wanted * math.log(max(float(y[i]), TINY))
        total += wanted
        dy[i] = -wanted
    for i in range(y.size):
        dy[i] += total * y[i]
    return loss


# ------------------------------------------------------------------------------------------------------------- learning


@jit
def norm(g: Array) -> float:
    """|g|, summed in its own precision: infinite where a square overflows, and then the gradient has diverged."""
    total = g.dtype.type(0)
    for i in range(g.size):
        total += g[i] * g[i]
    return math.sqrt(float(total))


@jit
def rmsprop(theta: Array, v: Array, g: Array, scale: float, lr: float, forgetting: float) -> None:
    """v = q v + (1 - q) g^2, theta -= lr g / sqrt(v), where g is scaled first."""
    t = g.dtype.type
    clip, rate, floor, q, p = t(scale), t(lr), t(GRADIENT_FLOOR), t(forgetting), t(1.0 - forgetting)
    one, largest = t(1), t(LARGEST_WEIGHT)
    for i in range(g.size):
        gi = clip * g[i]
        v[i] = q * v[i] + p * (gi * gi + floor)
        theta[i] = min(max(theta[i] - rate * gi * (one / math.sqrt(v[i])), -largest), largest)


@jit
def adam(theta: Array, mean: Array, v: Array, g: Array, scale: float, lr: float, n_learned: int) -> None:
    """mean = b1 mean + (1 - b1) g, v = b2 v + (1 - b2) g^2, theta -= lr mean / sqrt(v), each without its bias to 0[^1].

    [^1]: Kingma, Ba, Adam: a method for stochastic optimization, 2014, arXiv:1412.6980.
    """
    t = g.dtype.type
    rate = t(lr * math.sqrt(1.0 - BETA_2**n_learned) / (1.0 - BETA_1**n_learned))
    clip, floor, q1, p1, q2, p2 = t(scale), t(GRADIENT_FLOOR), t(BETA_1), t(1 - BETA_1), t(BETA_2), t(1 - BETA_2)
    zero, one, tiny, largest = t(0), t(1), t(TINY), t(LARGEST_WEIGHT)
    for i in range(g.size):
        gi = clip * g[i]
        now = q1 * mean[i] + p1 * gi
        mean[i] = zero if abs(now) < tiny else now
        v[i] = q2 * v[i] + p2 * (gi * gi + floor)
        theta[i] = min(max(theta[i] - rate * mean[i] * (one / math.sqrt(v[i])), -largest), largest)


@jit
def sgd(theta: Array, g: Array, scale: float, lr: float) -> None:
    """theta -= lr g, where g is scaled first."""
    rate, largest = g.dtype.type(scale * lr), g.dtype.type(LARGEST_WEIGHT)
    for i in range(g.size):
        theta[i] = min(max(theta[i] - rate * g[i], -largest), largest)


@jit
def update(network: Array, counts: Array, g: Array, size: float, shape: Shape, kind: Kind, rates: Rates) -> None:
    """One step of the optimiser down the gradient g of norm `size` (scales apart), shortened to `clip_gradient`."""
    optimizer, lr, clip_gradient = kind[2], rates[0], rates[1]
    theta, moments = theta_of(network, shape), moments_of(network, shape)
    counts[N_LEARNED] += 1
    counts[N_CLIPPED] += 1 if size > clip_gradient else 0
    scale = clip_gradient / size if size > clip_gradient else 1.0
    dl = parameters(g, shape)[6]
    for i in range(dl.size):  # shortened with the others, 1 - z^2 would no longer be 0 on average at the true scale
        dl[i] = min(max(float(dl[i]), -LARGEST_SCALE_GRADIENT), LARGEST_SCALE_GRADIENT) / scale
    if optimizer == RMSPROP:
        # the first gradients are averaged evenly: a mean square that starts at 0 would make the first steps too long
        rmsprop(theta, moments[0], g, scale, lr, min(FORGETTING, 1.0 - 1.0 / counts[N_LEARNED]))
    elif optimizer == ADAM:
        adam(theta, moments[0], moments[1], g, scale, lr, counts[N_LEARNED])
    else:
        sgd(theta, g, scale, lr)
    _, _, m, _, _, _, l = parameters(theta, shape)  # noqa: E741
    for k in range(m.size):
        m[k] = min(max(m[k], -LARGEST_LOGIT), LARGEST_LOGIT)
    for i in range(l.size):
        l[i] = min(max(l[i], -LARGEST_LOG_SCALE), LARGEST_LOG_SCALE)


# ---------------------------------------------------------------------------------------------------------- the network


@jit
def make_room(network: Array, counts: Array, shape: Shape) -> int:
    """The row of the next step. The oldest step of a full window goes over into the traces; a full tape slides back."""
    D, H, C, _, K, _, _ = shape
    tape, now = tape_of(network, shape), int(counts[SLOT])
    if counts[N_STORED] == K:
        T, E = traces_of(network, shape)
        row = tape[now - K + 1]
        S = H + C + D + 1
        edge_forward(T, E, row[H + C : S - 1], row[S : S + C], row[S + C :])
    if now + 3 > tape.shape[0]:  # the row after the next one must hold h
        for k in range(K + 1):
            copy(tape[k], tape[now - K + 1 + k])
        now = K - 1
    return now + 1


@jit
def step(network: Array, counts: Array, work: Array, x: Array, dt: float, shape: Shape, kind: Kind) -> bool:
    """Move time: write x_t, s_t and h_t onto the tape.

    False, and a state of zeros, when the state has overflowed: a network whose weights explode starts again from rest.
    """
    D, H, C, _, K, _, _ = shape
    W, B, m, _, _, _, _ = parameters(theta_of(network, shape), shape)
    decay = scratch(work, shape)[6]
    now = make_room(network, counts, shape)
    tape = tape_of(network, shape)
    row, h, S = tape[now], tape[now + 1, :H], H + C + D + 1
    s, x_now, e = row[H : H + C], row[H + C : S - 1], row[S + C :]
    present(x_now, x)
    row[S - 1] = 1.0
    decays(decay, m, dt)
    copy(row[S : S + C], decay[1])
    context_forward(s, e, tape[now - 1, H : H + C], x_now, B, decay)
    hidden_forward(h, row[:S], W, kind[0])
    if is_finite(h) and is_finite(s) and is_finite(e):
        counts[SLOT] = now
        counts[N_STORED] = min(counts[N_STORED] + 1, K)
        return True
    network[(1 + shape[6]) * n_parameters(shape) :] = 0
    counts[SLOT] = 0
    counts[N_STORED] = 0
    counts[N_DIVERGED] += 1
    return False


@jit
def predict(
    out: Array, work: Array, network: Array, counts: Array, x: Array, dt: float, shape: Shape, kind: Kind
) -> None:
    """out = y_t, the prediction at x. Nothing but `out` and `work` is written to."""
    _, H, C, _, _, _, _ = shape
    W, B, m, U, V, c, _ = parameters(theta_of(network, shape), shape)
    _, _, _, u, h, _, decay, e, _ = scratch(work, shape)
    tape, before = tape_of(network, shape), counts[SLOT]
    copy(u[:H], tape[before + 1])
    present(u[H + C :], x)
    u[u.size - 1] = 1.0
    decays(decay, m, dt)
    context_forward(u[H : H + C], e, tape[before, H : H + C], u[H + C : u.size - 1], B, decay)
    hidden_forward(h, u, W, kind[0])
    readout_forward(out, h, u[H : H + C], U, V, c, kind[1])


@jit
def readout(out: Array, network: Array, counts: Array, shape: Shape, kind: Kind) -> None:
    """out = y_t, the prediction at the present step."""
    H, C, now, tape = shape[1], shape[2], counts[SLOT], tape_of(network, shape)
    _, _, _, U, V, c, _ = parameters(theta_of(network, shape), shape)
    readout_forward(out, tape[now + 1, :H], tape[now, H : H + C], U, V, c, kind[1])


@jit
def gradient(
    y: Array,
    work: Array,
    network: Array,
    counts: Array,
    target: Array,
    shape: Shape,
    kind: Kind,
    early_stop: float,
) -> float:
    """y_t, g = dL_t/dtheta, in `work`, and the loss L_t of the present step.

    Hidden units: backward over the stored steps with today's weights, to the end of the window or of the error signal.
    Context units: the same steps, and what is left of the error at the edge of the window times the traces, which
    reach back without limit.
    """
    D, H, C, _, _, _, _ = shape
    activation, loss_kind = kind[0], kind[1]
    W, _, _, U, V, c, l = parameters(theta_of(network, shape), shape)  # noqa: E741
    g, dz, ds, _, _, du, decay, _, dy = scratch(work, shape)
    dW, dB, dm, dU, dV, dc, dl = parameters(g, shape)
    tape, (T, E), now = tape_of(network, shape), traces_of(network, shape), counts[SLOT]
    h, s = tape[now + 1, :H], tape[now, H : H + C]
    readout_forward(y, h, s, U, V, c, loss_kind)
    if loss_kind == SQUARED:
        loss = squared_loss(dy, y, target)
    elif loss_kind == GAUSSIAN:
        loss = gaussian_loss(dy, dl, y, l, target)
    else:
        loss = softmax_loss(dy, y, target)
    fill(view(work, g.size + dz.size, (ds.size,)), 0.0)
    readout_backward(dU, dV, dc, du[:H], ds[ds.shape[0] - 1], dy, h, s, U, V)
    n_stored = counts[N_STORED]
    n_steps = hidden_backward(dz, ds, du, W, tape, now, n_stored, activation, early_stop)
    window_product(dW, dz[dz.shape[0] - n_steps :], tape[now - n_steps + 1 : now + 1, : H + C + D + 1])
    context_backward(dB, dm, ds, decay[0], tape, T, E, now, n_stored, H)
    return loss


@jit
def learn(
    out: Array,
    work: Array,
    network: Array,
    counts: Array,
    x: Array,
    target: Array,
    dt: float,
    shape: Shape,
    kind: Kind,
    rates: Rates,
) -> tuple[float, float]:
    """Take x in, compare the prediction with the target, update. Returns the loss and the norm of its gradient.

    out = y_t, as predicted before the update; NaN where the network has diverged.
    """
    fill(out, np.nan)
    if not step(network, counts, work, x, dt, shape, kind):
        return np.nan, np.nan
    if n_present(target) == 0:
        readout(out, network, counts, shape, kind)
        return np.nan, 0.0
    loss = gradient(out, work, network, counts, target, shape, kind, rates[2])
    g = scratch(work, shape)[0]
    if kind[3] == 0:
        fill(parameters(g, shape)[2], 0.0)
    size = norm(view(g, 0, (g.size - shape[5],)))
    if np.isfinite(loss) and np.isfinite(size):
        update(network, counts, g, size, shape, kind, rates)
    else:
        counts[N_DIVERGED] += 1
    return loss, size


@jit
def learn_stream(
    predictions: Array,
    losses: Array,
    norms: Array,
    work: Array,
    networks: Array,
    counts: Array,
    which: Array,
    xs: Array,
    targets: Array,
    dts: Array,
    shape: Shape,
    kind: Kind,
    rates: Rates,
) -> None:
    """Learn records in their order, record i by network which[i]; skipped where that is negative.

    One network over a whole recording, or the many machines of a topic.
    """
    for i in range(which.size):
        k = which[i]
        if k >= 0:
            losses[i], norms[i] = learn(
                predictions[i], work, networks[k], counts[k], xs[i], targets[i], dts[i], shape, kind, rates
            )
