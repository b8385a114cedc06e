"""Records in, alerts out: a function of the records and their order, and of nothing else."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import msgspec
import pytest

from connectors.codecs import decode_json, encode_alert
from scrnn_stream.alert import Alert
from scrnn_stream.encoding import EncodingError, decode, encode
from scrnn_stream.pipeline import EARLIEST_S, LATEST_S, MAX_FUTURE_S, MAX_LEAP_S, Outcome, Pipeline
from scrnn_stream.records import Partition, Position, Record, Rejected
from scrnn_stream.settings import Settings
from scrnn_stream.simulate import simulate_fleet
from tests.conftest import BEGIN, END

LOG = Partition("plant", 0)
START = 1.7e9


def alerts_of(records: list[Any]) -> list[Alert]:
    return Pipeline().process(records).alerts


def bits(alerts: list[Alert]) -> bytes:
    """To compare alerts in which a NaN is a NaN."""
    return encode({"alerts": msgspec.to_builtins(alerts)})


def numbered(records: list[Record]) -> list[Record]:
    """The records in this order, as one log."""
    return [dataclasses.replace(record, position=Position(LOG, offset)) for offset, record in enumerate(records)]


def steady(machine: str, minutes: range, first_offset: int = 0) -> list[Record]:
    """A machine that counts: it is alive, and cheap to follow."""
    times = [(offset, START + 60.0 * minute) for offset, minute in enumerate(minutes, first_offset)]
    return [Record(Position(LOG, offset), machine, time, {"n": math.sin(offset)}) for offset, time in times]


def interleaved(*streams: list[Record]) -> list[Record]:
    return numbered(sorted((r for stream in streams for r in stream), key=lambda r: r.time or 0.0))


def minute(time: float | None) -> int:
    assert time is not None
    return int((time - START) // 60)


@pytest.fixture(scope="module")
def undisturbed(plant: list[Record]) -> list[Alert]:
    return alerts_of(plant)


# -- limits -----------------------------------------------------------------------------------------------------------


def reasons(outcome: Outcome) -> list[str]:
    return [rejected.reason for rejected in outcome.rejected]


def test_a_partition_takes_up_so_many_machines_and_no_more_after_a_restart_too() -> None:
    records = interleaved(*(steady(f"m{k}", range(k, 10)) for k in range(5)))
    pipeline = Pipeline(Settings(max_known_machines=3))
    outcome = pipeline.process(records[:20])
    refusal = "machine is new, and its partition has 3 already (--max-known-machines)"
    assert set(reasons(outcome)) == {refusal}
    assert {record.machine for record in records[:20]} == {f"m{k}" for k in range(5)}
    assert pipeline.n_machines == 3
    after = Pipeline(Settings(max_known_machines=3))
    after.restore(LOG, pipeline.to_state(LOG))
    assert set(reasons(after.process(records[20:]))) == {refusal}
    assert after.n_machines == 3
    other = [
        dataclasses.replace(record, position=Position(Partition("plant", 1), k)) for k, record in enumerate(records)
    ]
    assert len(reasons(after.process(other))) == len([r for r in records if r.machine in ("m3", "m4")])


def test_a_machine_grows_to_so_many_sensors_and_goes_on_with_those_it_has() -> None:
    pipeline = Pipeline(Settings(max_sensors=3))

    def refusals(offset: int, *names: str) -> list[str]:
        record = Record(Position(LOG, offset), "m", START + offset, dict.fromkeys(names, float(offset)))
        return reasons(pipeline.process([record]))

    assert refusals(0, "a", "b") == []
    assert refusals(1, "c", "d") == ["the machine would have 4 sensors, more than 3 (--max-sensors)"]
    assert refusals(2, "a", "c") == refusals(3, "a", "b", "c") == []
    assert refusals(4, "d") == ["the machine would have 4 sensors, more than 3 (--max-sensors)"]
    assert pipeline.monitor(LOG, "m").detector.sensors == ["a", "b", "c"]
    assert pipeline.process(steady("n", range(1), 5)).rejected == []


def test_a_record_of_too_many_sensors_makes_no_machine() -> None:
    pipeline = Pipeline(Settings(max_sensors=3))
    values = {f"s{k}": 1.0 for k in range(4)}
    assert len(reasons(pipeline.process([Record(Position(LOG, 0), "m", START, values)]))) == 1
    assert pipeline.n_machines == 0


# -- the same records, the same alerts --------------------------------------------------------------------------------


def test_the_plant_raises_the_alerts_that_its_faults_deserve(undisturbed: list[Alert]) -> None:
    firing = {(alert.machine, alert.kind) for alert in undisturbed if alert.state == "firing"}
    assert {("mill", "anomaly"), ("pump", "stuck"), ("saw", "silent")} <= firing
    assert not {(machine, kind) for machine, kind in firing if machine == "fan"}


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_batches_of_any_size_raise_the_same_alerts(size: int, plant: list[Record], undisturbed: list[Alert]) -> None:
    pipeline = Pipeline()
    outcomes = [pipeline.process(plant[k : k + size]) for k in range(0, len(plant), size)]
    assert [alert for outcome in outcomes for alert in outcome.alerts] == undisturbed


@pytest.mark.parametrize("minute", [BEGIN, BEGIN + 3, BEGIN + 30, END + 4])
def test_a_restart_at_any_record_raises_the_same_alerts(
    minute: int, plant: list[Record], undisturbed: list[Alert]
) -> None:
    n = 4 * minute - max(0, min(minute, END) - BEGIN) + 1  # somewhere within the minute; the saw is silent from BEGIN
    before, after = Pipeline(), Pipeline()
    alerts = before.process(plant[:n]).alerts
    after.restore(LOG, decode(encode(before.to_state(LOG))))
    alerts += after.process(plant[n:]).alerts
    assert alerts == undisturbed
    before.process(plant[n:])
    assert encode(after.to_state(LOG)) == encode(before.to_state(LOG))


def test_a_fleet_raises_the_same_alerts_in_one_piece_and_with_a_restart_in_each_day() -> None:
    records = simulate_fleet(n_pumps=1, days=6, seed=4).records
    undisturbed = alerts_of(records)
    assert undisturbed
    pipeline, alerts = Pipeline(), []
    for begin in range(0, len(records), 500):
        alerts += pipeline.process(records[begin : begin + 500]).alerts
        state = encode(pipeline.to_state(records[0].position.partition))
        pipeline = Pipeline()
        pipeline.restore(records[0].position.partition, decode(state))
    assert bits(alerts) == bits(undisturbed)


@pytest.mark.parametrize("absent", ["saw", "mill"])
def test_one_machine_does_not_affect_the_alerts_of_another(
    absent: str, plant: list[Record], undisturbed: list[Alert]
) -> None:
    others = alerts_of([record for record in plant if record.machine != absent])
    assert others == [alert for alert in undisturbed if alert.machine != absent]


def test_partitions_do_not_affect_each_other(plant: list[Record], undisturbed: list[Alert]) -> None:
    mirror = Partition("mirror", 1)
    twins = [
        (record, dataclasses.replace(record, position=Position(mirror, offset), received=None))
        for offset, record in enumerate(plant)
    ]
    alerts = alerts_of([record for pair in twins for record in pair])
    assert [alert for alert in alerts if alert.position.partition == LOG] == undisturbed
    assert len(alerts) == 2 * len(undisturbed)


def test_the_order_of_the_readings_in_a_record_does_not_matter(plant: list[Record], undisturbed: list[Alert]) -> None:
    turned = [dataclasses.replace(r, values=dict(reversed(r.values.items()))) for r in plant]
    assert alerts_of(turned) == undisturbed


def test_an_episode_is_closed_before_the_next_of_its_kind_opens(undisturbed: list[Alert]) -> None:
    fleet = simulate_fleet(n_pumps=2, days=6, seed=2, kinds=("stuck", "blockage"))
    for alerts in (undisturbed, alerts_of(fleet.records)):
        assert alerts
        states: dict[tuple[str, str], list[Alert]] = {}
        for alert in alerts:
            states.setdefault((alert.machine, alert.kind), []).append(alert)
        for theirs in states.values():
            assert [alert.state for alert in theirs] == (["firing", "resolved"] * len(theirs))[: len(theirs)]
            assert all(one.id == other.id for one, other in zip(theirs[::2], theirs[1::2], strict=False))
        ids = [alert.id for alert in alerts if alert.state == "firing"]
        assert len(set(ids)) == len(ids)


def test_the_stuck_gauge_of_a_fleet_is_found_and_named() -> None:
    fleet = simulate_fleet(n_pumps=1, days=6, seed=1, kinds=("stuck",))
    (fault,) = fleet.faults
    firing = [alert for alert in alerts_of(fleet.records) if (alert.kind, alert.state) == ("stuck", "firing")]
    assert [[evidence.sensor for evidence in alert.sensors] for alert in firing] == [list(fault.sensors)]
    assert firing[0].begin is not None
    assert abs(firing[0].begin - fault.begin) <= 600


# -- duplicates and bad times -----------------------------------------------------------------------------------------


def test_exact_duplicates_are_dropped_and_counted(plant: list[Record], undisturbed: list[Alert]) -> None:
    doubled = [twin for record in plant for twin in (record, dataclasses.replace(record))]
    pipeline = Pipeline()
    assert pipeline.process(doubled).alerts == undisturbed
    assert pipeline.n_duplicates == len(plant)


@pytest.mark.parametrize("nan", [lambda: math.nan, lambda: float("nan")], ids=["the same", "another"])
def test_a_duplicate_with_a_missing_reading_is_one_too(nan: Any) -> None:
    pipeline = Pipeline()
    for offset in range(2):
        pipeline.process([Record(Position(LOG, offset), "m", START, {"a": 1.0, "b": nan()})])
    assert pipeline.n_duplicates == 1


def test_equal_times_with_different_values_are_learned() -> None:
    pipeline = Pipeline()
    records = [Record(Position(LOG, n), "m", START, {"a": float(n)}) for n in range(10)]
    assert pipeline.process(records).rejected == []
    assert pipeline.n_duplicates == 0
    assert pipeline.monitor(LOG, "m").policy.n_records == 10


def test_records_without_time_are_never_duplicates() -> None:
    pipeline = Pipeline()
    pipeline.process([Record(Position(LOG, n), "m", None, {"a": 1.0}) for n in range(10)])
    assert pipeline.n_duplicates == 0
    assert pipeline.monitor(LOG, "m").policy.n_records == 10


def refused(*records: Record) -> str:
    """Why the last of the records was refused; the others were not, and the machine did not notice."""
    pipeline = Pipeline()
    assert pipeline.process(records[:-1]).rejected == []
    before = encode(pipeline.to_state(LOG)["monitors"][0] if records[1:] else {})
    outcome = pipeline.process(records[-1:])
    (rejected,) = outcome.rejected
    assert outcome.alerts == []
    assert rejected.position == records[-1].position
    assert records[-1].machine.encode() in rejected.payload
    assert encode(pipeline.to_state(LOG)["monitors"][0] if records[1:] else {}) == before
    return rejected.reason


def at(time: float, offset: int, received: float | None = None, machine: str = "m") -> Record:
    return Record(Position(LOG, offset), machine, time, {"a": 1.0 + offset}, received)


def test_time_that_goes_backwards_is_refused_with_its_reason() -> None:
    assert "backwards: 5 s" in refused(at(START, 0), at(START - 5, 1))


def test_only_a_machine_of_its_own_goes_backwards() -> None:
    assert Pipeline().process([at(START, 0), at(START - 500, 1, machine="other")]).rejected == []


def test_a_time_far_beyond_the_broker_s_clock_is_refused_even_as_the_first_record() -> None:
    late = START + MAX_FUTURE_S + 1
    assert "in the future" in refused(at(START, 0, START), at(late, 1, START))
    assert "in the future" in refused(at(late, 0, START))
    assert Pipeline().process([at(START + MAX_FUTURE_S, 0, START)]).rejected == []


def test_a_record_may_come_long_after_its_time() -> None:
    assert Pipeline().process([at(START, 0, START + 1e8), at(START + 60, 1, START + 1e8)]).rejected == []


def test_a_leap_in_a_file_is_refused_and_the_stream_goes_on() -> None:
    assert "leaps" in refused(at(START, 0), at(START + MAX_LEAP_S + 1, 1))
    outcome = Pipeline().process([at(START, 0), at(START + 1e10, 1), at(START + 60, 2)])
    assert [rejected.position.offset for rejected in outcome.rejected] == [1]


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf, 1.7e12, EARLIEST_S - 1])
def test_a_time_that_is_no_number_or_no_date_is_refused(time: float) -> None:
    assert refused(at(START, 0), at(time, 1))
    assert "outside the years 1 to 8999" in refused(at(time, 0, received=time))


def test_a_sensor_with_the_name_of_the_time_is_refused() -> None:
    message = b'{"machine": "m", "sensor": "timestamp", "value": 1}'
    named_so = decode_json(message, Position(LOG, 1), received=START + 60)
    assert isinstance(named_so, Record)
    assert refused(at(START, 0), named_so) == "sensor 'timestamp' has the name of the time: rename it"


@pytest.mark.parametrize("first", [EARLIEST_S, LATEST_S - 300 * 60.0])
def test_what_is_told_at_the_ends_of_time_can_be_written(first: float) -> None:
    pipeline = Pipeline()
    assert pipeline.process(at(first + 60.0 * n, n) for n in range(300)).rejected == []
    [silent] = pipeline.check_idle(LOG, 1e6).alerts
    assert b'"time"' in encode_alert(silent)


def test_a_message_that_was_refused_before_passes_through_in_its_place() -> None:
    bad = Rejected(Position(LOG, 1), "not JSON", b"{")
    told: list[Any] = []
    outcome = Pipeline().process([at(START, 0), bad, at(START + 60, 2)], lambda message, _: told.append(message))
    assert outcome == Outcome([], [bad])
    assert [message.position.offset for message in told] == [0, 1, 2]


def test_the_observer_is_told_of_every_message_with_its_verdict() -> None:
    records = [
        at(START, 0),
        at(START - 9, 1),
        at(START, 2),
        dataclasses.replace(at(START, 2), position=Position(LOG, 3)),
    ]
    told: list[Any] = []
    Pipeline().process(records, lambda message, verdict: told.append((type(message), verdict)))
    assert [kind for kind, _ in told] == [Record, Rejected, Record, Record]
    assert [math.isnan(verdict.score) for _, verdict in told] == [False, True, False, True]


# -- silence ----------------------------------------------------------------------------------------------------------


def test_a_silent_machine_is_found_by_the_time_of_the_others_and_resolved_at_its_return() -> None:
    quiet = steady("a", range(200)) + steady("a", range(500, 520), first_offset=200)
    records = interleaved(quiet, steady("b", range(520)))
    firing, resolved = (alert for alert in alerts_of(records) if alert.kind == "silent")
    assert (firing.machine, firing.state, firing.sensors) == ("a", "firing", ())
    assert minute(firing.begin) == 199
    assert minute(firing.raised) in range(209, 212)
    assert minute(resolved.end) == 500
    assert firing.id == resolved.id


def test_a_machine_that_never_returns_is_told_once() -> None:
    alerts = alerts_of(interleaved(steady("a", range(200)), steady("b", range(600))))
    assert [(alert.machine, alert.state) for alert in alerts if alert.kind == "silent"] == [("a", "firing")]


def test_a_partition_that_is_idle_as_a_whole_is_judged_by_the_wall_clock() -> None:
    pipeline = Pipeline()
    pipeline.process(interleaved(steady("a", range(200)), steady("b", range(200))))
    assert pipeline.check_idle(LOG, 300.0) == ([], None)
    assert sorted(alert.machine for alert in pipeline.check_idle(LOG, 1200.0).alerts) == ["a", "b"]
    assert pipeline.check_idle(LOG, 2400.0) == ([], None)
    assert pipeline.check_idle(Partition("never seen", 0), 1e9) == ([], None)


@pytest.mark.parametrize("order", [["fan", "mill", "pump"], ["pump", "mill", "fan"]])
def test_a_file_sorted_by_machine_raises_no_false_silence(order: list[str], plant: list[Record]) -> None:
    by_machine = [dataclasses.replace(r, received=None) for machine in order for r in plant if r.machine == machine]
    outcome = Pipeline().process(numbered(by_machine))
    assert not [alert for alert in outcome.alerts if alert.kind == "silent"]
    assert outcome.rejected == []
    assert {alert.machine for alert in outcome.alerts if alert.kind == "stuck"} == {"pump"}


def test_a_machine_whose_clock_is_behind_is_not_silent() -> None:
    punctual, late = steady("a", range(600)), steady("b", range(600))
    behind = [dataclasses.replace(record, time=(record.time or 0) - 1800) for record in late]
    records = [record for pair in zip(punctual, behind, strict=True) for record in pair]
    outcome = Pipeline().process(numbered(records))
    assert outcome.rejected == []
    assert not [alert for alert in outcome.alerts if alert.kind == "silent"]


def test_a_silence_of_the_whole_plant_is_told_and_resolved_at_the_return() -> None:
    stream = steady("a", range(200)) + steady("a", range(500, 510), first_offset=200)
    alerts = [alert for alert in alerts_of(stream) if alert.kind == "silent"]
    assert [(alert.state, minute(alert.raised)) for alert in alerts] == [("firing", 209), ("resolved", 209)]
    assert [minute(alert.end) for alert in alerts if alert.end is not None] == [500]


def test_a_machine_that_returns_as_it_was_raises_no_anomaly(undisturbed: list[Alert]) -> None:
    assert not [alert for alert in undisturbed if (alert.machine, alert.kind) == ("saw", "anomaly")]


# -- ownership --------------------------------------------------------------------------------------------------------


def test_a_dropped_partition_is_forgotten_and_the_others_are_not(plant: list[Record]) -> None:
    pipeline = Pipeline()
    other = Partition("other", 0)
    pipeline.process(plant[:40])
    pipeline.process([dataclasses.replace(plant[0], position=Position(other, 0))])
    assert pipeline.n_machines == 5
    pipeline.drop(LOG)
    pipeline.drop(LOG)
    assert pipeline.n_machines == 1
    assert encode(pipeline.to_state(LOG)) == encode(Pipeline().to_state(LOG))


@pytest.mark.parametrize(
    ("name", "value"), [("time", "now"), ("time", math.nan), ("next_check", []), ("n_duplicates", None)]
)
def test_numbers_of_a_stream_that_are_none_are_refused(name: str, value: Any, plant: list[Record]) -> None:
    pipeline = Pipeline()
    pipeline.process(plant[:10])
    partition = plant[0].position.partition
    with pytest.raises(EncodingError, match="the numbers of a stream are none"):
        Pipeline().restore(partition, pipeline.to_state(partition) | {name: value})
