"""What the pipeline of the product says of SKAB: its scores, and its alerts at a budget."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.replaying import Replay, raised, replay_file
from benchmarks.skab_files import LABELS, N_TRAINING, TIME, File
from benchmarks.skab_scoring import Tally, tally


def replays(files: Iterable[File], alerts_per_day: float) -> list[Replay]:
    """Each file through a pipeline of its own."""
    return [replay_file(file.path, alerts_per_day, LABELS) for file in files]


def write(out: Path, files: Iterable[File], replays: Iterable[Replay]) -> None:
    """Our score of each row, and whether an alert was open."""
    for file, replay in zip(files, replays, strict=True):
        path = out / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow([TIME, "anomaly_score", "alert"])
            writer.writerows(zip(file.times, replay.scores, map(int, replay.is_open), strict=True))


def tell_alerts(files: Sequence[File], replays: Sequence[Replay]) -> None:
    """In which files an `anomaly` alert is raised inside the fault, and what lies under alerts."""
    n_hit, rows = 0, Tally(0, 0, 0, 0)
    for file, replay in zip(files, replays, strict=True):
        of_file, hit = _rows(file, replay), _raised_in_fault(file, replay)
        n_hit, rows = n_hit + hit, rows.plus(of_file)
        n_alerts, n_normal = len(raised(replay.alerts, "anomaly")), of_file.n_false + of_file.n_quiet
        verdict = "hit " if hit else "miss"
        print(f"{file.name:16} {verdict} alerts {n_alerts}  normal rows under alert {of_file.n_false:4}/{n_normal}")
    print(f"files hit {n_hit} of {len(files)}; normal rows under an alert {rows.false_alarm_rate:.1%}; ", end="")
    print(f"faulty rows under an alert {1 - rows.missed_alarm_rate:.1%}; F1 {rows.f1:.2f}")
    always = Tally(rows.n_found + rows.n_missed, 0, rows.n_false + rows.n_quiet, 0)
    print(f"always open: normal rows under an alert 100%; F1 {always.f1:.2f}")


def _rows(file: File, replay: Replay) -> Tally:
    after = slice(N_TRAINING, None)
    return tally(file.faulty[after], np.array(replay.is_open)[after])


def _raised_in_fault(file: File, replay: Replay) -> bool:
    fault = {time for time, is_faulty in zip(replay.times, file.faulty, strict=True) if is_faulty}
    return any(alert.raised in fault for alert in raised(replay.alerts, "anomaly"))
