"""SCRNNDetector: an online anomaly detector that learns a machine's normal behaviour, with River's interface."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from river import base

from scrnn_stream import channels as ch
from scrnn_stream import places as at
from scrnn_stream._layout import N_CLIPPED, N_DIVERGED, N_LEARNED
from scrnn_stream.calibration import n_missing
from scrnn_stream.channels import Quantity
from scrnn_stream.course import LINES, draw, take
from scrnn_stream.features import Columns, as_reading
from scrnn_stream.frames import records
from scrnn_stream.machines import Machines
from scrnn_stream.network import SCRNN

Array = NDArray[np.float64]

GRACE_PERIOD = 100  # records before calibration begins: means and covariances must settle first
ALONE = np.zeros(1, np.int64)  # the row of a detector in its arrays


class Cause(NamedTuple):
    """What one sensor contributes to a score.

    The shares of all sensors add to 1. `actual` is what was found improbable, and `quantity` says what that is: the
    sensor's last "reading", its "average" over the last few records, its "long average" over the last hundred, or the
    size of its "error" against the forecast. `expected`, `low` and `high` are what the other sensors and its own past
    lead to expect of it: the middle and the ends of the band that holds 99.7% of calm values; of a range or a new
    extreme, of all values that there were. All are in the sensor's unit, NaN while unknown or missing.
    """

    share: float
    actual: float
    expected: float
    low: float
    high: float
    quantity: Quantity
    channel: Literal["fast", "slow", "none"]


class Assessment(NamedTuple):
    """All that the detector says of one record before learning it."""

    numbers: Array
    n_sensors: int
    time: float
    is_whole: bool  # the record has all our sensors and nothing else

    @property
    def score(self) -> float:
        return float(self.numbers[at.SCORE])

    @property
    def p(self) -> float:
        return float(self.numbers[at.P])

    @property
    def p_of_tails(self) -> float:
        """By the tails alone, as if they were known exactly: by it learning is protected, and alerts are raised."""
        return float(self.numbers[at.P_OF_TAILS])

    @property
    def p_of_tail(self) -> Array:
        """The same of each calibrated channel."""
        return self.numbers[at.HEADER + at.OF_TAIL : at.HEADER + at.MEASURED]

    @property
    def dt(self) -> float:
        """Since the last record, in usual intervals; 1 if that is no gap."""
        return float(self.numbers[at.STEP])

    @property
    def p_channels(self) -> Array:
        return self.numbers[at.HEADER : at.HEADER + ch.N_CHANNELS]

    @property
    def measured(self) -> Array:
        """The lines of its measurement, (N_JUDGED, D), in the order of `places`."""
        i = at.HEADER + at.MEASURED
        return self.numbers[i : i + at.N_JUDGED * self.n_sensors].reshape(at.N_JUDGED, self.n_sensors)

    @property
    def x(self) -> Array:
        """The readings, (D,)."""
        return self.numbers[len(self.numbers) - self.n_sensors :]

    @property
    def channel(self) -> int:
        """The least probable one."""
        return int(np.argmin(self.p_channels)) if self.p_channels.min() < 1 else ch.LEVEL

    @property
    def channel_of_tails(self) -> int:
        """The least probable one by the tails alone."""
        return int(np.argmin(self.p_of_tail)) if self.p_of_tails < 1 else ch.LEVEL


class SCRNNDetector(base.AnomalyDetector):
    """Learns how a machine behaves and scores each record by how far it departs, from the first record on.

    A Structurally Constrained Recurrent Network[^1] predicts each record from the ones before it. Two kinds of evidence
    are measured: *fast*, the prediction error with its bias and its spread, and *slow*, the averages of the sensors,
    which a network that keeps learning cannot forget. Each is turned into a tail probability by the stream's own calm
    past (rank, then a generalised Pareto tail), of which little is believed beyond what that past can bear out. A third
    kind asks whether a sensor shows what it never did, by the hour of day and week if there is a `time_key`. The least
    p, with the price of looking more than once, gives the score d / (3 + d) where d is -log10 p: 0.5 means one calm
    record in a thousand, on every stream.

    The picture of calm is protected: records less probable than 1e-5 do not enter it, so a lasting fault stays visible.
    After `accept_after` such records in a row the new state is adopted, and the picture is learned from scratch. The
    network itself goes on learning: frozen through a change it never leaves, its errors would keep the alarm up long
    after the machine is well again, while the slow evidence remembers the fault anyway.

    Until it is calibrated, after some 300 records, `state` is "learning"; only what was never shown before scores then,
    from the 150th reading on.

    Parameters
    ----------
    n_hidden
        Fast hidden units of the network.
    n_context
        Slow context units of the network.
    memory
        Shortest and longest time constant of the context units, in records.
    truncation_length
        Records that the error travels back through the hidden units.
    lr
        Learning rate of the hidden and context units, which may be changed by `mutate`; the readout needs none.
    grace_period
        Records before the calibration of tails begins.
    accept_after
        Improbable records in a row after which a lasting new state is adopted as normal.
    time_key
        Name of a feature that holds the record's time: a datetime, or seconds as a number. Without it every record is
        one step.
    seed
        For the network's starting weights.

    Examples
    --------
    A sensor follows a wave; at record 900 it jumps, for a while.

    >>> import math
    >>> from scrnn_stream import SCRNNDetector
    >>> detector = SCRNNDetector(seed=1)
    >>> scores = []
    >>> for t in range(1000):
    ...     x = {"flow": math.sin(t / 8) + 0.1 * math.sin(t * t), "pressure": math.cos(t / 8)}
    ...     x["pressure"] += 0.1 * math.cos(3 * t * t)
    ...     if t >= 900:
    ...         x["pressure"] += 2.0
    ...     scores.append(detector.score_one(x))
    ...     if t == 903:
    ...         causes = detector.explain_one(x)
    ...     detector.learn_one(x)
    >>> max(scores[400:900]) < 0.6 < scores[900]
    True
    >>> max(causes, key=lambda sensor: causes[sensor].share)
    'pressure'

    References
    ----------
    [^1]: Mikolov et al., Learning Longer Memory in Recurrent Neural Networks, 2014, arXiv:1412.7753.
    """

    def __init__(
        self,
        n_hidden: int = 32,
        n_context: int = 16,
        memory: tuple[float, float] = (2, 1000),
        truncation_length: int = 20,
        lr: float = 0.0003,
        grace_period: int = GRACE_PERIOD,
        accept_after: int = 500,
        time_key: str | None = None,
        seed: int | None = None,
    ) -> None:
        for name, value in (("grace_period", grace_period), ("accept_after", accept_after)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.n_hidden = n_hidden
        self.n_context = n_context
        self.memory = memory
        self.truncation_length = truncation_length
        self._lr = lr
        self.grace_period = grace_period
        self.accept_after = accept_after
        self.time_key = time_key
        self.seed = seed
        self._new_network(1)  # refuses bad sizes at once
        self._columns = Columns()
        self._machine = self.fresh_machines(0)
        self._machine.add(1)
        self._make_room()

    # -- River's interface --------------------------------------------------------------------------------------------

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """Anomaly score of a record, in [0, 1). Changes nothing."""
        self._read(x)
        return self._process(is_learning=False)

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Take a record in: time moves, and what is calm is learned."""
        if not self._read(x) and self._add_sensors(x):
            self._read(x)
        self._process(is_learning=True)

    def learn_many(self, X: Any) -> None:
        """Take in the rows of a frame of pandas, polars or pyarrow, one after the other."""
        for x in records(X):
            self.learn_one(x)

    def explain_one(self, x: dict[Hashable, Any]) -> dict[str, Cause]:
        """What each sensor contributes to the least probable channel of a record. Changes nothing."""
        return self.explain_assessed(self.assess_one(x))

    @property
    def lr(self) -> float:
        """Learning rate of the hidden and context units."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._lr = self._machine.lr = lr

    @property
    def _mutable_attributes(self) -> set[str]:
        return {"lr"}

    @property
    def state(self) -> Literal["learning", "ready"]:
        return "ready" if self.n_records_to_ready == 0 else "learning"

    @property
    def n_records_to_ready(self) -> int:
        """Records that are still needed before scores mean something."""
        counts = self._machine.counts[0]
        missing = min(int(n_missing(counts, k)) for k in (ch.ERROR, ch.LEVEL))  # in short sessions errors say nothing
        if missing == 0:
            return 0
        n_grace = max(0, self.grace_period - int(counts[at.N_RECORDS]))
        n_queued = at.N_QUEUED - int(counts[at.N_WAITING]) if n_grace == 0 else at.N_QUEUED
        return missing + n_grace + n_queued

    @property
    def in_episode(self) -> bool:
        """True while the model is protected: the last record was too improbable to learn from."""
        return bool(self._machine.counts[0, at.N_IMPROBABLE] > 0)

    @property
    def n_regimes(self) -> int:
        """Lasting new states that were adopted as normal."""
        return int(self._machine.counts[0, at.N_REGIMES])

    @property
    def updates(self) -> tuple[int, int, int]:
        """How often the network was updated, how often its gradient was shortened, and how often it diverged."""
        counts = self._machine.counts[0, at.N_COUNTS :]
        return int(counts[N_LEARNED]), int(counts[N_CLIPPED]), int(counts[N_DIVERGED])

    @property
    def gradient_norm(self) -> float:
        """Length of the gradient of the record that was just learned, before it was shortened.

        Good until the next record is learned in this thread, be it another machine's.
        """
        return self._machine.gradient_norm

    @property
    def sensors(self) -> list[str]:
        """Names of the sensors, in column order."""
        return list(self._columns.names)

    # -- record -> score ----------------------------------------------------------------------------------------------

    def assess_one(self, x: Mapping[Any, Any]) -> Assessment:
        """All that `score_one` and `explain_one` tell of a record, as a pure function of the state and the record.

        Sensors that were never learned are not judged.
        """
        is_whole = self._read(x)
        self._process(is_learning=False)
        numbers = self._machine.rooms[0][: self._n_assessment].copy()
        return Assessment(numbers, len(self._columns), self._records.item(-1), is_whole)

    def course(self, assessed: Assessment) -> Array:
        """Where each sensor is, and where the others say it should be: the :mod:`~scrnn_stream.course`, (5, D).

        Of an assessment that has not been learned yet.
        """
        course, of = np.zeros((len(LINES), assessed.n_sensors)), self._machine
        draw(course, assessed.numbers, 0, of.numbers, of.counts, of.calm, *of.rooms[:2])
        return course

    def explain_assessed(self, assessed: Assessment, channel: int | None = None) -> dict[str, Cause]:
        """The causes of an assessment that has not been learned yet, in its least probable channel or another one."""
        channel = assessed.channel if channel is None else channel
        blame, *band = self._machine.contributions(0, channel, assessed.numbers)
        total = float(blame.sum())
        share = blame / total if total > 0 else np.full(len(blame), 1 / max(1, len(blame)))
        known = (self._machine.table(0)[at.KNOWN] > 0) | ((channel >= ch.N_CALIBRATED) & np.isfinite(band[1]))
        heard = (assessed.measured[at.USED] > 0) | (assessed.measured[at.PRESENT] > 0)
        kind: Literal["fast", "slow"] = "fast" if channel in ch.FAST else "slow"
        causes = {}
        for j, sensor in enumerate(self._columns.names):
            actual, expected, low, high = (float(part[j]) if known[j] else math.nan for part in band)
            causes[sensor] = Cause(
                share=float(share[j]),
                actual=(actual if known[j] else float(assessed.x[j])) if heard[j] else math.nan,
                expected=expected,
                low=low,
                high=high,
                quantity=ch.JUDGED[channel] if known[j] else "reading",
                channel=kind if known[j] else "none",
            )
        return causes

    # -- learning -----------------------------------------------------------------------------------------------------

    def learn_assessed(self, assessed: Assessment, x: Mapping[Any, Any]) -> None:
        """Learn the record `x` just assessed: the second half of `learn_one`, for callers that need both halves."""
        if not assessed.is_whole and self._add_sensors(x):
            self._read(x)
        else:
            self._records[0, :-1], self._records[0, -1] = assessed.x, assessed.time
        self._process(is_learning=True)

    def take_one(self, x: Mapping[Any, Any]) -> tuple[Assessment, Array] | None:
        """Assess a record, draw its course and learn it, at one go; None, and nothing is done, if it is not whole.

        For callers to whom the causes do not matter: they can be told only before the record is learned.
        """
        if not self._columns or not self._read(x):
            return None
        n, of = len(self._columns), self._machine
        numbers, course, record = np.empty(self._n_assessment), np.zeros((len(LINES), n)), self._records[0]
        kept = (of.numbers, of.counts, of.calm, of.networks, of.readouts)
        take(numbers, course, record, 0, *kept, *of.rooms, of._sizes, of._rates)
        return Assessment(numbers, n, self._records.item(-1), True), course

    def _read(self, x: Mapping[Any, Any]) -> bool:
        """Put readings and time where `process` finds them; True if x has all our sensors and nothing else."""
        time = math.nan if self.time_key is None else _as_seconds(x.get(self.time_key))
        if self._columns.read_whole(self._records, x, time):
            return len(x) == self._n_keys and (self.time_key is None or self.time_key in x)
        self._columns.read(self._records[0, :-1], x)
        self._records[0, -1] = time
        return False

    def _process(self, is_learning: bool) -> float:
        return self._machine.process(self._scores, self._p_of_tails, self._records, ALONE, is_learning)

    def _add_sensors(self, x: Mapping[Any, Any]) -> bool:
        """Give each new name that may be a sensor a column; True if there was one."""
        if not self._columns.add(n for n, value in x.items() if n != self.time_key and _may_be_sensor(value)):
            return False
        self._grow()
        return True

    def _grow(self) -> None:
        n = len(self._columns)
        network = self._machine.network_of(0)
        if network is None:
            network = self._new_network(n)
        else:
            network.grow(n, n)
        self._machine = self._machine.grown(n, network)
        self._make_room()

    def fresh_machines(self, n_sensors: int) -> Machines:
        """Room for machines, none yet, that learn as this detector would from its first record on."""
        policy = (self.grace_period, self.accept_after)
        return Machines(n_sensors, self._new_network(n_sensors) if n_sensors else None, policy)

    def _make_room(self) -> None:
        """What does not change from record to record."""
        self._records = np.full((1, len(self._columns) + 1), np.nan)
        self._scores, self._p_of_tails = np.zeros(1), np.ones(1)
        self._n_keys = len(self._columns) + (self.time_key is not None)
        self._n_assessment = at.n_assessment(len(self._columns))

    def _new_network(self, n_sensors: int) -> SCRNN:
        """What a machine starts with; the same object for all detectors alike, each of which copies its weights."""
        new = _same_network if self.seed is not None and isinstance(self.memory, Hashable) else _network
        return new(
            n_sensors,
            n_hidden=self.n_hidden,
            n_context=self.n_context,
            memory=self.memory,
            truncation_length=self.truncation_length,
            lr=self.lr,
            seed=self.seed,
        )

    # -- state --------------------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """Everything learned, as plain data (numbers, text, lists and arrays); the parameters are not part of it."""
        return {"sensors": list(self._columns.names), **self._machine.to_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Become the detector whose `to_state` this is; the next scores are bit-identical to its own."""
        self._columns = Columns()
        for name in state["sensors"]:
            self._columns.add([tuple(name) if isinstance(name, list) else name])  # type: ignore[list-item]
        if len(self._columns) != state["n_sensors"]:
            raise ValueError(f"sensors must be {state['n_sensors']} different names, got {len(self._columns)}")
        if (state["network"] is None) != (state["n_sensors"] == 0):
            raise ValueError("network must be there if there are sensors, and only then")
        self._machine = Machines.from_state(state, (self.grace_period, self.accept_after))
        self._machine.lr = self.lr
        self._make_room()


def _network(n_sensors: int, **parameters: Any) -> SCRNN:
    return SCRNN(n_sensors, n_sensors, **parameters)


_same_network = lru_cache(maxsize=32, typed=True)(_network)


def _may_be_sensor(value: Any) -> bool:
    return not isinstance(value, (str, bytes, dt.date))


def _as_seconds(value: Any) -> float:
    """Seconds of a datetime (naive means UTC) or of a number; NaN for everything else."""
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp()
    return as_reading(value)
