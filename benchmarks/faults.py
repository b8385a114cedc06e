"""Which faults are caught, how late, and is the right sensor named? Ours and the peers, at the same false-alarm rate.

    python -m benchmarks.faults [--data SKAB_DIR] [--beds BED ...] [--peers all] [--json FILE]

Each fault of the bank is put into calm records of simulated pumps, of driven machines and of SKAB's anomaly-free file,
once at each place, for 120 records; driven machines have faults that change their dynamics, too. A detector learns
online up to the fault; what it has learned is copied, so that all faults at a place meet the same detector. Sensors are
drawn for each place and kind: the same ones for every detector and size.

Equal rate: a detector's threshold is the one at which it raises an alert in 1,000 records on calm streams; those are
other pumps, and in SKAB's file the records between the places for faults. A record over the threshold begins an alert
if none of the 30 before was. "as shipped" is the monitor with its defaults, an alert a day, in alerts of all kinds. A
fault is caught if an alert begins while it lasts, or within 10 records: "nothing" tells how often that is chance.

SKAB_DIR is the `data` folder of https://github.com/waico/SKAB. Peers cannot say which sensor.
"""

from __future__ import annotations

import argparse
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from time import thread_time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.entrants import OURS, Entrant, Judged, chosen
from benchmarks.equal_rate import REST, onsets, threshold_of
from benchmarks.fault_bank import NOTHING, Fault
from benchmarks.fault_beds import Bed, Machine, add_beds, beds_of
from benchmarks.stamp import stamp, write_json

Array = NDArray[np.float64]

LENGTH, GRACE = 120, 10  # records
RECORDS_AN_ALERT = 1000  # that are calm, at equal rate
SHIPPED = "as shipped"


class Trial(NamedTuple):
    """One fault at one place: records until the alert, None if there was none; is the sensor right, None if unsaid."""

    kind: str
    size: str
    delay: int | None
    is_right: bool | None


class Result(NamedTuple):
    """A detector on one bed."""

    entrant: str
    bed: str
    threshold: float
    us_a_record: float
    trials: list[Trial]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="all", help="all that are installed, none, or names with commas between")
    add_beds(parser)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="detectors measured at the same time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    names = [*OURS, *chosen(options.peers)]
    beds = beds_of(options.beds, options.pumps, options.first, options.data)
    results: list[Result] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        for bed in beds:
            new = []
            for result in pool.map(partial(measure, bed), names):
                new.append(result)
                print(summary(result), flush=True)
            print("", *table(new), "", sep="\n", flush=True)
            results += new
    if options.json:
        settings = {"pumps": options.pumps, "first": options.first, "length": LENGTH, "grace": GRACE}
        write_json(options.json, {**stamp(**settings), "results": [as_numbers(result) for result in results]})


# ----------------------------------------------------------------------------------------------------------- to measure


