"""One machine under watch: what its alerts say, in which order, and after a restart."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from scrnn_stream.alert import Alert
from scrnn_stream.encoding import decode, encode
from scrnn_stream.episodes import ON_DELAY, SEVERE_P
from scrnn_stream.monitor import Monitor, Verdict
from scrnn_stream.records import Partition, Position, Record
from scrnn_stream.settings import Settings
from scrnn_stream.trail import N_DRAWN, N_TRAIL
from tests.conftest import BEGIN, END

FAULT = range(BEGIN, END)


def watch(monitor: Monitor, records: list[Record]) -> list[Alert]:
    return [alert for record in records for alert in monitor.process(record).alerts]


def of(plant: list[Record], machine: str) -> list[Record]:
    return [record for record in plant if record.machine == machine]


def made(machine: str, records: list[Record], **settings: Any) -> tuple[Monitor, list[Alert]]:
    monitor = Monitor(machine, Settings(**settings))
    return monitor, watch(monitor, records)


def only(alerts: list[Alert], kind: str, state: str) -> Alert:
    (alert,) = [alert for alert in alerts if (alert.kind, alert.state) == (kind, state)]
    return alert


@pytest.fixture(scope="module")
def alerts(plant: list[Record]) -> dict[str, list[Alert]]:
    """The alerts of each machine, watched alone."""
    machines = {record.machine for record in plant}
    return {machine: made(machine, of(plant, machine))[1] for machine in machines}


def minute(time: float | None) -> int:
    assert time is not None
    return int((time - 1.7e9) // 60)


# -- anomaly ----------------------------------------------------------------------------------------------------------


def test_a_shift_raises_one_alert_that_names_the_sensor_and_the_first_sign(alerts: dict[str, list[Alert]]) -> None:
    firing = only(alerts["mill"], "anomaly", "firing")
    assert minute(firing.begin) == BEGIN
    assert minute(firing.raised) == BEGIN + ON_DELAY - 1
    assert firing.end is None
    assert firing.sensors[0].sensor == "flow"
    assert "mill" in firing.message
    assert "flow" in firing.message
    assert firing.severity == "critical"
    assert firing.p_value < SEVERE_P
    assert firing.budget_used == 1.0


def test_the_all_clear_has_the_same_id_and_the_worst_evidence(alerts: dict[str, list[Alert]]) -> None:
    firing, resolved = (only(alerts["mill"], "anomaly", state) for state in ("firing", "resolved"))
    assert resolved.id == firing.id
    assert (resolved.begin, resolved.raised, resolved.position) == (firing.begin, firing.raised, firing.position)
    assert minute(resolved.end) >= END
    assert resolved.p_value <= firing.p_value
    assert resolved.score >= firing.score


def test_a_fault_that_grows_is_told_at_its_worst_when_it_is_over(plant: list[Record]) -> None:
    growing = [
        dataclasses.replace(r, values=r.values | {"flow": r.values["flow"] + max(0, minute(r.time) - BEGIN)})
        if minute(r.time) < END
        else r
        for r in of(plant, "fan")
    ]
    alerts = made("fan", growing)[1]
    firing, resolved = (only(alerts, "anomaly", state) for state in ("firing", "resolved"))
    assert resolved.p_value < firing.p_value / 1000
    assert resolved.score > firing.score
    assert resolved.severity == "critical"
    assert resolved.sensors[0].sensor == "flow"
    assert resolved.sensors[0].actual > firing.sensors[0].actual


def test_the_evidence_adds_up_and_its_trails_lead_up_to_the_alert(alerts: dict[str, list[Alert]]) -> None:
    for alert in alerts["mill"]:
        assert sum(evidence.share for evidence in alert.sensors) == pytest.approx(1)
        assert [e.share for e in alert.sensors] == sorted((e.share for e in alert.sensors), reverse=True)
        drawn = alert.sensors[0]
        trails = [getattr(drawn, f"trail_{name}") for name in ("time", "reading", "average", "expected", "low", "high")]
        assert len({len(trail) for trail in trails}) == 1
        assert N_TRAIL <= len(trails[0]) <= 2 * N_TRAIL
        assert list(trails[0]) == sorted(trails[0])
    firing = only(alerts["mill"], "anomaly", "firing")
    assert firing.sensors[0].trail_time[-1] == firing.raised
    assert firing.sensors[0].trail_average[-1] == firing.sensors[0].actual


def test_only_the_leading_sensors_are_drawn() -> None:
    rng = np.random.default_rng(1)
    readings = rng.normal(size=(520, 6))
    readings[500:, 2] += 50
    log = Partition("log", 0)
    records = [
        Record(Position(log, t), "m", 60.0 * t, {f"s{j}": v for j, v in enumerate(row)})
        for t, row in enumerate(readings.tolist())
    ]
    firing = only(made("m", records)[1], "anomaly", "firing")
    assert len(firing.sensors) == 6
    assert [bool(evidence.trail_time) for evidence in firing.sensors] == [True] * N_DRAWN + [False] * (6 - N_DRAWN)


def test_an_id_is_the_same_in_two_runs_and_another_at_another_offset(plant: list[Record]) -> None:
    records = of(plant, "mill")
    moved = [dataclasses.replace(r, position=Position(r.position.partition, r.position.offset + 7)) for r in records]
    one, again, other = (made("mill", stream)[1] for stream in (records, records, moved))
    assert one == again
    assert not {alert.id for alert in one} & {alert.id for alert in other}
    assert [(a.kind, a.state, a.raised) for a in one] == [(a.kind, a.state, a.raised) for a in other]


def test_machines_and_partitions_do_not_share_ids(plant: list[Record]) -> None:
    records = of(plant, "mill")
    elsewhere = [dataclasses.replace(r, position=Position(Partition("plant", 1), r.position.offset)) for r in records]
    ids = [{a.id for a in made(*args)[1]} for args in (("mill", records), ("mill-2", records), ("mill", elsewhere))]
    assert len(set.union(*ids)) == sum(map(len, ids))


def test_a_lasting_change_ends_the_anomaly_and_is_told_once(plant: list[Record]) -> None:
    shifted = [
        dataclasses.replace(r, values=r.values | {"flow": r.values["flow"] + 60 * (minute(r.time) >= BEGIN)})
        for r in of(plant, "fan")
    ]
    monitor, alerts = made("fan", shifted, accept_after=100)
    since = [a for a in alerts if a.raised is not None and minute(a.raised) >= BEGIN]
    assert [(a.kind, a.state) for a in since] == [
        ("anomaly", "firing"),
        ("anomaly", "resolved"),
        ("regime_changed", "firing"),
        ("regime_changed", "resolved"),
    ]
    assert "100 records" in since[2].message
    assert since[2].id == since[3].id != since[0].id
    assert since[2].sensors[0].sensor == "flow"
    assert minute(since[2].raised) in range(BEGIN + 99, BEGIN + 105)
    assert not monitor.is_open


def test_a_larger_budget_never_raises_fewer_alerts(plant: list[Record]) -> None:
    few, many = (len(made("mill", of(plant, "mill"), alerts_per_day=budget)[1]) for budget in (0.1, 100.0))
    assert few <= many


def test_a_verdict_carries_the_score_and_whether_an_episode_is_open(plant: list[Record]) -> None:
    monitor = Monitor("mill", Settings())
    verdicts = [monitor.process(record) for record in of(plant, "mill")]
    assert all(isinstance(verdict, Verdict) for verdict in verdicts)
    assert verdicts[0].score == 0  # still learning
    assert all(verdicts[t].is_open for t in range(BEGIN + ON_DELAY, END))
    assert not verdicts[BEGIN - 1].is_open
    assert not verdicts[-1].is_open
    assert max(v.score for v in verdicts[BEGIN : BEGIN + 10]) > 0.6


# -- stuck and silent -------------------------------------------------------------------------------------------------


def test_a_stuck_sensor_is_named_with_the_begin_of_its_run_and_released(alerts: dict[str, list[Alert]]) -> None:
    firing, resolved = (only(alerts["pump"], "stuck", state) for state in ("firing", "resolved"))
    assert [evidence.sensor for evidence in firing.sensors] == ["pressure"]
    assert firing.sensors[0].actual == 6.25
    assert "pressure has repeated one reading" in firing.message
    assert minute(firing.begin) == BEGIN
    assert minute(resolved.end) == END
    assert resolved.id == firing.id
    assert firing.budget_used is None


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


def test_a_silence_that_nobody_saw_is_told_and_resolved_at_the_return(alerts: dict[str, list[Alert]]) -> None:
    firing, resolved = (only(alerts["saw"], "silent", state) for state in ("firing", "resolved"))
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


def test_a_healthy_machine_is_never_stuck_or_silent(alerts: dict[str, list[Alert]]) -> None:
    assert {alert.kind for alert in alerts["fan"]} <= {"anomaly"}


def test_firing_and_resolved_alternate_for_each_kind(alerts: dict[str, list[Alert]]) -> None:
    for machine, theirs in alerts.items():
        for kind in ("anomaly", "silent", "stuck", "regime_changed"):
            states = [alert.state for alert in theirs if alert.kind == kind]
            assert states == ["firing", "resolved"] * (len(states) // 2), (machine, kind)


def test_data_without_time_is_watched_too(plant: list[Record]) -> None:
    for machine in ("mill", "pump"):
        records = [dataclasses.replace(r, time=None, received=None) for r in of(plant, machine)]
        alerts = made(machine, records)[1]
        kind = "anomaly" if machine == "mill" else "stuck"
        firing = only(alerts, kind, "firing")
        assert firing.begin is firing.raised is None
        assert firing.position == records[BEGIN].position


# -- restart ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", ["mill", "pump", "saw"])
@pytest.mark.parametrize("n", [0, 350, BEGIN + 2, BEGIN + 25])
def test_a_restored_monitor_goes_on_identically(machine: str, n: int, plant: list[Record]) -> None:
    records = of(plant, machine)
    original, _ = made(machine, records[:n])
    twin = Monitor.from_state(decode(encode(original.to_state())), Settings())
    assert watch(twin, records[n:]) == watch(original, records[n:])
    assert encode(twin.to_state()) == encode(original.to_state())


def test_a_restored_monitor_follows_the_settings_of_today(plant: list[Record]) -> None:
    original, _ = made("fan", of(plant, "fan")[:50])
    twin = Monitor.from_state(original.to_state(), Settings(alerts_per_day=7.0, accept_after=33))
    assert twin.policy.alerts_per_day == 7.0
    assert twin.detector.accept_after == 33
