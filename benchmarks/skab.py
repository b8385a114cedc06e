"""SKAB: 34 runs of a pump with valves that close, and what our alerts and scores, and those of peers, make of them.

    python -m benchmarks.skab --data SKAB_DIR [--out DIR] [--peers all|none|NAME,...] [--json FILE]

SKAB_DIR is the `data` folder of https://github.com/waico/SKAB. Rows from 400 on count, as in SKAB's own protocol. Ours
runs through the pipeline of the product at the default budget and goes on learning; --out keeps its rows in
DIR/<group>/<file>.csv with `datetime,anomaly_score,alert`.

VUS-PR, AP, AUC    volume under precision and recall, average precision, area under ROC: means over the files
F1, FAR, MAR       of rows under an alert: all files together; shares of normal and of faulty rows judged wrongly
us                 of the processor for each record, scored and learned, by the detector alone

Peers go through the same rows twice: `adapting` learns every row after scoring it, `frozen` learns the first 400 alone.
Peers have no alerts; theirs are the rows whose score exceeds 99% of their own scores in rows 200 to 400 of the file,
a threshold that needs no labels.

Traps: 31 of 34 faults begin 157 to 178 rows after row 400, so a clock would score well here; row number and time since
start are no features of anybody. other/2.csv has faults in its first 400 rows, while everything is still learning.
Figures with point adjustment, in which one hit claims a whole segment, are not comparable with these.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.contender import OURS, Entry, scored
from benchmarks.peers import add_options, chosen, is_installed
from benchmarks.skab_files import N_TRAINING, File, read
from benchmarks.skab_scoring import Ranking, Tally, ranking, tally
from benchmarks.stamp import stamp, write_json

if TYPE_CHECKING:
    from benchmarks.replaying import Replay

Array = NDArray[Any]

CALM = slice(200, N_TRAINING)  # rows whose scores set the threshold of a peer
CALM_SHARE = 0.99


class Figures(NamedTuple):
    """What one detector comes to over all files."""

    detector: str
    mode: str
    ranking: Ranking
    tally: Tally
    us: float


def main() -> None:
    options = _options()
    files = list(read(options.data))
    figures, peers = [], chosen(options.peers)
    if not options.peers_only:
        from benchmarks import skab_alerts  # not where a peer needs another River than our detector does

        replays = skab_alerts.replays(files, options.alerts_per_day)
        skab_alerts.tell_alerts(files, replays)
        figures.append(ours(files, replays))
        if options.out:
            skab_alerts.write(options.out, files, replays)
        keep(options, figures)
    for entry in filter(is_installed, peers):
        figures += [peer(entry, frozen, files) for frozen in ((False, True) if entry.can_freeze else (False,))]
        keep(options, figures)
    Console().print(table(figures, [entry.name for entry in peers if not is_installed(entry)]))


def keep(options: argparse.Namespace, figures: Sequence[Figures]) -> None:
    """What is there so far: some detectors take their time."""
    if options.json:
        write_json(options.json, {**stamp(alerts_per_day=options.alerts_per_day), "results": as_plain(figures)})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="SKAB_DIR")
    add_options(parser)
    parser.add_argument("--alerts-per-day", type=float, default=1.0)
    return parser.parse_args()


# -- figures ----------------------------------------------------------------------------------------------------------


def ours(files: Sequence[File], replays: Sequence[Replay]) -> Figures:
    """Scores and alerts of the pipeline; the time is that of a bare detector, as it is of the peers."""
    scores = [np.array(replay.scores) for replay in replays]
    alerts = [np.array(replay.is_open) for replay in replays]
    bare = [scored(OURS.make(0), file.xs(OURS.reads_time)).seconds for file in files]
    return judged(OURS.name, "adapting", files, scores, alerts, 1e6 * float(np.mean(bare)))


def peer(entry: Entry, is_frozen: bool, files: Sequence[File]) -> Figures:
    """Each file through a detector that has seen nothing."""
    mode = "frozen" if is_frozen else "adapting"
    bar = track(files, f"{entry.name}, {mode}", console=Console(stderr=True))
    runs = [scored(entry.make(0), file.xs(entry.reads_time), N_TRAINING if is_frozen else None) for file in bar]
    scores = [run.scores for run in runs]
    alerts = [s > np.quantile(s[CALM], CALM_SHARE) for s in scores]
    return judged(entry.name, mode, files, scores, alerts, 1e6 * float(np.mean([run.seconds for run in runs])))


def judged(
    name: str, mode: str, files: Sequence[File], scores: Sequence[Array], alerts: Sequence[Array], us: float
) -> Figures:
    """The rows after training."""
    after = slice(N_TRAINING, None)
    rankings = [ranking(file.faulty[after], s[after]) for file, s in zip(files, scores, strict=True)]
    tallies = [tally(file.faulty[after], a[after]) for file, a in zip(files, alerts, strict=True)]
    return Figures(name, mode, Ranking(*np.mean(rankings, axis=0).tolist()), reduce(Tally.plus, tallies), us)


# -- telling ----------------------------------------------------------------------------------------------------------


def table(figures: Iterable[Figures], absent: Iterable[str]) -> Table:
    made = Table(title="SKAB, 34 files", box=SIMPLE, collapse_padding=True, pad_edge=False)
    for column in ("detector", "mode"):
        made.add_column(column, no_wrap=True)
    for column in ("VUS-PR", "AP", "AUC", "F1", "FAR %", "MAR %", "us"):
        made.add_column(column, justify="right", no_wrap=True)
    for row in figures:
        rates = (100 * row.tally.false_alarm_rate, 100 * row.tally.missed_alarm_rate, row.us)
        cells = [*(f"{value:.3f}" for value in row.ranking), f"{row.tally.f1:.2f}", *(f"{v:.1f}" for v in rates)]
        made.add_row(row.detector, row.mode, *cells)
    for name in absent:
        made.add_row(name, "not installed")
    return made


def as_plain(figures: Iterable[Figures]) -> list[dict[str, Any]]:
    """Rows as JSON has them."""
    return [
        {
            "detector": row.detector,
            "mode": row.mode,
            **row.ranking._asdict(),
            "f1": row.tally.f1,
            "false_alarm_rate": row.tally.false_alarm_rate,
            "missed_alarm_rate": row.tally.missed_alarm_rate,
            "us": row.us,
        }
        for row in figures
    ]


if __name__ == "__main__":
    main()
