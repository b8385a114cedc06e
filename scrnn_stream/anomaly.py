"""SCRNNDetector: an online anomaly detector that learns a machine's normal behaviour, with River's interface."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Hashable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from river import base

from scrnn_stream import channels as ch
from scrnn_stream.calibration import N_NEEDED, TailCalibration, cluster_probability, to_score
from scrnn_stream.channels import Quantity
from scrnn_stream.evidence import Evidence, Measurement
from scrnn_stream.features import Columns, Scale, as_reading
from scrnn_stream.network import SCRNN

Array = NDArray[np.float64]

GRACE_PERIOD = 100  # records before calibration begins: means and covariances must settle first
N_QUEUED = 20  # records between the measurement of a value and its learning
UNLIKELY = 0.05  # values of smaller probability count in proportion to it
N_INDEPENDENT = 15  # cluster lengths before a channel is calibrated: long averages say little new
SENSOR_DELAY = 300  # values that the tail of `sensor` lags behind: gauges drift for days
PROTECTION_P = 1e-5  # a record less probable than this does not enter the picture of calm, whatever the budget


class Cause(NamedTuple):
    """What one sensor contributes to a score.

    The shares of all sensors add to 1. `actual` is what was found improbable, and `quantity` says what that is: the
    sensor's last "reading", its "average" over the last few records, its "long average" over the last hundred, or the
    size of its "error" against the forecast. `expected`, `low` and `high` are what the other sensors and its own past
    lead to expect of it: the middle and the ends of the band that holds 99.7% of calm values. All are in the sensor's
    unit, NaN while unknown or missing.
    """

    share: float
    actual: float
    expected: float
    low: float
    high: float
    quantity: Quantity
    channel: Literal["fast", "slow", "none"]


class Course(NamedTuple):
    """The readings of a record, their averages over the last few, and the band that those should lie in, (D,) each."""

    reading: Array
    average: Array
    expected: Array
    low: Array
    high: Array


class Assessment(NamedTuple):
    """All that the detector says of one record before learning it."""

    score: float
    p: float
    p_channels: Array
    x: Array
    time: float | None
    dt: float
    measured: Measurement

    @property
    def channel(self) -> int:
        """The least probable one."""
        return int(np.argmin(self.p_channels)) if self.p < 1 else ch.LEVEL


class SCRNNDetector(base.AnomalyDetector):
    """Learns how a machine behaves and scores each record by how far it departs, from the first record on.

    A Structurally Constrained Recurrent Network[^1] predicts each record from the ones before it. Two kinds of evidence
    are measured: *fast*, the prediction error with its bias and its spread, and *slow*, the averages of the sensors,
    which a network that keeps learning cannot forget. Each is turned into a tail probability by the stream's own calm
    past (rank, then a generalised Pareto tail). The least one p, with the price of looking more than once, gives the
    score d / (3 + d) where d is -log10 p: 0.5 means one calm record in a thousand, on every stream.

    The picture of calm is protected: records less probable than 1e-5 do not enter it, so a lasting fault stays visible.
    After `accept_after` such records in a row the new state is adopted, and the picture is learned from scratch. The
    network itself goes on learning: frozen through a change it never leaves, its errors would keep the alarm up long
    after the machine is well again, while the slow evidence remembers the fault anyway.

    Until it is calibrated, after some 300 records, `state` is "learning" and the score is 0.

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
        Learning rate of the network.
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
    >>> max(scores[400:900]) < 0.7 < scores[903]
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
        lr: float = 0.003,
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
        self.lr = lr
        self.grace_period = grace_period
        self.accept_after = accept_after
        self.time_key = time_key
        self.seed = seed
        self._new_network(1)  # refuses bad sizes at once
        self._columns = Columns()
        self._network: SCRNN | None = None
        self._scale = Scale.of_size(0)
        self._evidence = Evidence(0)
        self._previous: Array = np.zeros(0)  # the last known scaled readings: the network's input
        self._time: float | None = None
        self._interval = 0.0  # usual seconds between records
        self._queue: list[tuple[Measurement, Array]] = []
        self._n_improbable = 0
        self.n_regimes = 0
        self._calibrate_anew()

    # -- River's interface --------------------------------------------------------------------------------------------

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """Anomaly score of a record, in [0, 1); 0 while learning. Changes nothing."""
        return self.assess_one(x).score

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Take a record in: time moves, and what is calm is learned."""
        self.learn_assessed(self.assess_one(x), x)

    def explain_one(self, x: dict[Hashable, Any]) -> dict[str, Cause]:
        """What each sensor contributes to the score of a record. Changes nothing."""
        return self.explain_assessed(self.assess_one(x))

    @property
    def state(self) -> Literal["learning", "ready"]:
        return "ready" if self.n_records_to_ready == 0 else "learning"

    @property
    def n_records_to_ready(self) -> int:
        """Records that are still needed before scores mean something."""
        n_grace = max(0, self.grace_period - self._evidence.picture.n_records)
        n_queued = N_QUEUED - len(self._queue) if n_grace == 0 else N_QUEUED
        n_missing = self._tails[0].n_missing
        return n_missing + n_grace + n_queued if n_missing else 0

    @property
    def in_episode(self) -> bool:
        """True while the model is protected: the last record was too improbable to learn from."""
        return self._n_improbable > 0

    @property
    def sensors(self) -> list[str]:
        """Names of the sensors, in column order."""
        return list(self._columns.names)

    # -- record -> score ----------------------------------------------------------------------------------------------

    def assess_one(self, x: Mapping[Any, Any]) -> Assessment:
        """All that `score_one` and `explain_one` tell of a record, as a pure function of the state and the record.

        Sensors that were never learned are not judged.
        """
        time = _as_seconds(x.get(self.time_key)) if self.time_key is not None else None
        values = self._columns.vector(x)
        step = self._step(time)
        errors = self._evidence.picture.limited(values) - self._forecast(step)
        if step > 1:
            errors = np.full_like(errors, np.nan)  # across a gap nothing was expected
        measured = self._evidence.measure(values, errors)
        p_values = np.array([tail.probability(s) for tail, s in zip(self._tails, measured.statistics, strict=True)])
        looking = np.isfinite(measured.statistics) & [tail.n_missing == 0 for tail in self._tails]
        p_channels = np.where(looking, cluster_probability(p_values, ch.CLUSTER_LENGTHS), 1.0)
        p = min(1.0, int(looking.sum()) * float(p_channels.min())) if looking.any() else 1.0  # the price of each look
        return Assessment(to_score(p), p, p_channels, values, time, step, measured)

    def course(self, assessed: Assessment) -> Course:
        """Where each sensor is, and where the others say it should be: what a picture of an alert is drawn from."""
        contribution = self._evidence.contributions(assessed.x, assessed.measured, ch.SENSOR)
        known = self._evidence.picture.known
        return Course(assessed.x, *(np.where(known, part, np.nan) for part in contribution[1:]))

    def explain_assessed(self, assessed: Assessment, channel: int | None = None) -> dict[str, Cause]:
        """The causes of an assessment that has not been learned yet, in its least probable channel or another one."""
        channel = assessed.channel if channel is None else channel
        blame, *band = self._evidence.contributions(assessed.x, assessed.measured, channel)
        total = float(blame.sum())
        share = blame / total if total > 0 else np.full(len(blame), 1 / max(1, len(blame)))
        known = self._evidence.picture.known
        heard = assessed.measured.used | assessed.measured.present
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

    def _forecast(self, step: float) -> Array:
        if self._network is None:
            return np.full(len(self._columns), np.nan)
        forecast = self._scale.invert(self._network.predict(self._previous, step).astype(np.float64))
        return np.where(self._scale.n < 2, np.nan, forecast)  # without a scale there is no forecast

    def _step(self, time: float | None) -> float:
        """Time since the last record in usual intervals; 1 for all that is not a gap."""
        if time is None or self._time is None or self._interval <= 0:
            return 1.0
        ratio = (time - self._time) / self._interval
        return min(ratio, 1e6) if ratio > 1.5 else 1.0

    # -- learning -----------------------------------------------------------------------------------------------------

    def learn_assessed(self, assessed: Assessment, x: Mapping[Any, Any]) -> None:
        """Learn the record `x` just assessed: the second half of `learn_one`, for callers that need both halves."""
        if self._columns.add(name for name, value in x.items() if name != self.time_key and _may_be_sensor(value)):
            self._grow()
            assessed = self.assess_one(x)
        calm = assessed.p >= PROTECTION_P
        self._move_time(assessed, learn=calm)
        if calm:
            self._n_improbable = 0
            self._queue.append((assessed.measured, assessed.p_channels))
            n_held = N_QUEUED if self._evidence.picture.n_records >= self.grace_period else 0
            while len(self._queue) > n_held:
                self._learn_oldest()
        else:
            self._queue.clear()  # what led up to an episode is suspect
            self._n_improbable += 1
            if self._n_improbable >= self.accept_after:
                self._accept()

    def _move_time(self, assessed: Assessment, learn: bool) -> None:
        z = self._scale.apply(assessed.x)
        if self._network is not None:
            self._network.learn(self._previous, z, assessed.dt)
        if learn:
            self._scale.learn(assessed.x)
        self._previous = np.where(np.isfinite(z), z, self._previous)
        self._evidence.advance(assessed.x, assessed.measured)
        if assessed.time is not None and (self._time is None or assessed.time > self._time):
            if self._time is not None:
                gap = assessed.time - self._time
                limit = 3 * self._interval if self._interval > 0 else gap
                self._interval += (min(gap, limit) - self._interval) * (0.02 if self._interval > 0 else 1.0)
            self._time = assessed.time

    def _learn_oldest(self) -> None:
        measured, p = self._queue.pop(0)
        if self._evidence.picture.n_records >= self.grace_period:
            for tail, statistic, after in zip(self._tails, measured.statistics, ch.SETTLED_AFTER, strict=True):
                if self._evidence.picture.n_records >= after and math.isfinite(statistic):
                    tail.learn(float(statistic))
        weights = np.minimum(1.0, p[: ch.N_DISTANCES] / UNLIKELY)
        weights[ch.LEVEL] = min(weights[ch.LEVEL], p[ch.SENSOR] / UNLIKELY)
        self._evidence.learn(measured, weights)

    def _accept(self) -> None:
        """Adopt a lasting new state: the picture of calm is learned anew, the network keeps its weights."""
        self._n_improbable = 0
        self.n_regimes += 1
        self._scale = Scale.of_size(len(self._columns))
        self._evidence.forget()
        self._calibrate_anew()

    def _calibrate_anew(self) -> None:
        self._tails = [
            TailCalibration(
                gap=max(10, round(3 * half_life)),
                n_needed=max(N_NEEDED, round(N_INDEPENDENT * cluster_length)),
                delay=SENSOR_DELAY if channel == ch.SENSOR else 0,
            )
            for channel, (half_life, cluster_length) in enumerate(zip(ch.HALF_LIVES, ch.CLUSTER_LENGTHS, strict=True))
        ]

    def _grow(self) -> None:
        n = len(self._columns)
        if self._network is None:
            self._network = self._new_network(n)
        else:
            self._network.grow(n, n)
        self._scale = self._scale.grow(n)
        was_dense = self._evidence.picture.dense
        self._evidence.grow(n)
        if was_dense != self._evidence.picture.dense:  # distances without correlations are others
            self._evidence.forget()
            self._calibrate_anew()
        self._previous = np.concatenate([self._previous, np.full(n - len(self._previous), np.nan)])
        self._queue.clear()  # measured before the new sensors were

    def _new_network(self, n_sensors: int) -> SCRNN:
        return SCRNN(
            n_sensors,
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
        return {
            "sensors": list(self._columns.names),
            "network": self._network.to_state() if self._network is not None else None,
            "scale": [column.copy() for column in self._scale],
            "evidence": self._evidence.to_state(),
            "previous": self._previous.copy(),
            "time": self._time,
            "interval": self._interval,
            "queue": [[*(np.array(part) for part in measured), p.copy()] for measured, p in self._queue],
            "n_improbable": self._n_improbable,
            "n_regimes": self.n_regimes,
            "tails": [tail.to_state() for tail in self._tails],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Become the detector whose `to_state` this is; the next scores are bit-identical to its own."""
        self._columns = Columns()
        for name in state["sensors"]:
            self._columns.add([tuple(name) if isinstance(name, list) else name])  # type: ignore[list-item]
        self._network = SCRNN.from_state(state["network"]) if state["network"] is not None else None
        self._scale = Scale(*(np.array(column) for column in state["scale"]))
        self._evidence = Evidence.from_state(state["evidence"])
        self._previous = np.array(state["previous"])
        self._time, self._interval = state["time"], state["interval"]
        self._queue = [(Measurement(*map(np.array, parts[:-1])), np.array(parts[-1])) for parts in state["queue"]]
        self._n_improbable, self.n_regimes = state["n_improbable"], state["n_regimes"]
        self._tails = [TailCalibration.from_state(tail) for tail in state["tails"]]


def _may_be_sensor(value: Any) -> bool:
    return not isinstance(value, (str, bytes, dt.date))


def _as_seconds(value: Any) -> float | None:
    """Seconds of a datetime (naive means UTC) or of a number; None for everything else."""
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp()
    number = as_reading(value)
    return number if math.isfinite(number) else None
