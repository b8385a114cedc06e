"""The two heavy products of :mod:`~scrnn_stream._algebra`, twice as fast: their sums stay in the registers.

A vectorised loop fetches and stores each sum at every turn. Here a *tile* of the result, some rows by some columns, is
summed up in the processor's registers and stored once. Compilers do not find this by themselves, so the tile is written
down in LLVM's vectors, which every processor has. The plain loops remain the reference, serve what is narrower than a
tile, and take over where the compiler is off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array
from numpy.typing import NDArray

from scrnn_stream import _algebra as plain
from scrnn_stream._compile import jit, view

Array = NDArray[Any]
INT = ir.IntType(64)
WIDE, HALF = 64, 32  # bytes of a tile's row: two registers of AVX2 or one of AVX-512, and half of that


def tile(n_rows: int, n_bytes: int) -> Callable[..., Any]:
    """An operation that sets out[i : i + n_rows, j : j + width] = a[:, i : i + n_rows]' b[:, j : j + width].

    The width is n_bytes in numbers; rows of a, b and out lie anywhere, the numbers of a row side by side. A single row
    is summed in two chains, even and odd terms, since each addition has to wait for the one before it.
    """
    n_chains = 2 if n_rows == 1 else 1

    @intrinsic  # type: ignore[untyped-decorator]
    def operation(_context: Any, out: Any, i: Any, j: Any, a: Any, b: Any) -> Any:  # noqa: ARG001  called by name
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            arrays = [make_array(signature.args[k])(context, builder, args[k]) for k in (0, 3, 4)]
            number = context.get_data_type(out.dtype)
            size = context.get_abi_sizeof(number)
            pack = ir.VectorType(number, n_bytes // size)
            to, of_a, of_b = (_Rows(builder, array, size) for array in arrays)

            def terms(k: Any, sums: list[Any]) -> list[Any]:
                b_k = builder.load(of_b.at(k, args[2], pack), align=size)
                factors = (builder.load(of_a.at(k, builder.add(args[1], INT(r)), number)) for r in range(n_rows))
                return [_multiply_add(builder, pack, a_k, b_k, total) for a_k, total in zip(factors, sums, strict=True)]

            def chained(k: Any, sums: list[Any]) -> list[Any]:
                of_chain = [sums[c * n_rows : (c + 1) * n_rows] for c in range(n_chains)]
                return [s for c in range(n_chains) for s in terms(builder.add(k, INT(c)), of_chain[c])]

            sums = [ir.Constant(pack, [0.0] * pack.count)] * (n_rows * n_chains)
            n_terms = builder.extract_value(arrays[2].shape, 0)
            k, sums = _loop(builder, INT(0), n_chains, n_terms, sums, chained)
            _, first = _loop(builder, k, 1, n_terms, sums[:n_rows], terms)
            for r, total in enumerate(first):
                for chain in range(1, n_chains):
                    total = builder.fadd(total, sums[chain * n_rows + r])
                builder.store(total, to.at(builder.add(args[1], INT(r)), args[2], pack), align=size)
            return context.get_dummy_value()

        return types.void(out, types.intp, types.intp, a, b), code

    return operation  # type: ignore[no-any-return]


class _Rows:
    """Addresses in the rows of a matrix."""

    def __init__(self, builder: Any, array: Any, size: int) -> None:
        self._builder, self._data = builder, array.data
        self._stride = builder.sdiv(builder.extract_value(array.strides, 0), INT(size), flags=["exact"])

    def at(self, row: Any, column: Any, kind: Any) -> Any:
        place = self._builder.add(self._builder.mul(row, self._stride), column)
        return self._builder.bitcast(self._builder.gep(self._data, [place]), kind.as_pointer())


def _multiply_add(builder: Any, pack: Any, number: Any, values: Any, total: Any) -> Any:
    """number x values + total, rounded once."""
    undefined, int32 = ir.Constant(pack, ir.Undefined), ir.IntType(32)
    one = builder.insert_element(undefined, number, int32(0))
    spread = builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(int32, pack.count), [0] * pack.count))
    return builder.fadd(builder.fmul(spread, values, flags=["contract"]), total, flags=["contract"])


def _loop(builder: Any, first: Any, step: int, end: Any, sums: list[Any], body: Callable[..., list[Any]]) -> Any:
    """k = first, first + step, ... while k + step <= end: sums = body(k, sums). The k that is left, and the sums."""
    before, head, inside, after = builder.block, *(builder.append_basic_block() for _ in range(3))
    builder.branch(head)
    builder.position_at_end(head)
    k, *now = (builder.phi(value.type) for value in (first, *sums))
    following = builder.add(k, INT(step))
    builder.cbranch(builder.icmp_signed("<=", following, end), inside, after)
    builder.position_at_end(inside)
    new = body(k, now)
    for phi, start, next_one in zip((k, *now), (first, *sums), (following, *new), strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(next_one, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return k, now


four_rows, four_half_rows, one_row, one_half_row = tile(4, WIDE), tile(4, HALF), tile(1, WIDE), tile(1, HALF)


@jit
def transposed_product(out: Array, W: Array, v: Array) -> None:
    """out = W' v, of the first columns of W alone if out is shorter. The last tile may overlap the one before it."""
    n, wide, half = out.size, WIDE // out.itemsize, HALF // out.itemsize
    to, a, rest = view(out, 0, (1, n)), view(v, 0, (v.size, 1)), n % wide
    if n < half:
        plain.transposed_product(out, W, v)
        return
    for j in range(0, n - rest, wide):
        one_row(to, 0, j, a, W)
    if rest > half and n > wide:
        one_row(to, 0, n - wide, a, W)
    elif rest > 0:
        for j in range(0, rest, half):
            one_half_row(to, 0, min(n - rest + j, n - half), a, W)


@jit
def window_product(G: Array, ds: Array, us: Array) -> None:
    """G = sum over t of d_t u_t', the rows of ds and us: G (I, J), ds (n, I), us (n, J). Tiles may overlap."""
    (m, n), wide, half = G.shape, WIDE // G.itemsize, HALF // G.itemsize
    rest = n % wide
    if m < 4 or n < half:
        plain.window_product(G, ds, us)
        return
    for row in range(0, m, 4):
        i = min(row, m - 4)
        for j in range(0, n - rest, wide):
            four_rows(G, i, j, ds, us)
        if rest > half and n > wide:
            four_rows(G, i, n - wide, ds, us)
        elif rest > 0:
            for j in range(0, rest, half):
                four_half_rows(G, i, min(n - rest + j, n - half), ds, us)


if numba.config.DISABLE_JIT:
    transposed_product, window_product = plain.transposed_product, plain.window_product
