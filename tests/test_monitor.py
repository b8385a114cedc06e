"""One machine under watch: what its alerts say, in which order, and after a restart."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping

import numpy as np
import pytest

from scrnn_stream.alert import Alert
from scrnn_stream.encoding import decode, encode
from scrnn_stream.episodes import ON_DELAY, SEVERE_P
from scrnn_stream.limits import Limits, SensorLimits
from scrnn_stream.monitor import Monitor, Verdict
from scrnn_stream.records import Partition, Position, Record
from scrnn_stream.settings import Settings
from scrnn_stream.trail import N_DRAWN, N_TRAIL
from tests.conftest import BEGIN, END
from tests.monitoring import made, minute, of, only, readings, recorded, watch


@pytest.fixture(scope="module")
def alerts(plant: list[Record]) -> dict[str, list[Alert]]:
    """The alerts of each machine, watched alone."""
    machines = {record.machine for record in plant}
    return {machine: made(machine, of(plant, machine))[1] for machine in machines}


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
    assert firing.sensors[0].sensor == "flow"
    worst = {cause.sensor: cause.actual for cause in resolved.sensors}  # of two, either may lead once both are far off
    assert worst["flow"] > firing.sensors[0].actual


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
    assert firing.sensors[0].trail_average[-1] == pytest.approx(firing.sensors[0].actual, rel=1e-6)


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


def test_data_without_time_is_watched_too(plant: list[Record]) -> None:
    for machine in ("mill", "pump"):
        records = [dataclasses.replace(r, time=None, received=None) for r in of(plant, machine)]
        alerts = made(machine, records)[1]
        kind = "anomaly" if machine == "mill" else "stuck"
        firing = only(alerts, kind, "firing")
        assert firing.begin is firing.raised is None
        assert firing.position == records[BEGIN].position


# -- when it began ----------------------------------------------------------------------------------------------------


def test_a_slow_fault_began_long_before_it_was_raised() -> None:
    values = readings(2000, seed=4)
    values[1500:, 0] += np.arange(500) * 0.006
    alerts = made("m", recorded(values))[1]
    firing = next(alert for alert in alerts if alert.raised is not None and minute(alert.raised) >= 1500)
    assert firing.kind == "anomaly"
    assert minute(firing.raised) - minute(firing.begin) > 2 * ON_DELAY
    assert minute(firing.begin) >= 1500


# -- limits of the user -----------------------------------------------------------------------------------------------


def shifted(by: float, later: float = 0.0) -> list[Record]:
    """A calm machine whose sensor s0 is off by `by` from record 900 on, and by `later` from 960 on."""
    values = readings(1100, seed=2)
    values[900:, 0] += by
    values[960:, 0] += later - by if later else 0.0
    return recorded(values)


def raised_in_fault(records: list[Record], limits: Mapping[str, SensorLimits]) -> list[int]:
    """Minutes at which an anomaly was raised during the fault."""
    monitor, alerts = made("m", records, limits=Limits(sensors=limits))
    raised = [a for a in alerts if (a.kind, a.state) == ("anomaly", "firing")]
    assert monitor.budget.n_raised == len(raised)
    return [minute(alert.raised) for alert in raised if minute(alert.raised) >= 900]


def test_a_departure_below_the_least_deviation_does_not_open_and_spends_no_budget() -> None:
    assert raised_in_fault(shifted(5.0), {}) != []
    assert raised_in_fault(shifted(5.0), {"s0": SensorLimits(min_deviation=3.0)}) != []
    assert raised_in_fault(shifted(5.0), {"s0": SensorLimits(min_deviation=9.0)}) == []


def test_a_departure_that_grows_beyond_the_least_deviation_opens_then_and_began_before() -> None:
    limits = Limits(sensors={"s0": SensorLimits(min_deviation=9.0)})
    alerts = made("m", shifted(5.0, later=30.0), limits=limits)[1]
    firing = only([a for a in alerts if a.raised and minute(a.raised) >= 900], "anomaly", "firing")
    assert minute(firing.raised) in range(960, 970)
    assert minute(firing.begin) == 900
    assert firing.sensors[0].sensor == "s0"


@pytest.mark.parametrize(("by", "direction"), [(8.0, "low"), (-8.0, "high")])
def test_a_departure_to_the_other_side_does_not_open(by: float, direction: str) -> None:
    matters = {"low": "high", "high": "low"}[direction]
    assert raised_in_fault(shifted(by), {"s0": SensorLimits(direction=direction)}) == []  # type: ignore[arg-type]
    assert raised_in_fault(shifted(by), {"s0": SensorLimits(direction=matters)}) != []  # type: ignore[arg-type]


def test_the_limits_of_one_sensor_do_not_hide_another() -> None:
    assert raised_in_fault(shifted(8.0), {"s1": SensorLimits(min_deviation=1e9), "s2": SensorLimits(direction="low")})


def test_the_limits_of_another_machine_are_not_for_this_one() -> None:
    limits = Limits(machines={"other": {"s0": SensorLimits(min_deviation=1e9)}})
    alerts = made("m", shifted(8.0), limits=limits)[1]
    assert only([a for a in alerts if a.raised and minute(a.raised) >= 900], "anomaly", "firing")


# -- asked and achieved, learning and ready ---------------------------------------------------------------------------


def test_the_budget_tells_what_was_asked_and_what_was_raised(plant: list[Record]) -> None:
    monitor, alerts = made("mill", of(plant, "mill"), alerts_per_week=7.0)
    budget = monitor.budget
    assert budget.asked_per_day == 1.0
    assert budget.n_raised == len([a for a in alerts if (a.kind, a.state) == ("anomaly", "firing")]) == 1
    assert 0 < budget.days < len(of(plant, "mill")) / 1440
    assert budget.achieved_per_day == 1 / budget.days


def test_a_machine_learns_first_and_says_when_it_will_be_ready() -> None:
    monitor = Monitor("m", Settings())
    assert (monitor.state, monitor.ready_in_s) == ("learning", None)
    expected = []
    for n, record in enumerate(recorded(readings(1000, seed=1)), 1):
        monitor.process(record)
        assert (monitor.state == "ready") == (monitor.n_records_to_ready == 0)
        if monitor.state == "ready":
            break
        expected.append(n + monitor.n_records_to_ready)
        assert n < 2 or monitor.ready_in_s == pytest.approx(60.0 * monitor.n_records_to_ready)
    assert monitor.ready_in_s == 0.0
    assert max(expected) - min(expected) <= 5  # but for improbable records it was known from the beginning


def test_while_it_learns_no_anomaly_is_raised_whatever_comes() -> None:
    values = readings(300, seed=1)
    values[40:60] += 1e3
    values[80:, 1] -= 500
    monitor = Monitor("m", Settings(alerts_per_day=1e6))
    for record in recorded(values):
        is_learning = monitor.state == "learning"
        raised = {alert.kind for alert in monitor.process(record).alerts}
        assert not (is_learning and "anomaly" in raised)
    assert monitor.budget.n_raised == 0


def test_learning_and_ready_are_logged_once_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="scrnn_stream.monitor")
    made("m", recorded(readings(600, seed=1)))
    learning, ready = caplog.messages
    assert "m is learning; ready after" in learning
    assert "in about 5 h" in learning
    assert "m is ready after" in ready


def test_an_adopted_state_is_learned_anew_and_that_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="scrnn_stream.monitor")
    values = readings(1300, seed=1)
    values[700:, 0] += 50
    made("m", recorded(values), accept_after=100)
    assert [" is learning" in message for message in caplog.messages] == [True, False, True, False]


# -- restart ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", ["mill", "pump", "saw"])
@pytest.mark.parametrize("n", [0, 350, BEGIN + 2, BEGIN + 25])
def test_a_restored_monitor_goes_on_identically(machine: str, n: int, plant: list[Record]) -> None:
    records = of(plant, machine)
    original, _ = made(machine, records[:n])
    twin = Monitor.from_state(decode(encode(original.to_state())), Settings())
    assert twin.state == original.state
    assert watch(twin, records[n:]) == watch(original, records[n:])
    assert encode(twin.to_state()) == encode(original.to_state())


def test_a_restored_monitor_follows_the_settings_of_today(plant: list[Record]) -> None:
    original, _ = made("fan", of(plant, "fan")[:50])
    twin = Monitor.from_state(original.to_state(), Settings(alerts_per_day=7.0, accept_after=33))
    assert twin.policy.alerts_per_day == 7.0
    assert twin.detector.accept_after == 33


def test_a_restored_monitor_has_the_same_state_to_the_last_byte(plant: list[Record]) -> None:
    settings = Settings(alerts_per_day=5)
    monitor = Monitor("pump-1", settings)
    for record in plant[:50]:
        monitor.process(record)
    kept = encode(monitor.to_state())
    assert encode(Monitor.from_state(decode(kept), settings).to_state()) == kept
