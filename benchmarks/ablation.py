"""Ablation: what each part of the detector is worth, on NAB and SKAB.

    python -m benchmarks.ablation --nab NAB_DIR --skab SKAB_DIR [--seeds N] [--json FILE]

NAB_DIR is a copy of https://github.com/numenta/NAB, SKAB_DIR the `data` folder of https://github.com/waico/SKAB. Every
file goes through a detector that has seen nothing, strictly online.

The first rows come from one run of the detector as shipped. The least p of some channels, times the number of those
that had something to say, is what they would have scored alone:

error only            error, bias, spread, new_error, new_spread: all that looks at the network's forecast
slow only             level, sensor, range, long_range
new extremes only     the nine channels that ask whether a sensor shows what it never did
no network at all     all but those of `error only`
no slow evidence      all but those of `slow only`
no new extremes       the seven calibrated channels
no season             all but the three extremes that are adjusted for day and week
no averages           all; a record does not count by the average of those before it
no bound on belief    all; what fitted tails say far beyond their values is believed to the letter
no calibration        no probabilities: the seven statistics in multiples of their calm means, and the largest counts

The others are runs of their own: units that stay as they were drawn, while the readout learns; one single unit, next
to a regression on the last record; no context units (the simple recurrent network); decays that are not learned; an
error that travels back one record; other sizes. `no protection` is no row: that threshold is compiled in.

standard, low FP, low FN, windows, false rows   of NAB, by onsets, as in benchmarks/nab.py
VUS-PR, AP, AUC                                 of SKAB, means over its files, as in benchmarks/skab.py
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import nab, skab_files
from benchmarks.changes import AS_SHIPPED, CHANGES, fresh
from benchmarks.contender import Reading, Scored
from benchmarks.nab_scoring import PROFILES
from benchmarks.parts import PARTS, Part, gathered
from benchmarks.skab_files import N_TRAINING
from benchmarks.skab_scoring import Ranking, ranking
from benchmarks.stamp import stamp, write_json

Array = NDArray[Any]

N_PROCESSES = min(2, os.cpu_count() or 1)


class Run(NamedTuple):
    """A detector, its seed, and where the files are."""

    change: str
    seed: int
    nab: Path
    skab: Path


class Row(NamedTuple):
    """What one run comes to when it is read in one way."""

    name: str
    seed: int
    nab: nab.Figures
    skab: Ranking

    @property
    def cells(self) -> tuple[float, ...]:
        return (*self.nab.scores, self.nab.n_windows, self.nab.n_false_alarms, *self.skab)


COLUMNS = {
    **{profile.name: 1 for profile in PROFILES},
    **{"windows": 0, "false rows": 0},
    **{"VUS-PR": 3, "AP": 3, "AUC": 3},
}  # and their decimals


def main() -> None:
    options = _options()
    runs = [Run(name, seed, options.nab, options.skab) for seed, name in product(range(options.seeds), CHANGES)]
    with ProcessPoolExecutor(N_PROCESSES) as pool:
        found = track(pool.map(rows_of, runs), "runs", total=len(runs), console=Console(stderr=True))
        rows = [row for rows in found for row in rows]
    if options.json:
        write_json(options.json, {**stamp(seeds=options.seeds), "results": [as_plain(row) for row in rows]})
    Console(width=120).print(table(rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nab", type=Path, required=True, metavar="NAB_DIR")
    parser.add_argument("--skab", type=Path, required=True, metavar="SKAB_DIR")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each detector")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


# -- figures ----------------------------------------------------------------------------------------------------------


def rows_of(run: Run) -> list[Row]:
    """All files, in all the ways in which the run is read: the one as shipped in many."""
    parts = PARTS if run.change == AS_SHIPPED else {run.change: PARTS[AS_SHIPPED]}
    of_nab, of_skab = list(nab.read(run.nab)), list(skab_files.read(run.skab))
    on_nab = scores_of(run, parts, (file.readings(with_time=True) for file in of_nab))
    on_skab = scores_of(run, parts, (file.xs(with_time=True) for file in of_skab))
    return [
        Row(name, run.seed, figures(name, run.seed, of_nab, on_nab[name]), mean_ranking(of_skab, on_skab[name]))
        for name in parts
    ]


def scores_of(run: Run, parts: dict[str, Part], files: Iterable[Iterable[Reading]]) -> dict[str, list[Array]]:
    """The scores of each file by each part."""
    scores: dict[str, list[Array]] = {name: [] for name in parts}
    for xs in files:
        evidence = gathered(fresh(run.change, run.seed), xs)
        for name, part in parts.items():
            scores[name].append(part(evidence))
    return scores


def figures(name: str, seed: int, files: Sequence[nab.File], scores: Sequence[Array]) -> nab.Figures:
    return nab.judged(name, "onset", seed, files, [Scored(s, 0.0) for s in scores])


def mean_ranking(files: Sequence[skab_files.File], scores: Sequence[Array]) -> Ranking:
    """The rows after training."""
    after = slice(N_TRAINING, None)
    rankings = [ranking(file.faulty[after], s[after]) for file, s in zip(files, scores, strict=True)]
    return Ranking(*np.mean(rankings, axis=0).tolist())


# -- telling ----------------------------------------------------------------------------------------------------------


def table(rows: Sequence[Row]) -> Table:
    """Means over the seeds, with the standard deviation where there are several."""
    made = Table(title="Ablation on NAB (onsets) and SKAB", box=SIMPLE, padding=0)
    made.add_column("detector", no_wrap=True)
    for column in COLUMNS:
        made.add_column(column, justify="right", no_wrap=True)
    for name in dict.fromkeys(row.name for row in rows):
        cells = zip(*(row.cells for row in rows if row.name == name), strict=True)
        made.add_row(name, *(spread(values, n) for values, n in zip(cells, COLUMNS.values(), strict=True)))
    return made


def spread(values: Sequence[float], n_decimals: int) -> str:
    around = f" ±{stdev(values):.{n_decimals}f}" if len(values) > 1 else ""
    return f"{mean(values):.{n_decimals}f}{around}"


def as_plain(row: Row) -> dict[str, Any]:
    """A row as JSON has it."""
    return {"detector": row.name, "seed": row.seed, "nab": nab.as_plain(row.nab), "skab": row.skab._asdict()}


if __name__ == "__main__":
    main()