def measure(bed: Bed, name: str) -> Result:
    """One detector on one bed: its threshold first, then every fault at every place."""
    make = {**OURS, **chosen("all")}[name]
    start, n_calm = thread_time(), sum(len(calm.times) for calm in bed.calm)
    judged = [(scores(run(make(), bed.sensors, c.times, c.readings)), c.pieces) for c in bed.calm]
    us_a_record = 1e6 * (thread_time() - start) / n_calm
    pieces = [calm[piece] for calm, which in judged for piece in which]
    threshold = 0.5 if name == SHIPPED else threshold_of(pieces, sum(map(len, pieces)) // RECORDS_AN_ALERT)
    rest = 0 if name == SHIPPED else REST
    trials = [t for i, m in enumerate(bed.machines) for t in trials_of(make(), bed.sensors, m, i, threshold, rest)]
    return Result(name, bed.name, threshold, us_a_record, trials)


def run(entrant: Entrant, sensors: Sequence[str], times: Array, readings: Array) -> list[Judged]:
    """What an entrant says of each record."""
    rows = zip(times.tolist(), readings.tolist(), strict=True)
    return [entrant.judge(time, dict(zip(sensors, row, strict=True))) for time, row in rows]


def scores(judged: Iterable[Judged]) -> Array:
    return np.array([j.score for j in judged])


def trials_of(
    entrant: Entrant, sensors: Sequence[str], machine: Machine, number: int, threshold: float, rest: int
) -> Iterator[Trial]:
    """All faults at all places of one machine; between places the entrant learns on what is calm."""
    row, before = 0, list[Judged]()
    for begin in machine.begins:
        calm = slice(row, begin)
        before = [*before, *run(entrant, sensors, machine.times[calm], machine.readings[calm])][-REST:]
        row = begin
        for fault in machine.faults:
            columns, rng = drawn(fault, number, begin, len(sensors))
            end = fault.last_end(begin, begin + LENGTH) + GRACE
            readings = fault.inject(machine.readings[:end], begin, begin + LENGTH, columns, rng)
            after = run(entrant.twin(), sensors, machine.times[begin:end], readings[begin:])
            yield judge(fault, {sensors[column] for column in columns}, before, after, threshold, rest)


def drawn(fault: Fault, number: int, begin: int, n_sensors: int) -> tuple[tuple[int, ...], np.random.Generator]:
    """Columns of the sensors that a kind of fault hits at a place, and chance for what else it needs."""
    rng = np.random.default_rng([number, begin, zlib.crc32(fault.kind.encode())])
    columns: list[int] = rng.permutation(n_sensors)[: fault.n_sensors].tolist()
    return fault.shown or tuple(columns), rng


def judge(
    fault: Fault, faulty: set[str], before: list[Judged], after: list[Judged], threshold: float, rest: int
) -> Trial:
    """Was there an alert, and about the right sensor?"""
    raised = [row - len(before) for row in onsets(scores([*before, *after]), threshold, rest) if row >= len(before)]
    if not raised:
        return Trial(fault.kind, fault.size, None, None)
    suspect = after[raised[0]].suspect
    return Trial(fault.kind, fault.size, raised[0], None if suspect is None else suspect in faulty)


# -------------------------------------------------------------------------------------------------------------- to tell


def told(trials: Sequence[Trial]) -> str:
    """Share caught, median delay in records, share of those caught that named the right sensor first."""
    caught = [trial for trial in trials if trial.delay is not None]
    named = [trial.is_right for trial in caught if trial.is_right is not None]
    delay = f"{median(trial.delay for trial in caught if trial.delay is not None):.0f}" if caught else "-"
    right = f"{100 * sum(named) / len(named):.0f}%" if named else "-"
    return f"{100 * len(caught) / len(trials):3.0f}% {delay:>3} {right:>4}"


def as_numbers(result: Result) -> dict[str, Any]:
    """For JSON, which has no infinity."""
    threshold = result.threshold if math.isfinite(result.threshold) else None
    return {**result._asdict(), "threshold": threshold, "trials": [trial._asdict() for trial in result.trials]}


def summary(result: Result) -> str:
    """One line of a detector: all faults together, those of one sensor that were named right, and what is chance."""
    faults = [trial for trial in result.trials if trial.kind != NOTHING.kind]
    nothing = [trial for trial in result.trials if trial.kind == NOTHING.kind]
    return (
        f"{result.bed:6} {result.entrant:16} all faults {told(faults)}   nothing {told(nothing)[:4]}   "
        f"threshold {result.threshold:8.4g}   {result.us_a_record:6.0f} us a record"
    )


def table(results: Sequence[Result]) -> Iterator[str]:
    """A line for each fault, a column for each detector: caught, delay, right sensor."""
    yield f"{'':24}" + "".join(f"{result.entrant[:15]:>16}" for result in results)
    for kind, size in dict.fromkeys((trial.kind, trial.size) for result in results for trial in result.trials):
        cells = [told([t for t in r.trials if (t.kind, t.size) == (kind, size)]) for r in results]
        yield f"{kind:13}{size:11}" + "".join(f"{cell:>16}" for cell in cells)


if __name__ == "__main__":
    main()
