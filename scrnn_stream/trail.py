"""What leads up to an alert: the last records as they were judged, and the evidence drawn from them."""

from __future__ import annotations

import math
import struct
from typing import Any

import msgspec
import numpy as np

from scrnn_stream.alert import SensorEvidence
from scrnn_stream.anomaly import Array, Cause, SCRNNDetector
from scrnn_stream.course import AVERAGE, EXPECTED, LINES

N_TRAIL = 150  # records kept to draw the way into an alert; twice as many points while one is open
N_DRAWN = 3  # sensors whose trail an alert carries
_TIME = struct.Struct("<d")
_COURSE = np.dtype("<f4")
_N_DIGITS = 7  # a float32 holds no more


class Trail:
    """The last records of one machine.

    They are for the eye, and there are many: each is kept as bytes, its time in double precision and its course in
    single.

    Parameters
    ----------
    detector
        The one that judges them.
    """

    def __init__(self, detector: SCRNNDetector) -> None:
        self.detector = detector
        self.points: list[bytes] = []
        self.last = np.zeros((len(LINES), 0))  # the last course as it was calculated

    def add(self, course: Array, time: float | None, is_open: bool) -> None:
        """Keep a record; a long episode keeps its beginning in sight, at half the resolution."""
        self.last = course
        with np.errstate(over="ignore"):  # a reading beyond 3e38 is drawn nowhere
            single = course.astype(_COURSE)
        self.points.append(_TIME.pack(math.nan if time is None else time) + single.tobytes())
        if is_open and len(self.points) > 2 * N_TRAIL:
            del self.points[1:-1:2]
        elif not is_open:
            del self.points[:-N_TRAIL]

    def cause(self, sensor: str) -> Cause:
        """The sensor's last reading as a cause of which nothing was calculated."""
        column = self.detector.sensors.index(sensor)
        if column >= self.last.shape[1]:
            return Cause(1.0, math.nan, math.nan, math.nan, math.nan, "reading", "none")
        reading, _, expected, low, high = self.last[:, column].tolist()
        return Cause(1.0, reading, expected, low, high, "reading", "none")

    def lean(self, sensor: str) -> float:
        """By how much the sensor's last average lies above what was expected of it."""
        column, last = self.detector.sensors.index(sensor), self.last
        return float(last[AVERAGE, column] - last[EXPECTED, column]) if column < last.shape[1] else math.nan

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
        known = [point for point in self.points if column < _n_sensors(point)]
        if not known:
            return {}
        courses = np.array([_course(point)[:, column] for point in known])
        trail = {f"trail_{name}": tuple(_short(courses[:, line]).tolist()) for line, name in enumerate(LINES)}
        return {"trail_time": tuple(_TIME.unpack_from(point)[0] for point in known), **trail}

    def to_state(self) -> dict[str, Any]:
        return {"points": list(self.points), "last": self.last.copy()}

    def restore(self, state: dict[str, Any]) -> None:
        """ValueError if it is no state of a trail."""
        points, last = state["points"], state["last"]
        n_most = len(self.detector.sensors)
        if not (last.ndim == 2 and len(last) == len(LINES) and last.dtype == np.float64 and last.shape[1] <= n_most):
            raise ValueError(f"last must be a course of at most {n_most} sensors, got {last.dtype} of {last.shape}")
        if not all(isinstance(p, bytes) and len(p) == _n_bytes(_n_sensors(p)) <= _n_bytes(n_most) for p in points):
            raise ValueError(f"points must be times and courses of at most {n_most} sensors")
        self.points, self.last = list(points), last


def _n_sensors(point: bytes) -> int:
    return (len(point) - _TIME.size) // (len(LINES) * _COURSE.itemsize)


def _n_bytes(n_sensors: int) -> int:
    return _TIME.size + n_sensors * len(LINES) * _COURSE.itemsize


def _course(point: bytes) -> Any:
    return np.frombuffer(point, _COURSE, offset=_TIME.size).reshape(len(LINES), -1)


def _short(values: Any) -> Array:
    """Numbers whose decimals say no more than single precision knows: messages and people are spared the rest."""
    wide = values.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        n_decimals = _N_DIGITS - 1 - np.floor(np.log10(np.abs(wide)))
        up, down = 10.0 ** np.maximum(n_decimals, 0), 10.0 ** np.maximum(-n_decimals, 0)
        rounded = np.rint(wide * up / down) * down / up  # by powers of ten that are whole numbers: no new rounding
    out: Array = np.where(np.isfinite(rounded), rounded, wide)
    return out
