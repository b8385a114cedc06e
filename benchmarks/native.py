"""The C files of this folder, built with gcc when they are asked for."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

COMPILER = "gcc"
FLAGS = ("-O3", "-march=native", "-ffast-math")


def compiler_version() -> str | None:
    """The first line of `gcc --version`; None where there is no gcc."""
    if shutil.which(COMPILER) is None:
        return None
    return subprocess.run([COMPILER, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


@cache
def library(name: str) -> ctypes.CDLL:
    """The functions of `name`.c. OSError where it cannot be built."""
    with tempfile.TemporaryDirectory() as folder:
        built, compiled = Path(folder) / f"{name}.so", Path(folder) / f"{name}.o"
        source = Path(__file__).with_name(f"{name}.c")
        _run(COMPILER, *FLAGS, "-fPIC", "-c", source, "-o", compiled)
        # linked without -ffast-math: that would set denormal numbers to 0 in all of this process, our kernel included
        _run(COMPILER, "-shared", compiled, "-o", built, "-lm")
        return ctypes.CDLL(str(built))


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True)  # FileNotFoundError is an OSError
    if done.returncode:
        raise OSError(f"{' '.join(map(str, command))} failed: {done.stderr}")
