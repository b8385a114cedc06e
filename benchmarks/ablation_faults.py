"""Ablation on single faults: which part of the detector catches which kind, all at the same false-alarm rate.

    python -m benchmarks.ablation_faults [--data SKAB_DIR] [--beds BED ...] [--pumps N] [--seeds N] [--json FILE]

The faults, the machines and the rule are those of `python -m benchmarks.faults`: each fault is put into calm records
for 120 of them, and is caught if an alert begins while it lasts, or within 10 records. The threshold of a part is the
one at which it raises an alert in 1,000 calm records: "nothing" tells how often a catch is chance. The parts are those
of `python -m benchmarks.ablation`.

SKAB_DIR is the `data` folder of https://github.com/waico/SKAB.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.ablation import N_PROCESSES
from benchmarks.changes import AS_SHIPPED, CHANGES, fresh
from benchmarks.entrants import Judged
from benchmarks.equal_rate import REST, threshold_of
from benchmarks.fault_bank import NOTHING, Fault
from benchmarks.fault_beds import Bed, Machine, add_beds, beds_of
from benchmarks.faults import GRACE, LENGTH, RECORDS_AN_ALERT, drawn, judge
from benchmarks.parts import PARTS, Evidence, Part, gathered
from benchmarks.stamp import stamp, write_json
from scrnn_stream import SCRNNDetector

Array = NDArray[Any]


class Catch(NamedTuple):
    """One fault at one place, and whether this part caught it."""

    bed: str
    part: str
    kind: str
    is_caught: bool


def main() -> None:
    options = _options()
    beds = beds_of(options.beds, options.pumps, options.first, options.data)
    runs = list(product(beds, CHANGES, range(options.seeds)))
    with ProcessPoolExecutor(N_PROCESSES) as pool:
        found = pool.map(catches, *zip(*runs, strict=True))
        bar = track(found, "runs", total=len(runs), console=Console(stderr=True))
        caught = [catch for of_run in bar for catch in of_run]
    for bed in beds:
        Console(width=120).print(table(bed.name, caught))
    if options.json:
        settings = {"pumps": options.pumps, "first": options.first, "seeds": options.seeds}
        write_json(options.json, {**stamp(**settings), "results": as_plain(caught)})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_beds(parser)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each detector")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


# -- to measure -------------------------------------------------------------------------------------------------------


def catches(bed: Bed, change: str, seed: int) -> list[Catch]:
    """One run over a bed in all the ways in which it is read: thresholds first, then every fault at every place."""
    parts = PARTS if change == AS_SHIPPED else {change: PARTS[AS_SHIPPED]}
    calm = [(evidence(fresh(change, seed), bed.sensors, c.times, c.readings), c.pieces) for c in bed.calm]
    thresholds = {name: threshold(part, calm) for name, part in parts.items()}
    found = []
    for number, machine in enumerate(bed.machines):
        for fault, so_far in trials(partial(fresh, change, seed), bed.sensors, machine, number):
            for name, part in parts.items():
                found.append(Catch(bed.name, name, fault.kind, is_caught(fault, part(so_far), thresholds[name])))
    return found


def evidence(detector: SCRNNDetector, sensors: Sequence[str], times: Array, readings: Array) -> Evidence:
    rows = zip(times.tolist(), readings.tolist(), strict=True)
    return gathered(detector, ({**dict(zip(sensors, row, strict=True)), "timestamp": time} for time, row in rows))


def threshold(part: Part, calm: Sequence[tuple[Evidence, Sequence[slice]]]) -> float:
    """At which this part raises an alert in 1,000 calm records."""
    pieces = [scores[piece] for scores, which in ((part(e), which) for e, which in calm) for piece in which]
    return threshold_of(pieces, sum(map(len, pieces)) // RECORDS_AN_ALERT)


def trials(
    make: partial[SCRNNDetector], sensors: Sequence[str], machine: Machine, number: int
) -> Iterator[tuple[Fault, Evidence]]:
    """All faults at all places of one machine, and the evidence from its first record to the fault's end."""
    detector, before, row = make(), [], 0
    for begin in machine.begins:
        before.append(evidence(detector, sensors, machine.times[row:begin], machine.readings[row:begin]))
        row = begin
        for fault in machine.faults:
            columns, rng = drawn(fault, number, begin, len(sensors))
            end = _end(fault, begin)
            readings = fault.inject(machine.readings[:end], begin, begin + LENGTH, columns, rng)
            twin = make()
            twin.restore(detector.to_state())
            after = evidence(twin, sensors, machine.times[begin:end], readings[begin:])
            yield fault, Evidence(*(np.concatenate(parts) for parts in zip(*before, after, strict=True)))


def _end(fault: Fault, begin: int) -> int:
    return fault.last_end(begin, begin + LENGTH) + GRACE


def is_caught(fault: Fault, scores: Array, at_least: float) -> bool:
    """Scores end with the fault: did an alert begin in it?"""
    judged = [Judged(score) for score in scores[-REST - _end(fault, 0) :].tolist()]
    return judge(fault, set(), judged[:REST], judged[REST:], at_least, REST).delay is not None


# -- telling ----------------------------------------------------------------------------------------------------------


def table(bed: str, caught: Sequence[Catch]) -> Table:
    """The share caught of each kind, and of all faults."""
    made = Table(title=f"% caught on {bed}", box=SIMPLE, padding=0)
    made.add_column("detector", no_wrap=True)
    rows = {part: shares(bed, part, caught) for part in dict.fromkeys(catch.part for catch in caught)}
    for kind in next(iter(rows.values())):
        made.add_column(kind, justify="right")
    for part, row in rows.items():
        made.add_row(part, *(f"{100 * value:.0f}" for value in row.values()))
    return made


def shares(bed: str, part: str, caught: Sequence[Catch]) -> dict[str, float]:
    """Of the faults of all kinds together, and of each kind."""
    mine = [catch for catch in caught if (catch.bed, catch.part) == (bed, part)]
    kinds = dict.fromkeys(catch.kind for catch in mine)
    by_kind = {kind: [catch.is_caught for catch in mine if catch.kind == kind] for kind in kinds}
    faults = [catch.is_caught for catch in mine if catch.kind != NOTHING.kind]
    return {kind: float(np.mean(values)) for kind, values in {"all": faults, **by_kind}.items()}


def as_plain(caught: Sequence[Catch]) -> list[dict[str, Any]]:
    """Shares by bed and part, as JSON has them."""
    keys = dict.fromkeys((catch.bed, catch.part) for catch in caught)
    return [{"bed": bed, "detector": part, "caught": shares(bed, part, caught)} for bed, part in keys]


if __name__ == "__main__":
    main()
