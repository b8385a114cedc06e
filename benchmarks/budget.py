"""Does the budget hold? Alerts raised on calm streams, for each alert that was asked for.

    python -m benchmarks.budget [--quick] [--streams ar99,counts] [--channels] [--data SKAB_DIR] [--json FILE]

Every stream is run as several machines, for as many days as it takes to ask for 100 alerts at the smallest budget;
with 30 sensors and more, at one a day. The detector does not know the budget: one pass serves all of them. What a
machine may raise begins with its first record, so that the hours in which it learns, and is silent, count as days
watched; "after 2 days" leaves each machine's first two days out, their alerts and their budget. "unthrottled" is what
calibration alone would raise, if the policy asked for no more evidence once it is overspent. Only `anomaly` alerts
spend budget; new regimes, which are told as well, have a column of their own.

SKAB_DIR is the `data` folder of https://github.com/waico/SKAB; its anomaly-free file is 166 minutes long: told, and
not judged.
"""

from __future__ import annotations

import argparse
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.calm_streams import STREAMS, CalmStream, chosen
from benchmarks.skab_calm import read_calm
from benchmarks.stamp import stamp, write_json
from benchmarks.watching import Watched, watch
from scrnn_stream.simulate import DAY

N_QUICK = 10.0  # alerts asked for
N_MOST_MACHINES, LEAST_DAYS = 10, 30.0
MANY_SENSORS, LEAST_BUDGET_OF_MANY = 30, 1.0
SETTLING_S = 2 * DAY
HOLDS = (0.5, 1.5)  # achieved / asked


class Row(NamedTuple):
    """What a stream raised at one budget, on all its machines; `later` is without their first two days.

    `n_unthrottled` is what it would have raised had the policy not asked for more evidence once it was overspent.
    """

    stream: str
    alerts_per_day: float
    asked: float
    achieved: int
    asked_later: float
    achieved_later: int
    n_unthrottled: int
    by_channel: dict[str, int]

    @property
    def ratio(self) -> float:
        return self.achieved / self.asked

    @property
    def ratio_later(self) -> float:
        return self.achieved_later / self.asked_later if self.asked_later else math.nan

    @property
    def holds(self) -> bool:
        return HOLDS[0] <= self.ratio <= HOLDS[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", default="0.1,1,10", help="alerts a day, with commas between")
    parser.add_argument("--alerts", type=float, default=100.0, help="asked of each stream at the smallest budget")
    parser.add_argument("--quick", action="store_true", help=f"the same as --alerts {N_QUICK:g}")
    parser.add_argument("--streams", default="", help="names, or how they begin, with commas between")
    parser.add_argument("--channels", action="store_true", help="tell which channel raised each alert; slower")
    parser.add_argument("--data", type=Path, metavar="SKAB_DIR")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="machines watched at the same time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    budgets = [float(budget) for budget in options.budgets.split(",")]
    n_alerts = N_QUICK if options.quick else options.alerts
    rows: list[Row] = []
    print(HEADER, flush=True)
    for stream, runs in all_runs(chosen(options.streams), budgets, n_alerts, options.channels, options.jobs):
        new = rows_of(stream.name, budgets, runs)
        rows += new
        print(*lines(new, runs), sep="\n", flush=True)
    print(verdict(rows))
    if options.data:
        runs = [watch(*read_calm(options.data)[1:], budgets, options.channels)]
        print(*lines(rows_of("SKAB", budgets, runs), runs), sep="\n")
    if options.json:
        numbers = [row._asdict() | {"ratio": row.ratio, "holds": row.holds} for row in rows]
        write_json(options.json, {**stamp(budgets=budgets, alerts=n_alerts), "rows": numbers})


# ------------------------------------------------------------------------------------------------------------- to watch


def plan(stream: CalmStream, budgets: Sequence[float], n_alerts: float) -> tuple[int, float]:
    """Machines, and days of each: enough for that many alerts at the smallest budget, a month at least on a machine."""
    least = max(min(budgets), LEAST_BUDGET_OF_MANY if stream.n_sensors >= MANY_SENSORS else 0.0)
    days = max(LEAST_DAYS, n_alerts / least)
    n_machines = int(np.clip(days // LEAST_DAYS, 1, N_MOST_MACHINES))
    return n_machines, days / n_machines


def all_runs(
    streams: Sequence[CalmStream], budgets: Sequence[float], n_alerts: float, by_channel: bool, n_jobs: int | None
) -> Iterator[tuple[CalmStream, list[Watched]]]:
    """Each stream with the watch over its machines."""
    with ProcessPoolExecutor(n_jobs, initializer=warm_up) as pool:
        for stream in streams:
            n_machines, days = plan(stream, budgets, n_alerts)
            run = partial(watch_machine, stream.name, days, budgets, by_channel)
            yield stream, list(pool.map(run, range(n_machines)))


def warm_up() -> None:
    """Compile before the clock starts."""
    watch(*STREAMS[0].machine(0, days=0.1), [1.0])


def watch_machine(name: str, days: float, budgets: Sequence[float], by_channel: bool, number: int) -> Watched:
    """One machine of a stream."""
    [stream] = (stream for stream in STREAMS if stream.name == name)
    return watch(*stream.machine(number, days), budgets, by_channel)


def rows_of(stream: str, budgets: Sequence[float], runs: Sequence[Watched]) -> list[Row]:
    """What the machines of a stream raised at each budget."""
    days = sum(run.days for run in runs)
    days_later = sum(max(0.0, run.days - SETTLING_S / DAY) for run in runs)
    rows = []
    for i, budget in enumerate(budgets):
        alerts = [alert for run in runs for alert in run.raised[i]]
        later = [alert for alert in alerts if alert.since_start_s >= SETTLING_S]
        asked = (budget * days, len(alerts), budget * days_later, len(later))
        n_unthrottled = sum(run.n_unthrottled[i] for run in runs)
        by_channel = Counter(alert.channel for alert in alerts if alert.channel)
        rows.append(Row(stream, budget, *asked, n_unthrottled, dict(by_channel)))
    return rows


# -------------------------------------------------------------------------------------------------------------- to tell

HEADER = "stream       machines x days  us a record  regimes   a day   raised / asked   after 2 days  unthrottled"


def lines(rows: Sequence[Row], runs: Sequence[Watched]) -> Iterator[str]:
    """A line for each budget; what holds for all of them stands in the first."""
    n_records = sum(run.n_records for run in runs)
    cost = 1e6 * sum(run.score_s for run in runs) / n_records
    n_regimes = sum(run.n_regimes for run in runs)
    head = f"{rows[0].stream:12} {len(runs):8} x {runs[0].days:4.3g}  {cost:11.1f}  {n_regimes:7}"
    for i, row in enumerate(rows):
        asked = f"{row.asked:.4g}" if row.asked < 9.5 else f"{row.asked:.0f}"
        told = f"{row.achieved:5} / {asked:>7} = {row.ratio:5.2f}{' ' if row.holds else '!'}"
        told += f" {row.ratio_later:5.2f} {row.n_unthrottled / row.asked:12.2f}"
        channels = ", ".join(f"{n} {name}" for name, n in Counter(row.by_channel).most_common())
        yield f"{head if i == 0 else '':51}  {row.alerts_per_day:5g} {told}   {channels}".rstrip()


def verdict(rows: Sequence[Row]) -> str:
    """On how many streams the budget held."""
    n = sum(row.holds for row in rows)
    low, high = HOLDS
    return f"raised / asked within {low} to {high} in {n} of {len(rows)} rows; ! marks the others"


if __name__ == "__main__":
    main()
