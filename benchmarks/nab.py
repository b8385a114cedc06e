"""NAB: the Numenta Anomaly Benchmark, 58 files of one value each, scored strictly online by a fresh detector for each.

    python -m benchmarks.nab --data NAB_DIR [--out DIR] [--seeds N] [--peers all|none|NAME,...] [--raw] [--json FILE]

NAB_DIR is a copy of https://github.com/numenta/NAB with `data` and `labels`. --out keeps our scores of seed 0 in
DIR/<category>/<file>.csv with `timestamp,value,anomaly_score`.

standard, low FP, low FN   NAB's three scores: 0 is a silent detector, 100 a perfect one
windows                    of 116 labelled ones, how many have an alarm in them, at the threshold of `standard`
false rows                 rows outside all windows above the same threshold
us                         of the processor for each record, scored and learned

NAB counts every row above the threshold as an alarm of its own, so a detector that stays high through a fault pays for
each row after it. Every detector is therefore measured three times: `raw`; `rise`, where only the rows count whose
score exceeds all scores of the 50 records before; and `onset`, where an alarm is repeated within 100 records only if
its score has grown by a fifth. All look only back. The second asks nothing of a score but its order, the last a scale
with a zero: judge each detector by its best. --out keeps our onsets.

Traps: NAB chooses the threshold on the labels, one for all files; no user can. It would also allow a file's minimum and
maximum to be known in advance, which nobody here is told.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.contender import OURS, Entry, Reading, Scored, scored
from benchmarks.nab_scoring import PROFILES, Ground, best, ground, hits, n_probation, together
from benchmarks.onsets import onsets, rises
from benchmarks.peers import add_options, chosen, is_installed
from benchmarks.stamp import stamp, write_json

Array = NDArray[Any]

VARIANTS: dict[str, Callable[[Array], Array]] = {"onset": onsets, "rise": rises, "raw": np.asarray}
N_WARM = 500  # records before the clock starts: the kernels are compiled or loaded


class File(NamedTuple):
    """One file of NAB: its name with its category, its rows, and where its labelled windows begin and end."""

    name: str
    times: list[str]
    values: list[float]
    windows: list[tuple[int, int]]

    def readings(self, with_time: bool) -> Iterator[Reading]:
        for time, value in zip(self.times, self.values, strict=True):
            yield {"value": value, "timestamp": datetime.fromisoformat(time)} if with_time else {"value": value}


class Figures(NamedTuple):
    """What one run over all files comes to."""

    detector: str
    variant: str
    seed: int
    scores: tuple[float, ...]  # in the order of PROFILES
    threshold: float
    n_windows: int
    n_false_alarms: int
    us: float


def main() -> None:
    options = _options()
    files = list(read(options.data))
    entries = ([] if options.peers_only else [OURS]) + chosen(options.peers)
    figures = []
    for entry in filter(is_installed, entries):
        for seed in range(options.seeds if entry.draws_numbers else 1):
            results = run(entry, seed, files)
            if entry is OURS and seed == 0 and options.out:
                write(options.out, files, [result.scores for result in results], options.raw)
            figures += [judged(entry.name, variant, seed, files, results) for variant in VARIANTS]
            keep(options, figures)
    Console().print(table(figures, [entry.name for entry in entries if not is_installed(entry)]))
    if options.out:
        print(f"NAB's own judge: copy {options.out}/*/*.csv to NAB_DIR/results/NAME/*/NAME_*.csv, then in NAB_DIR")
        print("python run.py -d NAME --optimize --score --normalize")


def keep(options: argparse.Namespace, figures: Sequence[Figures]) -> None:
    """What is there so far: some detectors take their time."""
    if options.json:
        write_json(options.json, {**stamp(seeds=options.seeds), "results": [as_plain(row) for row in figures]})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="NAB_DIR")
    add_options(parser)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each detector that draws random numbers")
    parser.add_argument("--raw", action="store_true", help="write raw scores instead of onsets")
    return parser.parse_args()


# -- files ------------------------------------------------------------------------------------------------------------


def read(data: Path) -> Iterator[File]:
    """All files that have labels, in order of their names."""
    labels = json.loads((data / "labels" / "combined_windows.json").read_text())
    for name, windows in sorted(labels.items()):
        with (data / "data" / name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        times = [row["timestamp"] for row in rows]
        ends = [(_row(times, first), _row(times, last)) for first, last in windows]
        yield File(name, times, [float(row["value"]) for row in rows], ends)


def _row(times: Sequence[str], label: str) -> int:
    return times.index(label.partition(".")[0])


def write(out: Path, files: Iterable[File], scores: Iterable[Array], is_raw: bool) -> None:
    """One file of scores for each of NAB's; what is no onset has the score 0."""
    for file, raw in zip(files, scores, strict=True):
        path = out / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = raw if is_raw else np.maximum(onsets(raw), 0.0)
        with path.open("w", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow(["timestamp", "value", "anomaly_score"])
            writer.writerows(zip(file.times, file.values, kept.tolist(), strict=True))


# -- scores -----------------------------------------------------------------------------------------------------------


def run(entry: Entry, seed: int, files: Sequence[File]) -> list[Scored]:
    """Each file through a detector that has seen nothing."""
    scored(entry.make(seed), list(files[0].readings(entry.reads_time))[:N_WARM])
    bar = track(files, f"{entry.name}, seed {seed}", console=Console(stderr=True))
    return [scored(entry.make(seed), file.readings(entry.reads_time)) for file in bar]


def judged(name: str, variant: str, seed: int, files: Sequence[File], results: Sequence[Scored]) -> Figures:
    """NAB's figures for the scores of all files."""
    rows = together([of_file(file) for file in files])
    kept = [VARIANTS[variant](result.scores) for result in results]
    scores = np.concatenate([part[n_probation(len(part)) :] for part in kept])
    scores = np.where(np.isnan(scores), -math.inf, scores)
    found = [best(scores, rows, profile) for profile in PROFILES]
    n_windows, n_false = hits(scores, rows, found[0].threshold)
    us = 1e6 * sum(part.seconds * len(part.scores) for part in results) / sum(len(part.scores) for part in results)
    return Figures(name, variant, seed, tuple(f.score for f in found), found[0].threshold, n_windows, n_false, us)


def of_file(file: File) -> Ground:
    return ground(len(file.times), file.windows)


# -- telling ----------------------------------------------------------------------------------------------------------


def table(figures: Sequence[Figures], absent: Sequence[str] = ()) -> Table:
    """A row for each detector and variant: means over its seeds, of scores with the standard deviation."""
    made = Table(title="NAB, 58 files", box=SIMPLE, padding=0)
    for column in ("detector", "scores"):
        made.add_column(column, no_wrap=True)
    for column in (*(profile.name for profile in PROFILES), "windows", "false rows", "us"):
        made.add_column(column, justify="right", no_wrap=True)
    for key in dict.fromkeys((row.detector, row.variant) for row in figures):
        runs = [row for row in figures if (row.detector, row.variant) == key]
        scores = [spread([run.scores[k] for run in runs]) for k in range(len(PROFILES))]
        rest = [mean(values) for values in zip(*((r.n_windows, r.n_false_alarms, r.us) for r in runs), strict=True)]
        made.add_row(*key, *scores, *(f"{value:.{n}f}" for value, n in zip(rest, (0, 0, 1), strict=True)))
    for name in absent:
        made.add_row(name, "not installed")
    return made


def spread(values: Sequence[float]) -> str:
    """The mean, with the standard deviation where there are several."""
    return f"{mean(values):.1f} ±{stdev(values):.1f}" if len(values) > 1 else f"{values[0]:.1f}"


def as_plain(row: Figures) -> dict[str, Any]:
    """A row as JSON has it: a threshold that nothing reaches is null."""
    return row._asdict() | {"threshold": row.threshold if math.isfinite(row.threshold) else None}


if __name__ == "__main__":
    main()
