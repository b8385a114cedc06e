"""Inputs that try to hurt: each way in is fed what a coverage-guided fuzzer and Hypothesis think of.

    python -m benchmarks.fuzz                    # a million inputs, one target after the other; what `make fuzz` runs
    python -m benchmarks.fuzz --scale 0.01       # a hundredth of them
    python -m benchmarks.fuzz codecs --runs 500  # one target

A crash, an input that takes longer than 10 s, and more memory than 1.5 GB end a target; the input is kept in --keep.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

RUNS = {  # inputs, by how much they cost
    "codecs": 330_000, "alerts": 200_000, "checkpoint": 160_000, "http": 150_000, "rows": 80_000, "config": 60_000,
    "state": 20_000, "stream": 15_000, "command": 10_000,
}  # fmt: skip
EXAMPLES = 10_000  # of Hypothesis
TIMEOUT_S, RSS_MB, MOST_BYTES = 10, 1536, 4096
GUIDING = ["connectors", "scrnn_stream", "tomllib", "argparse", "http"]  # packages whose branches guide the fuzzer


class Result(NamedTuple):
    """What came of one target."""

    target: str
    inputs: int
    seconds: float
    branches: int
    kept: int
    peak_mb: int
    problem: str


def main() -> int:
    """Fuzz, and print a table."""
    options = _options()
    if options.child:
        return _fuzz(options.child, options.arguments)
    logging.disable(logging.CRITICAL)
    _compile()
    results = [_run(name, options) for name in options.targets or RUNS]
    if not options.targets:
        results.append(_hypothesis(round(EXAMPLES * options.scale)))
    print(*_table(results), sep="\n")
    return 1 if any(result.problem for result in results) else 0


def _compile() -> None:
    """Kernels, which take longer than an input may. Imported here: what is known already cannot be instrumented."""
    from scrnn_stream.rehearsal import prepare

    prepare(lambda line: print(line, file=sys.stderr))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("targets", nargs="*", help=f"some of {', '.join(RUNS)} [all]")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of inputs [1]")
    parser.add_argument("--runs", type=int, help="inputs of each target, in place of its own number")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), help="for inputs that hurt [fuzz-findings]")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--arguments", nargs=argparse.REMAINDER, default=[], help=argparse.SUPPRESS)
    options = parser.parse_args()
    for name in options.targets:
        if name not in RUNS:
            parser.error(f"no target {name!r}: there are {', '.join(RUNS)}")
    if importlib.util.find_spec("atheris") is None:
        parser.error("needs Atheris, which has no wheel for every system: pip install atheris")
    return options


def _run(name: str, options: argparse.Namespace) -> Result:
    """One target, in a process of its own: a crash ends that one."""
    runs = options.runs or max(1, round(RUNS[name] * options.scale))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        command = [
            sys.executable,
            "-m",
            "benchmarks.fuzz",
            "--child",
            name,
            "--arguments",
            *_flags(place, runs, options),
        ]
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        seconds = time.perf_counter() - begin
        problem = "" if done.returncode == 0 else _keep(name, Path(place), options.keep, done.stdout + done.stderr)
    result = _parsed(name, done.stderr, seconds, problem)
    print(f"{name}: {result.inputs} inputs in {seconds:.0f} s{': ' + problem if problem else ''}", file=sys.stderr)
    return result


def _flags(place: str, runs: int, options: argparse.Namespace) -> list[str]:
    """Of libFuzzer, which is under it."""
    return [
        f"-runs={runs}", f"-seed={options.seed}", f"-timeout={TIMEOUT_S}", f"-rss_limit_mb={RSS_MB}",
        f"-max_len={MOST_BYTES}", f"-artifact_prefix={place}/", "-print_final_stats=1", "-verbosity=1", place,
    ]  # fmt: skip


def _fuzz(name: str, arguments: list[str]) -> int:
    """The process of one target; does not come back."""
    import atheris

    kernels = [f"scrnn_stream.{path.stem}" for path in Path("scrnn_stream").glob("*.py") if "jit" in path.read_text()]
    with atheris.instrument_imports(include=GUIDING, exclude=kernels):  # their compiler reads their bytecode
        from benchmarks.fuzz_targets import TARGETS
    logging.disable(logging.CRITICAL)
    target, corpus = TARGETS[name], Path(arguments[-1])
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = corpus.parent / f"{corpus.name}.dict"
    words.write_text("".join(map(_entry, target.words)))
    atheris.Setup([sys.argv[0], *([f"-dict={words}"] if target.words else []), *arguments], target.run)
    atheris.Fuzz()
    return 0


def _entry(word: bytes) -> str:
    """A line of libFuzzer's dictionary."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'


def _parsed(name: str, text: str, seconds: float, problem: str) -> Result:
    def last(pattern: str) -> int:
        return int(found[-1]) if (found := re.findall(pattern, text)) else 0

    inputs = last(r"stat::number_of_executed_units:\s*(\d+)") or last(r"#(\d+)")
    return Result(name, inputs, seconds, last(r"cov: (\d+)"), last(r"corp: (\d+)"), last(r"rss: (\d+)Mb"), problem)


def _keep(name: str, place: Path, keep: Path, text: str) -> str:
    """The input that hurt, where one can look at it, and what it did in one line."""
    for found in (*place.glob("crash-*"), *place.glob("timeout-*"), *place.glob("oom-*")):
        keep.mkdir(exist_ok=True)
        shutil.copy(found, keep / f"{name}-{found.name}")
        (keep / f"{name}-{found.name}.txt").write_text(text[-20_000:])
    said = re.findall(r"^(?:[\w.]*(?:Error|Exception|Exit)\b.*|.*(?:ALARM|out-of-memory).*)$", text, re.MULTILINE)
    return said[0][:200] if said else f"it ended: {' '.join(text.split())[-200:]}"


def _hypothesis(n: int) -> Result:
    """Whole streams of messages as Hypothesis makes them, through the pipeline."""
    from hypothesis import HealthCheck, given, settings

    from benchmarks.fuzz_messages import lines_of_messages
    from benchmarks.fuzz_targets import TARGETS

    n_done, begin, problem = 0, time.perf_counter(), ""

    @settings(max_examples=max(1, n), deadline=TIMEOUT_S * 1000, database=None, suppress_health_check=list(HealthCheck))
    @given(lines_of_messages)
    def streams(data: bytes) -> None:
        nonlocal n_done
        n_done += 1
        TARGETS["stream"].run(data)

    try:
        streams()
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"[:200]
    return Result("stream (Hypothesis)", n_done, time.perf_counter() - begin, 0, 0, 0, problem)


def _table(results: Iterable[Result]) -> Iterable[str]:
    yield "| Target | Inputs | Seconds | Branches | Kept | Peak MB | Found |"
    yield "|---|--:|--:|--:|--:|--:|---|"
    total, seconds = 0, 0.0
    for r in results:
        total, seconds = total + r.inputs, seconds + r.seconds
        shown = [f"{number:,}" if number else "" for number in (r.branches, r.kept, r.peak_mb)]
        yield f"| {r.target} | {r.inputs:,} | {r.seconds:.0f} | {' | '.join(shown)} | {r.problem or 'nothing'} |"
    yield f"| all | {total:,} | {seconds:.0f} | | | | |"


if __name__ == "__main__":
    sys.exit(main())
