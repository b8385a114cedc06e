"""SCRNNDetectorFleet: many detectors at once, for machines with the same sensors."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrnn_stream.anomaly import SCRNNDetector
from scrnn_stream.features import Columns, as_reading

Array = NDArray[np.float64]


class SCRNNDetectorFleet:
    """One :class:`~scrnn_stream.anomaly.SCRNNDetector` for each machine, run on batches of records of many machines.

    A batch is scored and learned by one compiled loop, record by record in its order: each score is what the machine's
    detector, alone, would have said before learning the record. A machine begins with its first record. All of them
    have the same sensors; a record may leave some out.

    Parameters
    ----------
    sensors
        Names of the sensors, the columns of a batch.
    **parameters
        Of each detector, by name; all but `time_key`.

    Examples
    --------
    Ten pumps swing alike. Pump 3 stops to swing at its 600th record.

    >>> import numpy as np
    >>> from scrnn_stream import SCRNNDetectorFleet
    >>> rng = np.random.default_rng(1)
    >>> fleet = SCRNNDetectorFleet(["flow", "pressure"], seed=1)
    >>> for t in range(650):
    ...     swing = np.array([np.sin(t / 8), np.cos(t / 8)]) + 0.1 * rng.normal(size=(10, 2))
    ...     if t >= 600:
    ...         swing[3] = 3.0
    ...     scores = fleet.score_learn_many(range(10), swing)
    >>> int(scores.argmax()), bool(scores[3] > 0.6)
    (3, True)
    """

    def __init__(self, sensors: Iterable[str], **parameters: Any) -> None:
        if parameters.get("time_key") is not None:
            raise ValueError(f"time_key must be None, got {parameters['time_key']!r}: a fleet is handed its times")
        self.parameters = parameters
        self._sensors = list(sensors)
        self._columns = Columns(self._sensors).names
        if not len(self._columns) == len(self._sensors) > 0:
            raise ValueError(f"sensors must be one or more different names, got {self._sensors}")
        self._order = [self._sensors.index(name) for name in self._columns]
        self._machines = SCRNNDetector(**parameters).fresh_machines(len(self._columns))
        self._row: dict[Hashable, int] = {}

    def __len__(self) -> int:
        """Number of machines."""
        return len(self._row)

    @property
    def machines(self) -> list[Hashable]:
        """The machines, in order of their first records."""
        return list(self._row)

    def score_learn_many(
        self,
        machines: Sequence[Hashable],
        X: ArrayLike | Sequence[Mapping[str, Any]],
        times: ArrayLike | None = None,
    ) -> Array:
        """The score of each record before it is learned, (M,); each is learned before the next.

        Parameters
        ----------
        machines
            M keys: whose record it is.
        X
            (M, D) readings in the order of the sensors, NaN where one is missing; or M dicts.
        times
            (M,) seconds; NaN, or None for all, is one step after the last record.
        """
        return self._process(machines, X, times)[0]

    def judge_learn_many(
        self,
        machines: Sequence[Hashable],
        X: ArrayLike | Sequence[Mapping[str, Any]],
        times: ArrayLike | None = None,
    ) -> tuple[Array, Array]:
        """The same, and the tail probability of each record that alerts are raised by, (M,)."""
        return self._process(machines, X, times)

    def _process(
        self,
        machines: Sequence[Hashable],
        X: ArrayLike | Sequence[Mapping[str, Any]],
        times: ArrayLike | None,
    ) -> tuple[Array, Array]:
        records = self._records(X, len(machines))
        if times is not None:
            records[:, -1] = np.where(np.isfinite(np.asarray(times, np.float64)), times, np.nan)
        scores, p_of_tails = np.empty(len(records)), np.empty(len(records))
        self._machines.process(scores, p_of_tails, records, self._rows(machines), True)
        return scores, p_of_tails

    def detector(self, machine: Hashable) -> SCRNNDetector:
        """The detector of a machine, a copy that goes its own way from here on."""
        detector = SCRNNDetector(**self.parameters)
        detector.restore({"sensors": self._columns, **self._machines.one(self._row[machine]).to_state()})
        return detector

    def _records(self, X: ArrayLike | Sequence[Mapping[str, Any]], n: int) -> Array:
        """(M, D + 1): readings in the order of the columns, and no times."""
        if isinstance(X, Sequence) and X and isinstance(X[0], Mapping):
            X = [[as_reading(x.get(name)) for name in self._sensors] for x in X]  # type: ignore[union-attr]
        readings = np.asarray(X, np.float64) if n else np.empty((0, len(self._sensors)))
        if readings.shape != (n, len(self._sensors)):
            raise ValueError(f"X must have shape ({n}, {len(self._sensors)}), got {readings.shape}")
        records = np.full((n, len(self._sensors) + 1), np.nan)
        records[:, :-1] = readings[:, self._order]
        return records

    def _rows(self, machines: Sequence[Hashable]) -> NDArray[np.int64]:
        """The row of each record's machine; new ones get the next free rows."""
        row = self._row
        try:
            return np.array([row[machine] for machine in machines], np.int64)
        except KeyError:
            new = dict.fromkeys(machine for machine in machines if machine not in row)
            n_short = len(row) + len(new) - len(self._machines)
            if n_short > 0:
                self._machines.add(max(n_short, len(self._machines) // 2))  # seldom
            row.update(zip(new, range(len(row), len(row) + len(new)), strict=True))
            return np.array([row[machine] for machine in machines], np.int64)
