"""The next event of alarm logs with causes long ago: perplexity, and faults found by what was improbable.

    python -m benchmarks.events [--events 50000] [--first 1] [--seeds 3] [--lags 50,100,200,500]
                                [--only NAME,...] [--kinds plant,upset,faults] [--jobs N] [--json FILE]

The logs are simulated, `benchmarks/event_logs.py` says how. Every model tells each event before it learns it, from the
first one on; a cell is the median over the seeds. A lower perplexity is better; the number of different events is that
of a guess, and the entropy rate that of one who knows how the log is made.

plant    perplexity of all events by lag, and at one lag of those that a cause decides on, of those of them that
         nothing nearer than the cause tells, and of the rest
upset    perplexity, in the second half, of the one alarm that each cause leads to: a guess has 4
faults   wrong alarms and events out of order in the plant's log at lag 200: area under the curve and average precision
         in the second half of each, scored by the probability of all events no more probable than the one that came.
         Alarms that were exceptions before any fault was brought in are left out, and events after one out of order.
         Calm events should be below 0.01 once in a hundred times; `ranked` is what SCRNNEventDetector makes of that.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.event_logs import LOGS, Disturbed, Log, disturbed
from benchmarks.event_models import MODELS, all_told
from benchmarks.stamp import stamp, write_json
from scrnn_stream.tally import Tally

Array = NDArray[Any]

DETAILED = 200  # the lag whose perplexity is taken apart, and in whose log faults are found
ENTROPY = "entropy rate"
OF_UPSETS = ("2-gram", "scrnn")
LIMITS = (0.01, 0.001)  # calm events are to be below them as often
OF_FAULTS = ("2-gram", "3-gram", "bayes-2", "no-context", "scrnn")


class Task(NamedTuple):
    kind: str  # plant, upset, faults
    lag: int
    model: str
    seed: int
    n_events: int


class Result(NamedTuple):
    task: Task
    numbers: dict[str, float]


def tasks(n_events: int, lags: Iterable[int], seeds: Iterable[int], only: Iterable[str]) -> Iterator[Task]:
    for seed in seeds:
        for name in only:
            yield from (Task("plant", lag, name, seed, n_events) for lag in lags)
            yield from (Task("upset", lag, name, seed, 2 * n_events) for lag in lags if name in OF_UPSETS)
            if name in OF_FAULTS:
                yield Task("faults", DETAILED, name, seed, n_events)


# -- measuring --------------------------------------------------------------------------------------------------------


def run(task: Task) -> Result:
    log = LOGS["upset" if task.kind == "upset" else "plant"](task.n_events, task.lag, task.seed)
    if task.kind == "faults":
        faulty = disturbed(log, task.seed)
        return Result(task, found(faulty, log, p_values(told(task, faulty.log), faulty.log.events)))
    p = told(task, log)[np.arange(task.n_events), log.events]
    return Result(task, perplexities(p, log) | {ENTROPY: perplexity(log.p)})


def told(task: Task, log: Log) -> Array:
    causes = range(log.names.index(next(name for name in log.names if name.startswith(("step", "restart")))))
    n = len(log.names)
    return all_told(MODELS[task.model].make(n, causes, task.seed), log.events, n)


def perplexities(p: Array, log: Log) -> dict[str, float]:
    late = np.arange(len(p)) >= len(p) // 2
    parts = {
        "all": np.ones(len(p), bool),
        "determined": log.is_determined,
        "first": log.is_first,
        "rest": ~log.is_determined,
    }
    parts |= {f"{name}, second half": part & late for name, part in parts.items()}
    return {name: perplexity(p[part]) for name, part in parts.items() if part.any()}


def perplexity(p: Array) -> float:
    return float(np.exp(-np.log(p).mean()))


def p_values(p: Array, events: Array) -> Array:
    """Of each event the probability of all that are no more probable (n,)."""
    own = p[np.arange(len(events)), events][:, None]
    return np.asarray(np.where(p <= own, p, 0.0).sum(1))


def found(faulty: Disturbed, original: Log, p: Array) -> dict[str, float]:
    """Area under the curve and average precision of each kind of fault, against undisturbed events."""
    exception = original.is_determined & (original.p < 1 / 2) & ~faulty.is_wrong_alarm
    is_late = np.arange(len(p)) >= len(p) // 2
    kinds = {"wrong alarm": faulty.is_wrong_alarm, "out of order": faulty.is_out_of_order}
    is_calm = ~exception & ~faulty.is_after & ~np.logical_or(*kinds.values())
    numbers = {}
    for name, is_fault in kinds.items():
        judged = is_late & (is_fault | is_calm)
        numbers[f"{name}, AUC"] = float(roc_auc_score(is_fault[judged], -p[judged]))
        numbers[f"{name}, AP"] = float(average_precision_score(is_fault[judged], -p[judged]))
    for name, values in (("calm", p), ("ranked", ranked(p))):
        calm = values[is_late & is_calm]
        numbers |= {f"{name} below {limit}": float((calm <= limit).mean()) for limit in LIMITS}
    return numbers


def ranked(p: Array) -> Array:
    """Each no less than how often one so small came before (n,)."""
    tally, out = Tally(), np.empty(len(p))
    for t, value in enumerate(p.tolist()):
        out[t] = max(value, tally.probability(value))
        tally.learn(value)
    return out


# -- telling ----------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000, metavar="N")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lags", default="50,100,200,500", metavar="N,...")
    parser.add_argument("--only", metavar="NAME,...", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--kinds", default="plant,upset,faults", metavar="KIND,...")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    lags, seeds = [int(lag) for lag in options.lags.split(",")], range(options.first, options.first + options.seeds)
    only = options.only.split(",") if options.only else list(MODELS)
    console = Console()
    todo = [task for task in tasks(options.events, lags, seeds, only) if task.kind in options.kinds.split(",")]
    results = measured(todo, options.jobs)
    for table in tables(results):
        console.print(table)
    if options.json:
        rows = [{**result.task._asdict(), **result.numbers} for result in results]
        write_json(options.json, {**stamp(events=options.events, seeds=list(seeds)), "results": rows})


def measured(todo: list[Task], jobs: int) -> list[Result]:
    with ProcessPoolExecutor(jobs) as pool:
        futures = {pool.submit(run, task): task for task in todo}
        bar = track(as_completed(futures), "runs", total=len(futures), console=Console(stderr=True))
        done = {futures[future]: future.result() for future in bar}
    return [done[task] for task in todo]


def tables(results: list[Result]) -> Iterator[Table]:
    kinds = {kind: [result for result in results if result.task.kind == kind] for kind in ("plant", "upset", "faults")}
    lags = sorted({result.task.lag for result in kinds["plant"]})
    if lags:
        yield table("plant: perplexity by lag", kinds["plant"], [(f"{lag}", lag, "all") for lag in lags], ENTROPY)
    if DETAILED in lags:
        parts = [(part, DETAILED, part) for part in ("all", "determined", "first", "rest")]
        halves = [(f"{part} late", lag, f"{part}, second half") for part, lag, _ in parts]
        yield table(f"plant: perplexity at lag {DETAILED}", kinds["plant"], [*parts, *halves])
    lags = sorted({result.task.lag for result in kinds["upset"]})
    columns = [(f"{lag}", lag, "first, second half") for lag in lags]
    if lags:
        yield table("upset: perplexity of the alarm, second half", kinds["upset"], columns)
    names = list(kinds["faults"][0].numbers) if kinds["faults"] else []
    if names:
        yield table(f"faults at lag {DETAILED}", kinds["faults"], [(name, DETAILED, name) for name in names])


def table(title: str, results: list[Result], columns: list[tuple[str, int, str]], best: str = "") -> Table:
    """A row for each model; a column is its title, a lag, and the name of a number."""
    made = Table(title=title, box=SIMPLE)
    for name in ("model", *(title for title, _, _ in columns)):
        made.add_column(name, justify="left" if name == "model" else "right")
    for model in dict.fromkeys(result.task.model for result in results):
        own = [result for result in results if result.task.model == model]
        made.add_row(MODELS[model].title, *(_cell(own, lag, number) for _, lag, number in columns))
    if best:
        made.add_row(best, *(_cell(results, lag, best) for _, lag, _ in columns))
    return made


def _cell(results: list[Result], lag: int, number: str) -> str:
    numbers = [result.numbers[number] for result in results if result.task.lag == lag]
    return f"{median(numbers):.3g}" if numbers else ""


if __name__ == "__main__":
    main()
