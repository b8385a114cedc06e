"""How fast the network learns: against plain C and PyTorch, alone and in fleets, and what its cost depends on.

    python -m benchmarks.kernel [--json FILE] [--only TABLE ...] [--effort 1]

All on one core unless a column says otherwise; the times of a line are medians of runs taken in turn. Tables:

kernel      D, H, C, K: inputs (and outputs), hidden units, context units, steps of truncation
            work: score, a prediction; learn, full window: the error travels back K steps; learn, early stop: until it
            has faded to 1e-3 of its start, `steps` on average (networks have learned 16,000 samples before)
            us: microseconds per sample of ours, in one compiled call over a recording
            GFLOP/s: operations of the products and of the update (workload.py) over that time; % of peak: their share
            of the most that one core can multiply and add, measured in the same run
            C us: the same work in plain C (scrn.c) by gcc -O3 -march=native -ffast-math; of C: our time over its time
            torch us: the same equations in PyTorch's eager mode, the window run forward again at each sample
fleet       one call for a sample of every network, with 1 and 2 threads, against a call of SCRNN.learn for each
truncation  microseconds of a learned sample at truncation length K, full window and early stop
sensors     the same at a growing number of inputs and outputs
length      the same in the first and in the last tenth of a long stream
start       seconds until a fresh process has imported, made a network and learned one sample; kernels in the cache
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import scaling
from benchmarks.against import kernel_rows
from benchmarks.machine import describe

Row = dict[str, Any]

TABLES: dict[str, Callable[[float], Iterator[Row]]] = {
    "kernel": kernel_rows,
    "fleet": scaling.fleet_rows,
    "truncation": scaling.truncation_rows,
    "sensors": scaling.sensor_rows,
    "length": scaling.length_rows,
    "start": scaling.start_rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    parser.add_argument("--only", nargs="+", choices=TABLES, metavar="TABLE", default=list(TABLES))
    parser.add_argument("--effort", type=float, default=1.0, help="time spent on each number; 0.1 for a glance")
    options = parser.parse_args()
    out, progress = _console(), Console(stderr=True)
    results: dict[str, Any] = {"machine": describe()}
    out.print("; ".join(f"{name} {value}" for name, value in results["machine"].items()))
    for name in options.only:
        rows = track(TABLES[name](options.effort), description=name, console=progress, transient=True)
        results[name] = list(rows)
        out.print(as_table(name, results[name], out))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=160)


def as_table(title: str, rows: list[Row], console: Console) -> Table:
    """A column for each key, three digits of each number; Markdown where it is not read in a terminal."""
    table = Table(title=title, box=box.SIMPLE_HEAD if console.is_terminal else box.MARKDOWN)
    for column, value in rows[0].items():
        table.add_column(column, justify="left" if isinstance(value, str) else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(_text, row.values()))
    return table


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    main()
