"""Sums and products of small vectors and matrices, as plain loops that the compiler vectorises."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from scrnn_stream._compile import jit

Array = NDArray[Any]


@jit
def fill(out: Array, value: float) -> None:
    """out = value"""
    for i in range(out.size):
        out[i] = value


@jit
def copy(out: Array, v: Array) -> None:
    """out = v, as much of it as out is long."""
    for i in range(out.size):
        out[i] = v[i]


@jit
def add(out: Array, v: Array) -> None:
    """out += v"""
    for i in range(out.size):
        out[i] += v[i]


@jit
def outer(W: Array, u: Array, v: Array) -> None:
    """W = u v'"""
    for i in range(u.size):
        row, ui = W[i], u[i]
        for j in range(v.size):
            row[j] = ui * v[j]


@jit
def add_product(out: Array, W: Array, v: Array) -> None:
    """out += W v. Four rows at a time, so that each v_j is fetched once for four products."""
    n = out.size - out.size % 4
    for i in range(0, n, 4):
        w0, w1, w2, w3 = W[i], W[i + 1], W[i + 2], W[i + 3]
        y0, y1, y2, y3 = out[i], out[i + 1], out[i + 2], out[i + 3]
        for j in range(v.size):
            vj = v[j]
            y0 += w0[j] * vj
            y1 += w1[j] * vj
            y2 += w2[j] * vj
            y3 += w3[j] * vj
        out[i], out[i + 1], out[i + 2], out[i + 3] = y0, y1, y2, y3
    for i in range(n, out.size):
        row, y0 = W[i], out[i]
        for j in range(v.size):
            y0 += row[j] * v[j]
        out[i] = y0


@jit
def transposed_product(out: Array, W: Array, v: Array) -> None:
    """out = W' v, of the first columns of W alone if out is shorter."""
    fill(out, 0.0)
    for i in range(v.size):
        row, vi = W[i], v[i]
        for j in range(out.size):
            out[j] += vi * row[j]


@jit
def window_product(G: Array, ds: Array, us: Array) -> None:
    """G = sum over t of d_t u_t', the rows of ds and us: G (I, J), ds (n, I), us (n, J)."""
    for i in range(G.shape[0]):
        row = G[i]
        fill(row, 0.0)
        for t in range(ds.shape[0]):
            d, u = ds[t, i], us[t]
            for j in range(row.size):
                row[j] += d * u[j]
