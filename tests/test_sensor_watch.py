"""Sensors that are stuck, silent or out of range, and machines that say nothing: told once, and told who joins."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrnn_stream.alert import Alert
from scrnn_stream.casebook import RETELL_AFTER
from scrnn_stream.encoding import decode, encode
from scrnn_stream.limits import Limits, SensorLimits
from scrnn_stream.monitor import Monitor
from scrnn_stream.ranges import OFF_DELAY, ON_DELAY
from scrnn_stream.records import Record
from scrnn_stream.settings import Settings
from tests.conftest import BEGIN, END
from tests.monitoring import START, made, minute, of, only, readings, record, recorded, watch

FAULT = range(BEGIN, END)
WITHIN = Limits({"s0": SensorLimits(low=0.0, high=50.0), "s1": SensorLimits(high=50.0), "s2": SensorLimits(low=-50.0)})


def told(alerts: list[Alert], kind: str) -> list[tuple[str, int, list[str]]]:
    """State, minute and sensors of each message of a kind."""
    moments = [(a, a.end if a.state == "resolved" else a.raised) for a in alerts if a.kind == kind]
    return [(a.state, minute(at), sorted(e.sensor for e in a.sensors)) for a, at in moments]


# -- stuck ------------------------------------------------------------------------------------------------------------


def test_a_stuck_sensor_is_named_with_the_begin_of_its_run_and_released(plant: list[Record]) -> None:
    alerts = made("pump", of(plant, "pump"))[1]
    firing, resolved = (only(alerts, "stuck", state) for state in ("firing", "resolved"))
    assert [evidence.sensor for evidence in firing.sensors] == ["pressure"]
    assert firing.sensors[0].actual == 6.25
    assert "pressure has repeated one reading" in firing.message
    assert minute(firing.begin) == BEGIN
    assert minute(resolved.end) == END
    assert resolved.id == firing.id
    assert firing.budget_used is None


def frozen(*spells: tuple[int, int, int]) -> list[Record]:
    """Of a calm machine the sensor repeats its reading, for each (sensor, begin, end)."""
    values = readings(800, seed=6)
    for sensor, begin, end in spells:
        values[begin:end, sensor] = values[begin - 1, sensor]
    return recorded(values)


def test_a_sensor_that_sticks_while_another_is_stuck_is_told_in_the_same_episode() -> None:
    alerts = [a for a in made("m", frozen((0, 500, 700), (1, 600, 650)))[1] if a.kind == "stuck"]
    assert told(alerts, "stuck") == [
        ("firing", 520, ["s0"]),
        ("firing", 620, ["s0", "s1"]),
        ("resolved", 700, ["s0", "s1"]),
    ]
    assert len({(alert.id, alert.begin) for alert in alerts}) == 1
    assert [alert.n_told for alert in alerts] == [1, 2, 2]
    assert "s1 has repeated one reading for 21 records" in alerts[1].message
    assert "as well as s0" in alerts[1].message
    assert sum(evidence.share for evidence in alerts[1].sensors) == pytest.approx(1.0)


def test_a_machine_that_freezes_bit_by_bit_is_no_flood() -> None:
    alerts = made("m", frozen((0, 500, 700), (1, 501, 700), (2, 504, 700)))[1]
    assert told(alerts, "stuck") == [
        ("firing", 520, ["s0"]),
        ("firing", 520 + RETELL_AFTER, ["s0", "s1", "s2"]),
        ("resolved", 700, ["s0", "s1", "s2"]),
    ]


def test_a_sensor_that_sticks_again_in_one_episode_is_not_told_again() -> None:
    alerts = made("m", frozen((0, 500, 700), (1, 550, 600), (1, 620, 670)))[1]
    assert [state for state, *_ in told(alerts, "stuck")] == ["firing", "firing", "resolved"]


def test_two_sensors_that_freeze_at_one_record_and_are_told_apart_have_two_ids() -> None:
    values = readings(800, seed=6)
    values[200:230, 1] = values[199, 1]  # once, and too long: from now on it counts three times as much
    values[300:330, 1] = values[299, 1]
    values[400:430, 1] = values[399, 1]
    values[500:550, 0] = values[499, 0]
    values[500:700, 1] = values[499, 1]
    alerts = [a for a in made("m", recorded(values))[1] if a.kind == "stuck" and a.raised and minute(a.raised) >= 500]
    assert [(a.state, minute(a.begin), a.sensors[0].sensor) for a in alerts] == [
        ("firing", 499, "s0"),
        ("resolved", 499, "s0"),
        ("firing", 499, "s1"),
        ("resolved", 499, "s1"),
    ]
    assert alerts[0].id == alerts[1].id != alerts[2].id == alerts[3].id


def test_a_sensor_that_is_constant_by_nature_is_never_stuck() -> None:
    values = readings(800, seed=6)
    values[:, 1] = 7.0
    assert not [alert for alert in made("m", recorded(values))[1] if alert.kind == "stuck"]


# -- silent -----------------------------------------------------------------------------------------------------------


def test_a_sensor_that_sends_no_reading_raises_silent_and_is_named(plant: list[Record]) -> None:
    lost = [
        dataclasses.replace(r, values={k: v for k, v in r.values.items() if k != "flow" or minute(r.time) not in FAULT})
        for r in of(plant, "fan")
    ]
    alerts = made("fan", lost)[1]
    firing, resolved = (only(alerts, "silent", state) for state in ("firing", "resolved"))
    assert [evidence.sensor for evidence in firing.sensors] == ["flow"]
    assert math.isnan(firing.sensors[0].actual)
    assert minute(firing.begin) == BEGIN
    assert minute(resolved.end) == END


def test_a_silence_that_nobody_saw_is_told_and_resolved_at_the_return(plant: list[Record]) -> None:
    alerts = made("saw", of(plant, "saw"))[1]
    firing, resolved = (only(alerts, "silent", state) for state in ("firing", "resolved"))
    assert minute(firing.begin) == BEGIN - 1
    assert minute(firing.raised) == minute(resolved.end) == END
    assert firing.id == resolved.id
    assert "no data for 1 h" in firing.message


def test_a_silence_is_told_once_while_it_lasts(plant: list[Record]) -> None:
    monitor, _ = made("fan", of(plant, "fan")[:400])
    sensors = monitor.sensors
    assert sensors.last is not None
    now = sensors.heard_at = sensors.last.time or 0.0
    assert sensors.check_silence(now + 300) == []
    (firing,) = sensors.check_silence(now + 3600)
    assert (firing.kind, firing.state) == ("silent", "firing")
    assert sensors.check_silence(now + 7200) == []


def test_a_healthy_machine_is_never_stuck_or_silent(plant: list[Record]) -> None:
    assert {alert.kind for alert in made("fan", of(plant, "fan"))[1]} <= {"anomaly"}


def without(records: list[Record], sensor: str, begin: int, end: int) -> list[Record]:
    lost = [{k: v for k, v in r.values.items() if k != sensor or not begin <= t < end} for t, r in enumerate(records)]
    return [dataclasses.replace(r, values=values) for r, values in zip(records, lost, strict=True)]


def test_a_machine_that_falls_silent_while_a_sensor_is_missing_is_told_each_time() -> None:
    records = without(recorded(readings(800, seed=6)), "s1", 400, 750)
    heard = [r for r in records if minute(r.time) not in range(500, 600) and minute(r.time) not in range(650, 700)]
    alerts = [a for a in made("m", heard)[1] if a.kind == "silent"]
    assert told(alerts, "silent") == [
        ("firing", 420, ["s1"]),
        ("firing", 600, []),
        ("firing", 700, []),
        ("resolved", 750, ["s1"]),
    ]
    assert [alert.n_told for alert in alerts] == [1, 2, 3, 3]
    assert "no data for 1 h 41 min" in alerts[1].message
    assert len({alert.id for alert in alerts}) == 1


# -- out of range -----------------------------------------------------------------------------------------------------


def beyond(*spells: tuple[int, int, int, float]) -> list[Record]:
    """The sensor reads the value, for each (sensor, begin, end, value)."""
    values = readings(600, seed=6)
    for sensor, begin, end, value in spells:
        values[begin:end, sensor] = value + 0.01 * np.arange(end - begin)
    return recorded(values)


def test_a_reading_beyond_its_limit_is_critical_from_the_first_records_on_and_spends_no_budget() -> None:
    monitor, alerts = made("m", beyond((0, 20, 40, 60.0))[:200], limits=WITHIN)
    firing, resolved = (only(alerts, "out_of_range", state) for state in ("firing", "resolved"))
    assert (monitor.state, monitor.budget.n_raised) == ("learning", 0)
    assert (minute(firing.begin), minute(firing.raised)) == (20, 20 + ON_DELAY - 1)
    assert minute(resolved.end) == 40 + OFF_DELAY - 1
    assert (firing.severity, firing.budget_used) == ("critical", None)
    assert "s0 reads 60.01, above its limit of 50" in firing.message


def test_the_evidence_is_the_farthest_reading_and_its_limits() -> None:
    alerts = made("m", beyond((0, 450, 470, 60.0), (0, 460, 461, 90.0)), limits=WITHIN)[1]
    firing, resolved = (only(alerts, "out_of_range", state).sensors[0] for state in ("firing", "resolved"))
    assert (firing.sensor, firing.low, firing.high, firing.quantity) == ("s0", 0.0, 50.0, "reading")
    assert 0 < firing.expected < 50
    assert (firing.actual, resolved.actual) == (60.01, 90.0)
    assert firing.trail_reading[-1] == 60.01


def test_a_limit_at_one_side_leaves_the_other_open() -> None:
    assert not [a for a in made("m", beyond((1, 450, 470, -1e6)), limits=WITHIN)[1] if a.kind == "out_of_range"]
    firing = only(made("m", beyond((2, 450, 470, -60.0)), limits=WITHIN)[1], "out_of_range", "firing")
    assert "s2 reads -60, below its limit of -50" in firing.message
    assert math.isnan(firing.sensors[0].high)


def test_a_sensor_that_leaves_its_range_while_another_is_out_is_told_in_the_same_episode() -> None:
    alerts = made("m", beyond((0, 450, 550, 60.0), (1, 480, 500, 70.0)), limits=WITHIN)[1]
    assert told(alerts, "out_of_range") == [
        ("firing", 451, ["s0"]),
        ("firing", 481, ["s0", "s1"]),
        ("resolved", 559, ["s0", "s1"]),
    ]


def test_without_limits_nothing_is_out_of_range() -> None:
    assert not [a for a in made("m", beyond((0, 450, 470, 1e9)))[1] if a.kind == "out_of_range"]


# -- never two of a kind ----------------------------------------------------------------------------------------------


def disturbed(seed: int) -> list[Record]:
    """A machine to which anything may happen: shifts, freezes, losses of sensors, silences, missing records."""
    rng = np.random.default_rng(seed)
    n = 1000
    values = readings(n, seed=seed)
    lost = np.zeros(n, bool)
    for _ in range(12):
        begin, sensor = int(rng.integers(150, n - 50)), int(rng.integers(3))
        span = slice(begin, begin + int(rng.integers(5, 150)))
        match rng.integers(5):
            case 0:
                values[span, sensor] += rng.normal() * 20
            case 1:
                values[span, sensor] = values[begin, sensor]
            case 2:
                values[span, sensor] = np.nan
            case 3:
                lost[span] = True
            case 4:
                values[span] += rng.normal(size=3) * 50
    rows = [(t, {f"s{j}": v for j, v in enumerate(row)}) for t, row in enumerate(values.tolist()) if not lost[t]]
    return [record(offset, START + 60.0 * t, row) for offset, (t, row) in enumerate(rows)]


@given(st.integers(0, 10_000), st.sampled_from([0.1, 10.0]))
@settings(max_examples=12)
def test_a_machine_never_has_two_open_episodes_of_one_kind(seed: int, alerts_per_day: float) -> None:
    limits = Limits({"s0": SensorLimits(low=0.0, high=20.0), "s2": SensorLimits(high=25.0)})
    records = disturbed(seed)
    wishes = Settings(alerts_per_day=alerts_per_day, accept_after=60, limits=limits)
    monitor = Monitor("m", wishes)
    alerts = watch(monitor, records[:500])
    monitor = Monitor.from_state(decode(encode(monitor.to_state())), wishes)
    alerts += watch(monitor, records[500:])
    opened: dict[str, Alert] = {}
    ids = set()
    for alert in alerts:
        before = opened.pop(alert.kind, None)
        assert (before is None) == (alert.state == "firing" and alert.n_told == 1), alert.message
        assert before is None or before.id == alert.id
        assert alert.n_told - (before.n_told if before else 0) == (alert.state == "firing")
        assert before is not None or alert.id not in ids
        ids.add(alert.id)
        if alert.state == "firing":
            opened[alert.kind] = alert
    assert opened.keys() == monitor.casebook.episodes.keys()
    assert monitor.budget.n_raised == len([a for a in alerts if (a.kind, a.state) == ("anomaly", "firing")])
