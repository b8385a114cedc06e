"""How kernels are compiled, and how they cut views out of a flat vector. The only file that speaks to the compiler."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite
import numba
from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
from numba.core import types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic, overload, register_jitable
from numba.np.arrayobj import make_array, populate_array
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
IS_COMPILED = not numba.config.DISABLE_JIT
FLAGS = {"reassoc", "contract", "nsz", "arcp", "afn"}  # NaN means missing and infinity divergence: no `nnan`, no `ninf`

STAMP = tuple(
    (path.name, path.stat().st_mtime_ns, path.stat().st_size)
    for path in sorted(Path(__file__).parent.glob("*.py"))
    if path.name == "_compile.py" or "scrnn_stream._compile import" in path.read_text()
)  # of all files with kernels


def jit(function: F) -> F:
    """Compile a kernel: the one place that decides the flags."""
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=FLAGS)(function)
    if IS_COMPILED:
        # Numba's cache asks only whether the kernel's own file has changed, and kernels are built from other files too
        compiled._cache._cache_file._source_stamp = STAMP
    return cast(F, compiled)


def jit_or_python(function: F) -> F:
    """Compile a function where a kernel calls it; from Python it is called as it stands, and its views own a share."""
    return cast(F, register_jitable(function))


def view(vector: NDArray[Any], start: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """The numbers of a contiguous vector from `start` on, in `shape`.

    A compiled slice and reshape would check, call and count references: 20 ns each, and a step of a small network has
    forty. This one costs nothing, but borrows: it must not outlive the vector, so no kernel may return it to Python.
    """
    n = 1
    for size in shape:
        n *= size
    return vector[start : start + n].reshape(shape)


CACHE = Path(FunctionCache(view).cache_path)  # where Numba keeps what it has compiled of this package


def fingerprint() -> str:
    """Of all that compiled kernels depend on: their sources, the compiler, Python and the processor."""
    processor = (get_host_cpu_name(), get_host_cpu_features().flatten())
    return repr((STAMP, numba.__version__, llvmlite.__version__, sys.implementation.cache_tag, processor))


@intrinsic  # type: ignore[untyped-decorator]
def _borrow(_context: Any, vector: Any, start: Any, shape: Any) -> Any:  # noqa: ARG001  Numba calls by name
    result = types.Array(vector.dtype, len(shape), "C")

    def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        source = make_array(vector)(context, builder, args[0])
        out = make_array(result)(context, builder)
        size = context.get_abi_sizeof(context.get_data_type(vector.dtype))
        sizes = [builder.extract_value(args[2], i) for i in range(len(shape))]
        strides: list[Any] = []
        stride = context.get_constant(types.intp, size)
        for length in reversed(sizes):
            strides.insert(0, stride)
            stride = builder.mul(stride, length)
        populate_array(
            out,
            data=builder.gep(source.data, [args[1]]),
            shape=sizes,
            strides=strides,
            itemsize=context.get_constant(types.intp, size),
            meminfo=None,
        )
        return out._getvalue()

    return result(vector, types.intp, types.containers.UniTuple(types.intp, len(shape))), codegen


@overload(view)  # type: ignore[untyped-decorator]
def _view(vector: Any, start: Any, shape: Any) -> Any:  # noqa: ARG001
    def compiled(vector: Any, start: Any, shape: Any) -> Any:
        return _borrow(vector, start, shape)

    return compiled
