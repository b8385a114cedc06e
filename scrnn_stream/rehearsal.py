"""All kernels are compiled before work begins, by a process of its own: once for each computer and version.

A process that compiles kernels needs a minute and a half for it, and half a gigabyte that it never gives back; and it
goes on with other code than one that loads the same kernels from Numba's cache, so that its results differ in the last
digits. A service that compiled would miss its poll interval with the first batch, and what it tells would not be, to
the last digit, what it tells after a restart.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from scrnn_stream._compile import CACHE, IS_COMPILED, fingerprint
from scrnn_stream.encoding import decode, encode
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.records import Partition, Position, Record
from scrnn_stream.usage import UsageError

MARK = "rehearsed.txt"  # beside the kernels: for which sources, compiler and processor they are all there
PARTITION = Partition("rehearsal", 0)
N_CALM, N_STRANGE, N_AFTER = 480, 24, 40  # records
INTERVAL_S = 300.0

Say = Callable[[str], None]


def prepare(say: Say) -> None:
    """Return when all kernels that the pipeline needs are loaded; another process compiles those that are not there.

    Raises
    ------
    UsageError
        If that process fails.
    """
    if not IS_COMPILED:
        return
    mark = CACHE / MARK
    if _read(mark) != fingerprint():
        with _alone(mark) as locks:
            if _read(mark) != fingerprint():  # nobody else has done it while this process waited
                say("compiling the kernels, once: this takes a minute or two")
                _compile(locks)
                mark.write_text(fingerprint())
    rehearse()


def rehearse() -> None:
    """Everything that a pipeline can do, in small: learn, alert, explain, forget an outage, keep and restore."""
    logger = logging.getLogger("scrnn_stream.monitor")  # of a machine that does not exist nobody wants to hear
    logger.disabled = True
    try:
        pipeline, records = Pipeline(), list(_records())
        pipeline.process(records[:-N_AFTER])
        pipeline.restore(PARTITION, decode(encode(pipeline.to_state(PARTITION))))
        pipeline.process(records[-N_AFTER:])
    finally:
        logger.disabled = False


def _records() -> Iterator[Record]:
    """A machine of four sensors, of which two depart from the others, and one is away for a while."""
    rng = np.random.default_rng(0)
    for n in range(N_CALM + N_STRANGE + N_AFTER):
        swing = np.sin(2 * np.pi * n / 50)
        values = swing * np.array([1.0, -1.0, 0.5, 2.0]) + rng.normal(0.0, 0.1, 4)
        if n >= N_CALM:
            values[:2] += 8.0 if n < N_CALM + N_STRANGE else 0.0
        if N_CALM // 2 <= n < N_CALM // 2 + 60:
            values[3] = np.nan
        readings = {f"sensor-{k}": float(value) for k, value in enumerate(values)}
        yield Record(Position(PARTITION, n), "machine", n * INTERVAL_S, readings)


def _compile(locks: list[int]) -> None:
    """The locks are the child's too: they hold as long as one of the two lives."""
    command = [sys.executable, "-W", "ignore", "-m", "scrnn_stream.rehearsal"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, pass_fds=locks)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UsageError(f"the kernels cannot be compiled: {last}")


def _read(mark: Path) -> str:
    with contextlib.suppress(OSError):
        return mark.read_text()
    return ""


@contextlib.contextmanager
def _alone(mark: Path) -> Iterator[list[int]]:
    """One process at a time compiles: two would do the same work, and mix their kernels."""
    if sys.platform == "win32":  # has no such lock
        yield []
        return
    import fcntl

    mark.parent.mkdir(parents=True, exist_ok=True)
    with mark.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield [file.fileno()]


if __name__ == "__main__":
    rehearse()
