"""Who takes part in the benchmark of faults: ours by its scores, ours as shipped, and the peers.

An entrant judges record after record of one machine, can be copied with all that it has learned, and can be asked
which sensor it suspects. Peers that were never told of missing readings get a sensor's last one in its place.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple, Protocol

from scrnn_stream import SCRNNDetector
from scrnn_stream.alert import Alert
from scrnn_stream.monitor import TIME_KEY, Monitor, Settings
from scrnn_stream.records import Partition, Position, Record

Reading = dict[str, float]  # NaN where it is missing

PARTITION = Partition("faults", 0)


class Judged(NamedTuple):
    """What an entrant says of a record before it learns it, and the sensor that it suspects, None if it cannot say."""

    score: float
    suspect: str | None = None


class Entrant(Protocol):
    def judge(self, time: float, x: Reading, /) -> Judged:
        """Score a record, then learn it."""

    def twin(self) -> Entrant:
        """Another one that has learned the same and goes its own way from here on."""


class Ours:
    """SCRNNDetector with its defaults: its score, and the sensor with the largest share in it."""

    def __init__(self) -> None:
        self.detector = SCRNNDetector(time_key=TIME_KEY, seed=0)

    def judge(self, time: float, x: Reading) -> Judged:
        record = {**x, TIME_KEY: time}
        assessed = self.detector.assess_one(record)
        causes = self.detector.explain_assessed(assessed)
        self.detector.learn_assessed(assessed, record)
        return Judged(assessed.score, max(causes, key=lambda sensor: causes[sensor].share, default=None))

    def twin(self) -> Ours:
        other = Ours()
        other.detector.restore(self.detector.to_state())
        return other


class Shipped:
    """The monitor with its defaults: an alert of any kind counts as a score of 1 for its record, all else as 0."""

    def __init__(self) -> None:
        self.monitor = Monitor("machine", Settings())
        self.n_records = 0

    def judge(self, time: float, x: Reading) -> Judged:
        alerts = self.monitor.process(Record(Position(PARTITION, self.n_records), "machine", time, x)).alerts
        self.n_records += 1
        firing = [alert for alert in alerts if alert.state == "firing" and alert.kind != "regime_changed"]
        return Judged(1.0, _leading(firing[0])) if firing else Judged(0.0)

    def twin(self) -> Shipped:
        other = Shipped()
        other.monitor = Monitor.from_state(self.monitor.to_state(), self.monitor.settings)
        other.n_records = self.n_records
        return other


def _leading(alert: Alert) -> str | None:
    return alert.sensors[0].sensor if alert.sensors else None


class Scorer(Protocol):
    """A detector of numbers by name, as the peers are."""

    def score_learn(self, x: Reading, /) -> float: ...


class Peer:
    """Another detector; it cannot name a sensor."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.last: Reading = {}

    def judge(self, _: float, x: Reading) -> Judged:
        self.last = {name: self.last.get(name, 0.0) if math.isnan(value) else value for name, value in x.items()}
        score = float(self.scorer.score_learn(self.last))
        return Judged(-math.inf if math.isnan(score) else score)

    def twin(self) -> Peer:
        return copy.deepcopy(self)


class Random:
    def __init__(self) -> None:
        self.draw = random.Random(0)

    def score_learn(self, _: Reading) -> float:
        return self.draw.random()


class Constant:
    def score_learn(self, _: Reading) -> float:
        return 0.0


class LastValue:
    """The largest step of a sensor since the last record, in root mean squares of its steps."""

    def __init__(self) -> None:
        self.n, self.last, self.squares = 0, dict[str, float](), dict[str, float]()

    def score_learn(self, x: Reading) -> float:
        steps = {name: value - self.last.get(name, value) for name, value in x.items()}
        deviations = {name: math.sqrt(self.squares.get(name, 0.0) / max(1, self.n)) for name in x}
        self.n, self.last = self.n + 1, dict(x)
        for name, step in steps.items():
            self.squares[name] = self.squares.get(name, 0.0) + step * step
        return max(abs(steps[name]) / deviations[name] if deviations[name] > 0 else 0.0 for name in x)


Make = Callable[[], Entrant]

OURS: dict[str, Make] = {"ours": Ours, "as shipped": Shipped}
BASELINES: dict[str, Make] = {
    "random": lambda: Peer(Random()),
    "constant": lambda: Peer(Constant()),
    "last value": lambda: Peer(LastValue()),
}


def peers() -> dict[str, Make]:
    """The peers that are installed, by name; the baselines of this file where there are no others."""
    if find_spec("benchmarks.peers") is None:
        return BASELINES
    module = import_module("benchmarks.peers")
    installed = [entry for entry in module.PEERS if module.is_installed(entry)]
    return {entry.name: partial(_peer, entry.make) for entry in installed}


def _peer(make: Callable[[int], Scorer]) -> Peer:
    return Peer(make(0))


def chosen(names: str) -> dict[str, Make]:
    """The peers that an option names: "all" that are installed, "none", or names with commas between."""
    if names == "none":
        return {}
    found = peers()
    if names == "all":
        return found
    for name in names.split(","):
        if name not in found:
            raise SystemExit(f"no peer is named {name!r}; there are: {', '.join(found)}")
    return {name: found[name] for name in names.split(",")}
