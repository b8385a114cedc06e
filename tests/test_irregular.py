"""Data as plants send it, judged by the real detector: gaps, missing readings, late sensors, changing rates."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from scrnn_stream.encoding import encode
from scrnn_stream.monitor import Monitor
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.records import Record
from scrnn_stream.settings import Settings
from tests.monitoring import LOG, START, readings, record, recorded

N = 1200  # records
JOINED = 700


def kept(records: list[Record], keep: Callable[[int, str], bool]) -> list[Record]:
    """The records with the readings that are kept, told by offset and sensor."""
    left = [{name: v for name, v in r.values.items() if keep(t, name)} for t, r in enumerate(records)]
    return [record(t, r.time, values) for t, (r, values) in enumerate(zip(records, left, strict=True))]


def spoilt(share: float, value: float) -> list[Record]:
    values = readings(N)
    values[np.random.default_rng(1).random(values.shape) < share] = value
    return recorded(values)


def after(intervals: np.ndarray) -> list[Record]:
    return recorded(readings(N), (START + np.cumsum(intervals)).tolist())


def random_gaps() -> list[Record]:
    rng = np.random.default_rng(2)
    return after(np.where(rng.random(N) < 0.02, rng.integers(2, 500, N), 1) * 60.0)


def out_of_order() -> list[Record]:
    return recorded(readings(N), (START + 60 * np.arange(N) + np.random.default_rng(3).normal(0, 300, N)).tolist())


def constant_until(t: int) -> list[Record]:
    values = readings(N)
    values[:t] = values[0]
    return recorded(values)


STREAMS: dict[str, Callable[[], list[Record]]] = {
    "gaps": random_gaps,
    "a third missing": lambda: spoilt(0.3, math.nan),
    "infinite readings": lambda: spoilt(0.05, -math.inf),
    "huge readings": lambda: spoilt(0.002, 1e300),
    "a late sensor": lambda: kept(recorded(readings(N)), lambda t, name: name != "s2" or t >= JOINED),
    "a lost sensor": lambda: kept(recorded(readings(N)), lambda t, name: name != "s1" or not 600 <= t < 900),
    "a sensor a record": lambda: kept(recorded(readings(N)), lambda t, name: int(name[1:]) == t % 3),
    "new sensors all the time": lambda: kept(recorded(readings(N, 12)), lambda t, name: t >= 100 * int(name[1:])),
    "records without sensors": lambda: kept(recorded(readings(N)), lambda t, _: t % 7 > 0),
    "changing rates": lambda: after(np.repeat([60.0, 1.0, 3600.0], N // 3)),
    "random rates": lambda: after(np.random.default_rng(4).exponential(60.0, N)),
    "out of order": out_of_order,
    "one time for all": lambda: recorded(readings(N), [START] * N),
    "no time": lambda: recorded(readings(N), [None] * N),
    "time now and then": lambda: recorded(readings(N), [START + 60 * t if t % 2 else None for t in range(N)]),
    "one sensor": lambda: recorded(readings(N, 1)),
    "a constant sensor": lambda: recorded(readings(N) * [1.0, 0.0, 1.0]),
    "constant at first": lambda: constant_until(600),
    "small counts": lambda: recorded(np.random.default_rng(5).poisson(0.2, (N, 3)).astype(float)),
}
SILENT = {"a lost sensor", "changing rates"}  # which they are


@pytest.mark.parametrize("name", STREAMS)
def test_scores_stay_scores_and_alerts_no_flood(name: str) -> None:
    monitor = Monitor("m", Settings())
    verdicts = [monitor.process(record) for record in STREAMS[name]()]
    scores = np.array([verdict.score for verdict in verdicts])
    assert np.isfinite(scores).all()
    assert scores.min() >= 0
    assert scores.max() < 1
    assert scores[-100:].min() < 0.5  # it does not cry for ever
    assert monitor.state == "ready"
    raised = [alert.kind for verdict in verdicts for alert in verdict.alerts if alert.state == "firing"]
    assert raised.count("anomaly") <= 4
    assert set(raised) <= {"anomaly", *(["silent"] if name in SILENT else [])}


@pytest.mark.parametrize(
    "records",
    [
        recorded(np.full((400, 3), 5.0)),
        recorded(np.full((400, 3), math.nan)),
        [record(t, START + 60.0 * t, {}) for t in range(400)],
    ],
    ids=["constant", "missing", "empty"],
)
def test_of_what_never_changes_nothing_is_learned_and_nothing_is_raised(records: list[Record]) -> None:
    monitor = Monitor("m", Settings())
    verdicts = [monitor.process(record) for record in records]
    assert {verdict.score for verdict in verdicts} == {0.0}
    assert not [alert for verdict in verdicts for alert in verdict.alerts]
    assert monitor.state == "learning"


@pytest.mark.parametrize("n_sensors", [1, 65, 1000])
def test_any_number_of_sensors_is_watched_and_a_fault_of_one_is_seen(n_sensors: int) -> None:
    values = readings(420, n_sensors, seed=1)
    values[400:, 0] += 1000.0
    monitor = Monitor("m", Settings())
    verdicts = [monitor.process(record) for record in recorded(values)]
    scores = np.array([verdict.score for verdict in verdicts])
    assert np.isfinite(scores).all()
    assert scores[:400].max() < 0.6 < scores[400:].max()
    firing = [alert for verdict in verdicts[400:] for alert in verdict.alerts if alert.state == "firing"]
    assert [(alert.kind, alert.sensors[0].sensor) for alert in firing] == [("anomaly", "s0")]


def test_records_that_come_too_late_are_refused_and_the_others_judged_as_if_they_had_not_come() -> None:
    on_time = recorded(readings(600))
    late = [record(t, START + 60.0 * (t - 30), {"s0": 1e6}) for t in range(100, 600, 50)]
    mixed = sorted([*on_time, *late], key=lambda r: r.position.offset)
    numbered = [record(offset, r.time, r.values) for offset, r in enumerate(mixed)]
    disturbed, undisturbed = Pipeline(), Pipeline()
    outcome, alone = disturbed.process(numbered), undisturbed.process(on_time)
    assert len(outcome.rejected) == len(late)
    assert all("backwards" in rejected.reason for rejected in outcome.rejected)
    assert [(a.kind, a.state, a.raised) for a in outcome.alerts] == [(a.kind, a.state, a.raised) for a in alone.alerts]
    one, other = (pipeline.monitor(LOG, "m") for pipeline in (disturbed, undisturbed))
    assert encode(one.detector.to_state()) == encode(other.detector.to_state())
