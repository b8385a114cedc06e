"""What leads up to an alert: the last records as they were judged, and the evidence drawn from them."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from scrnn_stream.alert import SensorEvidence
from scrnn_stream.anomaly import Array, Cause, SCRNNDetector
from scrnn_stream.course import AVERAGE, EXPECTED, LINES

N_TRAIL = 150  # records kept to draw the way into an alert; twice as many points while one is open
N_DRAWN = 3  # sensors whose trail an alert carries


class Trail:
    """The last records of one machine.

    Parameters
    ----------
    detector
        The one that judges them.
    """

    def __init__(self, detector: SCRNNDetector) -> None:
        self.detector = detector
        self.points: list[tuple[float, Array]] = []  # a time and a course

    def add(self, course: Array, time: float | None, is_open: bool) -> None:
        """Keep a record; a long episode keeps its beginning in sight, at half the resolution."""
        self.points.append((math.nan if time is None else time, course))
        if is_open and len(self.points) > 2 * N_TRAIL:
            del self.points[1:-1:2]
        elif not is_open:
            del self.points[:-N_TRAIL]

    def cause(self, sensor: str) -> Cause:
        """The sensor's last reading as a cause of which nothing was calculated."""
        column, course = self.detector.sensors.index(sensor), self.points[-1][1]
        if column >= course.shape[1]:
            return Cause(1.0, math.nan, math.nan, math.nan, math.nan, "reading", "none")
        reading, _, expected, low, high = course[:, column].tolist()
        return Cause(1.0, reading, expected, low, high, "reading", "none")

    def lean(self, sensor: str) -> float:
        """By how much the sensor's last average lies above what was expected of it."""
        column, course = self.detector.sensors.index(sensor), self.points[-1][1]
        return float(course[AVERAGE, column] - course[EXPECTED, column]) if column < course.shape[1] else math.nan

    def evidence(self, causes: dict[str, Cause]) -> tuple[SensorEvidence, ...]:
        """The causes with the largest share first, and the trails of the leading ones."""
        total = math.fsum(cause.share for cause in causes.values())
        ranked = sorted(causes.items(), key=lambda item: (-item[1].share, item[0]))
        evidence = [
            SensorEvidence(sensor=sensor, **cause._asdict() | {"share": cause.share / total})
            for sensor, cause in ranked
        ]
        drawn = [msgspec.structs.replace(e, **self._of(e.sensor)) for e in evidence[:N_DRAWN]]
        return (*drawn, *evidence[N_DRAWN:])

    def _of(self, sensor: str) -> dict[str, tuple[float, ...]]:
        column = self.detector.sensors.index(sensor)
        points = [(time, *course[:, column].tolist()) for time, course in self.points if column < course.shape[1]]
        names = ("time", *LINES)
        return {f"trail_{name}": series for name, series in zip(names, zip(*points, strict=True), strict=True)}

    def to_state(self) -> list[Any]:
        return [[time, course.copy()] for time, course in self.points]

    def restore(self, state: list[Any]) -> None:
        self.points = [(time, course) for time, course in state]
