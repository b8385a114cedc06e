"""The machine that a table was measured on, and the most that one of its cores can multiply and add."""

from __future__ import annotations

import ctypes
import os
import platform
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version

import numpy as np

from benchmarks.native import compiler_version, library
from benchmarks.stamp import cpu, of_processor
from benchmarks.timing import seconds

VECTOR_UNITS = ("avx2", "fma", "avx512f")


def describe() -> dict[str, object]:
    """Date, processor, cores, and the versions of what compiles."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu(),
        "vector_units": [unit for unit in VECTOR_UNITS if unit in of_processor("flags").split()],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numba": version("numba"),
        "numpy": version("numpy"),
        "gcc": compiler_version(),
        "fma_peak_gflops": fma_peak(),
    }


@cache
def fma_peak() -> float | None:
    """GFLOP/s of independent multiply-adds in float32 on one core: the best of 60 runs of 5 ms. None without gcc."""
    if compiler_version() is None:
        return None
    run = library("peak").multiply_add
    run.argtypes, run.restype = (ctypes.c_long, ctypes.c_void_p), ctypes.c_double
    n, numbers = 1_500_000, np.array([0.999, 0.001], np.float32)
    n_operations = run(n, numbers.ctypes.data)
    return float(n_operations / min(seconds(lambda: run(n, numbers.ctypes.data)) for _ in range(60)) / 1e9)
