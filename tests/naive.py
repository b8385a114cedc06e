"""The network in plain NumPy, float64, to be checked by eye against the paper. It shares no code with the package.

s_t = a s_(t-1) + (1 - a) B x_t         a = sigmoid(m); after a gap dt, a^dt takes the place of a
h_t = f(P s_t + A x_t + R h_(t-1) + b)
y_t = U h_t + V s_t + c                 softmax of that for symbols
"""

import numpy as np

NAMES = ("A", "R", "P", "B", "U", "V", "b", "c", "m", "l")
FUNCTIONS = {"sigmoid": lambda z: 1 / (1 + np.exp(-z)), "tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}
DERIVATIVES = {"sigmoid": lambda h: h * (1 - h), "tanh": lambda h: 1 - h**2, "relu": lambda h: (h > 0) * 1.0}


def softmax(y):
    return np.exp(y) / np.exp(y).sum()


def run(w, xs, dts, activation):
    """Every output, before any softmax, of a network at rest that is shown xs."""
    s, h, ys = np.zeros(len(w["m"])), np.zeros(len(w["b"])), []
    for x, dt in zip(np.nan_to_num(xs), dts, strict=True):
        keep = (1 / (1 + np.exp(-w["m"]))) ** dt
        s = keep * s + (1 - keep) * (w["B"] @ x)
        h = FUNCTIONS[activation](w["P"] @ s + w["A"] @ x + w["R"] @ h + w["b"])
        ys.append(w["U"] @ h + w["V"] @ s + w["c"])
    return np.array(ys)


def loss(y, target, kind="squared", l=0.0):  # noqa: E741  the log of the scale
    """squared: mean of (y - target)^2 / 2; gaussian: of its negative log likelihood; both over the targets present."""
    if kind == "softmax":
        return -np.nansum(target * np.log(softmax(y)))
    if kind == "gaussian":
        return np.nanmean(((y - target) / np.exp(l)) ** 2 / 2 + l)
    return np.nanmean((y - target) ** 2) / 2


def loss_gradient(y, target, kind, l):  # noqa: E741
    """dL/dy (before any softmax) and dL/dl."""
    if kind == "softmax":
        return np.nansum(target) * softmax(y) - np.nan_to_num(target), np.zeros(0)
    n = (~np.isnan(target)).sum()
    z = np.nan_to_num(y - target) / (np.exp(l) if kind == "gaussian" else 1)
    dl = np.where(np.isnan(target), 0, 1 - z**2) / n
    return (z / np.exp(l) / n, dl) if kind == "gaussian" else (z / n, np.zeros(0))


def finite_differences(w, xs, dts, target, activation, kind="squared", step=1e-5):
    """d(last loss)/dw, by moving each weight a little to both sides: the truth, without any window."""
    gradient = {}
    for name in NAMES:
        gradient[name] = np.zeros_like(w[name])
        for place in np.ndindex(w[name].shape):
            losses = []
            for sign in (1, -1):
                moved = {**w, name: w[name].copy()}
                moved[name][place] += sign * step
                losses.append(loss(run(moved, xs, dts, activation)[-1], target, kind, moved["l"]))
            gradient[name][place] = (losses[0] - losses[1]) / (2 * step)
    return gradient


def backpropagation(w, xs, target, activation):
    """dB and dm of the last squared loss by backpropagation through the whole stream, dt = 1, nothing truncated."""
    a = 1 / (1 + np.exp(-w["m"]))
    ss, hs, xs = [np.zeros(len(a))], [np.zeros(len(w["b"]))], np.nan_to_num(xs)
    for x in xs:
        ss.append(a * ss[-1] + (1 - a) * (w["B"] @ x))
        hs.append(FUNCTIONS[activation](w["P"] @ ss[-1] + w["A"] @ x + w["R"] @ hs[-1] + w["b"]))
    dy, _ = loss_gradient(w["U"] @ hs[-1] + w["V"] @ ss[-1] + w["c"], target, "squared", None)
    dh, ds, dB, dm = w["U"].T @ dy, w["V"].T @ dy, np.zeros_like(w["B"]), np.zeros_like(a)
    for t in range(len(xs), 0, -1):
        dz = dh * DERIVATIVES[activation](hs[t])
        ds = ds + w["P"].T @ dz
        dB += np.outer(ds * (1 - a), xs[t - 1])
        dm += ds * a * (1 - a) * (ss[t - 1] - w["B"] @ xs[t - 1])
        dh, ds = w["R"].T @ dz, a * ds
    return dB, dm


class Network:
    """The learning network: lists of what was, outer products, and the optimisers as their formulas.

    The gradient of the context units is written with forward traces alone: the sum of ds_t (ds_t/dB) over the window,
    where the trace ds_t/dB of each step reaches back to the beginning.
    """

    def __init__(
        self,
        w,
        activation,
        truncation_length,
        lr,
        clip_gradient,
        early_stop=0.01,
        loss="squared",
        optimizer="rmsprop",
        learn_decay=True,
    ):
        self.w, self.activation, self.truncation_length, self.loss = w, activation, truncation_length, loss
        self.lr, self.clip_gradient, self.early_stop = lr, clip_gradient, early_stop
        self.optimizer, self.learn_decay = optimizer, learn_decay
        n_context, n_inputs = w["B"].shape
        self.x, self.s, self.h = [np.zeros(n_inputs)], [np.zeros(n_context)], [np.zeros(len(w["b"]))]
        self.ds_dB, self.ds_dm = [np.zeros((n_context, n_inputs))], [np.zeros(n_context)]
        self.means = {name: np.zeros_like(w[name]) for name in NAMES}
        self.mean_squares = {name: np.zeros_like(w[name]) for name in NAMES}
        self.n_learned = 0

    def step(self, x, dt):
        w, x = self.w, np.nan_to_num(x)
        a = 1 / (1 + np.exp(-w["m"]))
        keep = a**dt
        dkeep_dm = dt * keep * (1 - a)  # of exp(dt log a), where d(log a)/dm = 1 - a
        s_before, input_ = self.s[-1], w["B"] @ x
        self.ds_dB.append(keep[:, None] * self.ds_dB[-1] + np.outer(1 - keep, x))
        self.ds_dm.append(keep * self.ds_dm[-1] + dkeep_dm * (s_before - input_))
        s = keep * s_before + (1 - keep) * input_
        h = FUNCTIONS[self.activation](w["P"] @ s + w["A"] @ x + w["R"] @ self.h[-1] + w["b"])
        self.x.append(x)
        self.s.append(s)
        self.h.append(h)
        return w["U"] @ h + w["V"] @ s + w["c"]

    def gradient(self, y, target):
        w = self.w
        dy, dl = loss_gradient(y, target, self.loss, w["l"])
        g = {name: np.zeros_like(w[name]) for name in NAMES}
        g["U"], g["V"], g["c"], g["l"] = np.outer(dy, self.h[-1]), np.outer(dy, self.s[-1]), dy, dl
        dh, ds = w["U"].T @ dy, w["V"].T @ dy
        for back in range(1, min(self.truncation_length, len(self.x) - 1) + 1):
            dz = dh * DERIVATIVES[self.activation](self.h[-back])
            if back == 1:
                start = np.abs(dz).sum()
            elif np.abs(dz).sum() <= self.early_stop * start:
                break
            g["A"] += np.outer(dz, self.x[-back])
            g["R"] += np.outer(dz, self.h[-back - 1])
            g["P"] += np.outer(dz, self.s[-back])
            g["b"] += dz
            ds = ds + w["P"].T @ dz
            g["B"] += ds[:, None] * self.ds_dB[-back]
            g["m"] += ds * self.ds_dm[-back]
            dh, ds = w["R"].T @ dz, np.zeros_like(ds)
        return g

    def learn(self, x, target, dt):
        y = self.step(x, dt)
        if not np.isnan(target).all():
            self.update(self.gradient(y, target))
        return y

    def update(self, g):
        if not self.learn_decay:
            g["m"] *= 0
        norm = np.sqrt(sum((g[name] ** 2).sum() for name in NAMES if name != "l"))
        self.n_learned += 1
        n, q = self.n_learned, min(0.99, 1 - 1 / self.n_learned)
        for name in NAMES:
            clipped = g[name] * (self.clip_gradient / norm if norm > self.clip_gradient else 1)
            clipped = np.clip(g["l"], -10, 10) if name == "l" else clipped
            if self.optimizer == "sgd":
                step = clipped
            elif self.optimizer == "rmsprop":
                self.mean_squares[name] = q * self.mean_squares[name] + (1 - q) * (clipped**2 + 1e-16)
                step = clipped / np.sqrt(self.mean_squares[name])
            else:
                self.means[name] = 0.9 * self.means[name] + 0.1 * clipped
                self.mean_squares[name] = 0.999 * self.mean_squares[name] + 0.001 * (clipped**2 + 1e-16)
                step = self.means[name] / (1 - 0.9**n) / np.sqrt(self.mean_squares[name] / (1 - 0.999**n))
            self.w[name] = self.w[name] - self.lr * step


def running_scale(samples, memory=5000):
    """Mean and variance of one sensor by polynomial-decay averaging; a wild step counts as ten standard deviations."""
    mean, variance, n = 0.0, 0.0, 0
    for value in samples:
        if np.isnan(value):
            continue
        step = value - mean
        if n >= 20 and variance > 0:
            step = np.sign(step) * min(abs(step), 10 * np.sqrt(variance))
        n += 1
        gain = 3 / (min(n, memory) + 2)
        mean, variance = mean + gain * step, (1 - gain) * (variance + gain * step**2)
    return mean, variance


def fit_tail(window, gap, TAIL_QUANTILE, PRIOR_SHAPE, PRIOR_WEIGHT, UNCERTAINTY):
    """Threshold, scale and shape of a generalised Pareto tail, by probability-weighted moments drawn to a prior."""
    u = np.sort(window)[int(TAIL_QUANTILE * (len(window) - 1))]
    excesses = np.sort(window[window > u]) - u
    m = len(excesses)
    if m < 5:
        return u, max(abs(u), 1e-9), PRIOR_SHAPE
    above = 1 - np.arange(m) / (m - 1)  # the share of excesses at least this large
    a0, a1 = excesses.mean(), (above * excesses).mean()
    shape = np.clip(2 - a0 / (a0 - 2 * a1), -0.5, 0.9) if a0 != 2 * a1 else 0.0
    places = np.flatnonzero(window > u)
    n_clusters = 1 + (np.diff(places) > gap).sum()
    shape = max((n_clusters * shape + PRIOR_WEIGHT * PRIOR_SHAPE) / (n_clusters + PRIOR_WEIGHT), 1e-3)
    shape = min(0.9, shape + UNCERTAINTY / np.sqrt(1 + n_clusters))
    return u, a0 * (1 - shape), shape


def tail_probability(value, ordered, u, scale, shape, quantile):
    """By rank up to u, beyond it by the Pareto tail."""
    if value > u:
        return (1 - quantile) * (1 + shape * (value - u) / scale) ** (-1 / shape)
    return (1 + (ordered >= value).sum()) / (len(ordered) + 1)


class Averages:
    """The channels' values of one sensor: its error, and the averages of error, sqrt|error| and reading."""

    def __init__(self, half_lives):
        self.half_lives, self.values, self.n, self.n_since = half_lives, np.zeros(len(half_lives)), 0, 0

    def step(self, x, e, is_back=False):
        self.n_since = 0 if is_back else self.n_since
        for k, half_life in enumerate(self.half_lives):
            new = (e, e, np.sqrt(abs(e)), x, x, x, x)[k]
            keep = 2 ** (-1 / half_life) if half_life > 0 else 0
            weights = keep ** np.arange(self.n_since + 1)
            since_outage = 1 - weights[0] / weights.sum() if 3 <= k < 6 else 1.0  # the recent average begins anew
            keep = min(keep, self.n / (self.n + 1), since_outage)  # the first few count alike
            if not np.isnan(new):
                self.values[k] = keep * self.values[k] + (1 - keep) * new
        self.n, self.n_since = self.n + (not np.isnan(x)), self.n_since + (not np.isnan(x))
        return self.values.copy()


def hotelling(z, precision, used):
    """T2 over the used sensors alone: their own block of the correlation matrix, inverted."""
    correlation = np.linalg.inv(precision)[np.ix_(used, used)]
    return z[used] @ np.linalg.solve(correlation, z[used]) / max(1, used.sum())


def conditional(v, mean, covariance, j, given):
    """Mean and variance of one normal variable given some of the others."""
    slope = np.linalg.solve(covariance[np.ix_(given, given)], covariance[given, j])
    return mean[j] + slope @ (v - mean)[given], covariance[j, j] - slope @ covariance[given, j]


def farthest_outside(v, low, high, used):
    judged = used & (high > low)
    v, low, high = v[judged], low[judged], high[judged]
    return max(np.concatenate([[-1.0], (v - high) / (high - low), (low - v) / (high - low)]))


def absorbed(mean, covariance, n, v, present, memory, weight, largest_jump):
    """Mean and covariance a step towards v: gain 3 / (n + 3), never below 1 / memory; a pair by its lesser gain."""
    new = present & (n == 0)
    gain = np.where(new, 1, np.where(present, weight * np.maximum(3 / (n + 3), 1 / memory), 0))
    mean = np.where(new, v, mean)
    step = np.where(present, v - mean, 0)
    limit = np.where((n >= 20) & (np.diag(covariance) > 0), largest_jump * np.sqrt(np.diag(covariance)), np.inf)
    step = np.clip(step, -limit, limit)
    g = np.minimum.outer(gain, gain)
    return mean + gain * step, (1 - g) * (covariance + g * np.outer(step, step))


def new_extremes(past, values, N_LEAST, FLOOR, UNCERTAIN, SHAPE, NOTHING, SOMETHING):
    """p of the least probable new extreme of one kind, given all past values (n, D); NaN if none can be judged."""
    ps = []
    for seen, value in zip(past.T, values, strict=True):
        seen = seen[~np.isnan(seen)]
        if np.isnan(value) or len(seen) < N_LEAST:
            continue
        width, excess = np.ptp(seen), max(value - seen.max(), seen.min() - value)
        is_new = excess > 0 and width > 0
        z = excess / (width * FLOOR * (1 + UNCERTAIN / len(seen))) if is_new else 0
        ps.append(2 * (1 + SHAPE * z) ** (-1 / SHAPE) / (len(seen) + 1) if is_new else 1)
    p = len(ps) * min(ps) if ps else np.nan
    return p ** np.clip((-np.log10(p) - NOTHING) / (SOMETHING - NOTHING), 0, 1)


def season_regressors(time, age, n_daily=3):
    """1, sines and cosines of the day and of the week; those of a period only once it has passed."""
    day, week = 86400, 7 * 86400
    daily = [f(2 * np.pi * k * time / day) for k in range(1, n_daily + 1) for f in (np.sin, np.cos)]
    weekly = [f(2 * np.pi * time / week) for f in (np.sin, np.cos)]
    return np.array([1, *np.array(daily) * (age >= day), *np.array(weekly) * (age >= week)])


def season(F, x, dts, memory):
    """Weights of least squares that forget: a reading counts exp(-its age / memory), and so does the prior, as one.

    The prior is the first reading, whatever the time.
    """
    ages = np.append(np.cumsum(dts[:0:-1])[::-1], 0.0)
    weighted = F.T * np.exp(-ages / memory)
    prior = np.zeros(F.shape[1])
    prior[0] = x[0]
    ridge = np.exp(-ages[0] / memory) * np.eye(len(prior))
    return prior + np.linalg.solve(ridge + weighted @ F, weighted @ (x - F @ prior))


def forgetful_least_squares(F, X, keep):
    """Weights and their covariance: a row counts keep^(its age), and so does the prior, of weights 0 and variance 1."""
    ages = np.arange(len(F))[::-1]
    weighted = F.T * keep**ages
    covariance = np.linalg.inv(keep ** len(F) * np.eye(F.shape[1]) + weighted @ F)
    return covariance @ weighted @ X, covariance
