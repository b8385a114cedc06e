"""A machine whose evidence is watched without a network: what tests of its kernels share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from scrnn_stream import places as at
from scrnn_stream.absorbing import learn_picture
from scrnn_stream.channels import N_DISTANCES, N_VALUES
from scrnn_stream.evidence import advance, measure
from scrnn_stream.machines import Machines
from scrnn_stream.picture import distance, explain, project

POLICY = (100, 500)


class Seen(NamedTuple):
    """A copy of an assessment, as far as `measure` fills it; and of its parts."""

    assessment: np.ndarray
    statistics: np.ndarray
    measured: np.ndarray


class Watched:
    """One machine and its desk; attributes of the same names as in the kernels."""

    def __init__(self, n_sensors: int, machines: Machines | None = None) -> None:
        self.n_sensors = n_sensors
        self.machines = machines or Machines(n_sensors, None, POLICY)
        if machines is None:
            self.machines.add(1)

    @property
    def machine(self) -> tuple[Any, ...]:
        return self.machines.machine(0)

    @property
    def desk(self) -> tuple[Any, ...]:
        return self.machines._desk()

    table = property(lambda self: self.machine[3])
    covariance = property(lambda self: self.machine[4])
    precision = property(lambda self: self.machine[5])

    def row(self, line: int, n: int = 1) -> np.ndarray:
        """A line of the table, or several."""
        return self.table[line] if n == 1 else self.table[line : line + n]

    # -- evidence -----------------------------------------------------------------------------------------------------

    def measure(self, x: np.ndarray, e: np.ndarray, time: float = np.nan) -> Seen:
        work, _, head, measured, readings, scratch, _ = self.desk
        readings[:], scratch[at.ERRORS] = x, e
        measure(time, self.machine, self.desk)
        n = at.n_assessment(self.n_sensors)
        return Seen(work[:n].copy(), head[at.STATISTICS : at.OF_TAIL].copy(), measured.copy())

    def take(self, x: np.ndarray, e: np.ndarray) -> Seen:
        seen = self.measure(x, e)
        advance(self.machine, self.desk)
        learn_picture(self.desk[3].copy(), np.ones(N_DISTANCES), self.machine, self.desk)
        return seen

    def advance(self, x: np.ndarray, e: np.ndarray) -> Seen:
        seen = self.measure(x, e)
        advance(self.machine, self.desk)
        return seen

    def contributions(self, seen: Seen, channel: int) -> np.ndarray:
        return self.machines.contributions(0, channel, seen.assessment)

    # -- picture ------------------------------------------------------------------------------------------------------

    def learn(self, values: np.ndarray) -> None:
        """Learn values (5, D) of which all sensors are present and used."""
        measured = np.ones((at.N_MEASURED, self.n_sensors))
        measured[:N_VALUES] = values
        self.learn_measured(measured)

    def learn_measured(self, measured: np.ndarray) -> None:
        learn_picture(measured, np.ones(N_DISTANCES), self.machine, self.desk)

    def distance(self, k: int, v: np.ndarray, used: np.ndarray) -> float:
        return distance(self.desk[5], k, v, used.astype(float), self.table, self.precision[k], self.desk[6])

    def project(self, k: int, v: np.ndarray, used: np.ndarray) -> np.ndarray:
        """Blame, expected, variance, (3, D)."""
        project(self.desk[5], k, v, used.astype(float), self.table, self.precision[k], self.desk[6])
        return self.desk[5][at.BLAME : at.VARIANCE + 1].copy()

    def explain(self, k: int, v: np.ndarray, used: np.ndarray) -> np.ndarray:
        explain(self.desk[5], k, v, used.astype(float), self.table, self.precision[k], self.desk[6])
        return self.desk[5][at.BLAME : at.VARIANCE + 1].copy()
