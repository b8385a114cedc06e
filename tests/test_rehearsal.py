"""Kernels are compiled once, by another process, and the rehearsal leaves none of them out."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from scrnn_stream import rehearsal
from scrnn_stream._compile import CACHE, fingerprint
from scrnn_stream.usage import UsageError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(rehearsal, "CACHE", tmp_path)
    monkeypatch.setattr(rehearsal, "IS_COMPILED", True)
    monkeypatch.setattr(rehearsal, "rehearse", lambda: None)
    return tmp_path


def test_another_process_compiles_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    calls: list[list[int]] = []
    monkeypatch.setattr(rehearsal, "_compile", calls.append)
    rehearsal.prepare(said.append)
    rehearsal.prepare(said.append)
    assert (len(calls), len(said)) == (1, 1)
    (cache / rehearsal.MARK).write_text("of other sources")
    rehearsal.prepare(said.append)
    assert len(calls) == 2


def test_who_waited_for_another_does_not_compile_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr(fcntl, "flock", lambda *_: (cache / rehearsal.MARK).write_text(fingerprint()))
    monkeypatch.setattr(rehearsal, "_compile", lambda _: pytest.fail("compiled"))
    rehearsal.prepare(lambda _: None)


def test_a_compiler_that_fails_is_told_in_one_line_and_tried_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    for _ in range(2):
        with pytest.raises(UsageError, match="the kernels cannot be compiled: exit code 1") as raised:
            rehearsal.prepare(lambda _: None)
        assert "\n" not in str(raised.value)
    assert (cache / rehearsal.MARK).read_text() == ""


def test_no_kernel_is_compiled_after_the_rehearsal() -> None:
    """Where it is, a worker has another's last digits: add what is missing to the rehearsal."""
    program = """
        import gc
        from numba.core.dispatcher import Dispatcher
        from scrnn_stream.pipeline import Pipeline
        from scrnn_stream.rehearsal import prepare
        from scrnn_stream.simulate import simulate_fleet

        prepare(print)
        pipeline = Pipeline()
        outcome = pipeline.process(simulate_fleet(days=20, seed=1).records)
        assert {alert.kind for alert in outcome.alerts} >= {"anomaly", "stuck", "silent"}
        kernels = [kernel for kernel in gc.get_objects() if isinstance(kernel, Dispatcher)]
        print([kernel.py_func.__name__ for kernel in kernels if kernel.stats.cache_misses])
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"
    assert (CACHE / rehearsal.MARK).read_text() == fingerprint()
