"""Readings one by one tell what whole records tell, in any batches, after kills, and with machines out of memory."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scrnn_stream.alert import Alert
from scrnn_stream.cli import main
from scrnn_stream.encoding import decode, encode
from scrnn_stream.joining import Joining
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.records import Batch, Partition, Position, Record, Rejected
from scrnn_stream.settings import Settings
from tests.test_eviction import shifts
from tests.test_pipeline import LOG, START, bits
from tests.test_worker import A, B, Broker, FakeSource, Journal, Killed, worker

EXACT = Settings(joining=Joining(0.0, 0.0))
PATIENT = Settings(joining=Joining(0.0, 300.0))


def singly(records: list[Record], partition: Partition = LOG) -> list[Record]:
    """Each reading as a message of its own, as long JSON has it."""
    readings = [(record, sensor) for record in records for sensor in record.values]
    return [
        dataclasses.replace(record, position=Position(partition, offset), values={sensor: record.values[sensor]})
        for offset, (record, sensor) in enumerate(readings)
    ]


def told(alerts: list[Alert]) -> list[Any]:
    """All but where it stands: readings of one record lie at several positions."""
    plain = [msgspec.to_builtins(msgspec.structs.replace(alert, id="", position=Position(LOG, 0))) for alert in alerts]
    return sorted(encode({"alert": alert}) for alert in plain)


@pytest.fixture(scope="module")
def whole(plant: list[Record]) -> list[Alert]:
    alerts = Pipeline().process(plant).alerts
    assert {alert.kind for alert in alerts} >= {"anomaly", "stuck", "silent"}
    return alerts


def test_readings_one_by_one_tell_what_whole_records_tell(plant: list[Record], whole: list[Alert]) -> None:
    pipeline = Pipeline(EXACT)
    outcome = pipeline.process(singly(plant))
    outcome.alerts.extend(pipeline.finish().alerts)
    assert outcome.rejected == []
    assert told(outcome.alerts) == told(whole)


def test_readings_out_of_order_within_the_lateness_tell_the_same_of_what_machines_do(
    plant: list[Record], whole: list[Alert]
) -> None:
    keys = random.Random(5)
    delays = {"flow": 0.0, "pressure": 150.0}
    shuffled = sorted(singly(plant), key=lambda r: (r.time or 0.0) + delays[min(r.values)] + keys.random() * 59.0)
    shuffled = [dataclasses.replace(r, position=Position(LOG, n), received=START + 9e4) for n, r in enumerate(shuffled)]
    pipeline = Pipeline(PATIENT)
    outcome = pipeline.process(shuffled)
    outcome.alerts.extend(pipeline.finish().alerts)
    assert outcome.rejected == []
    of_records = [[a for a in alerts if a.kind != "silent"] for alerts in (outcome.alerts, whole)]
    assert told(of_records[0]) == told(of_records[1])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_batches_and_restarts_between_them_change_nothing(size: int, plant: list[Record]) -> None:
    readings = singly(plant[:2600])  # up to the faults
    straight, pieced = Pipeline(EXACT), Pipeline(EXACT)
    alerts = straight.process(readings).alerts
    pieces: list[Alert] = []
    for begin in range(0, len(readings), size):
        pieces += pieced.process(readings[begin : begin + size]).alerts
        if begin % 700 < size:
            state = decode(encode(pieced.to_state(LOG)))
            pieced = Pipeline(EXACT)
            pieced.restore(LOG, state)
    assert bits(pieces) == bits(alerts)
    assert encode(pieced.to_state(LOG)) == encode(straight.to_state(LOG))


# -- kills ------------------------------------------------------------------------------------------------------------


def slow_logs(n: int) -> tuple[list[Record], list[Record]]:
    """Two partitions of machines that come and go, with readings one by one, some of them late or lost."""
    logs = []
    for partition, seed in ((A, 3), (B, 4)):
        readings = singly(shifts(partition, 6, seed), partition)[:n]
        keys = random.Random(seed)
        order = sorted(readings, key=lambda r: (r.time or 0.0) + 400.0 * (keys.random() < 0.03))
        kept = [reading for reading in order if keys.random() > 0.02]
        logs.append([dataclasses.replace(r, position=Position(partition, k)) for k, r in enumerate(kept)])
    return logs[0], logs[1]


def watch(logs: tuple[list[Record], list[Record]], path: Path, lives: list[float], **options: Any) -> Broker:
    """One worker after the other, each killed after so many events but the last."""
    broker = Broker(*map(list, logs))
    for n_events in [*lives, float("inf")]:
        options = {"pipeline": Pipeline(PATIENT), "size": 60, "checkpoint_every_s": 3.0, **options}
        try:
            worker(broker, path, Journal(n_events), **options | {"pipeline": Pipeline(PATIENT)}).run()
        except Killed:
            continue
    return broker


def seen(broker: Broker) -> tuple[list[tuple[str, str]], list[tuple[int, str]]]:
    """Each message once: the broker of these tests has no transactions."""
    letters = dict.fromkeys((letter.position.offset, letter.reason) for letter in broker.rejected)
    return sorted(set(broker.told)), sorted(letters)


def test_no_kill_loses_what_waits_in_a_frame(tmp_path: Path) -> None:
    logs = slow_logs(1500)
    undisturbed = seen(watch(logs, tmp_path / "undisturbed", []))
    assert len(undisturbed[0]) > 4
    assert any("comes too late" in reason for _, reason in undisturbed[1])
    for seed in range(6):
        lives = random.Random(seed)
        n_events = [float(lives.randrange(1, 120)) for _ in range(4)]
        broker = watch(logs, tmp_path / str(seed), n_events, size=lives.choice([7, 40, 200]))
        assert seen(broker) == undisturbed, (seed, n_events)


def test_machines_out_of_memory_keep_what_waits_in_their_frames(tmp_path: Path) -> None:
    logs = slow_logs(1500)
    undisturbed = seen(watch(logs, tmp_path / "all", []))
    assert seen(watch(logs, tmp_path / "few", [40, 60], max_machines=2, size=20)) == undisturbed


# -- too late, and twice ----------------------------------------------------------------------------------------------


def reading(offset: int, time: float, **values: float) -> Record:
    return Record(Position(LOG, offset), "m", START + time, values)


def taught(settings: Settings = EXACT) -> Pipeline:
    pipeline = Pipeline(settings)
    times = [(minute, sensor) for minute in range(30) for sensor in "ab"]
    pipeline.process(
        [reading(n, 60.0 * minute, **{sensor: float(minute % 7)}) for n, (minute, sensor) in enumerate(times)]
    )
    return pipeline


def test_a_reading_that_comes_too_late_is_a_dead_letter_that_says_so() -> None:
    pipeline = taught()
    outcome = pipeline.process([reading(70, 1740.0, c=1.0), reading(71, 1700.0, a=1.0)])
    assert [letter.reason for letter in outcome.rejected] == [
        "reading comes too late: the machine's record of 0 s after it has been judged (--lateness)",
        "reading comes too late: the machine's record of 40 s after it has been judged (--lateness)",
    ]
    assert pipeline.monitor(LOG, "m").frames is not None
    assert "c" in pipeline.monitor(LOG, "m").known_sensors[1]


def test_a_reading_that_comes_twice_counts_once_whether_its_frame_is_open_or_not() -> None:
    pipeline = taught()
    again = [reading(70, 1740.0, b=float(29 % 7)), reading(71, 1800.0, a=1.0), reading(72, 1800.0, a=1.0)]
    assert pipeline.process(again).rejected == []
    assert pipeline.n_duplicates == 2


def test_the_observer_is_told_of_whole_records() -> None:
    heard: list[Record | Rejected] = []
    pipeline = taught()
    pipeline.process([reading(70, 1800.0, a=1.0), reading(71, 1800.0, b=2.0)], lambda it, _: heard.append(it))
    assert heard == [Record(Position(LOG, 70), "m", START + 1800.0, {"a": 1.0, "b": 2.0})]


def test_readings_on_their_way_count_for_the_limit_of_sensors() -> None:
    pipeline = Pipeline(Settings(joining=Joining(0, 100), max_sensors=3))
    outcome = pipeline.process([reading(n, 0.0, **{f"s{n}": 1.0}) for n in range(5)])
    assert [letter.reason for letter in outcome.rejected] == [
        "the machine would have 4 sensors, more than 3 (--max-sensors)"
    ] * 2


# -- silence ----------------------------------------------------------------------------------------------------------


def test_what_waits_is_judged_before_a_machine_counts_as_silent() -> None:
    pipeline = Pipeline(EXACT)
    minutes = [(minute, sensor) for minute in range(200) for sensor in "ab"][:-1]
    pipeline.process(
        [reading(n, 60.0 * minute, **{sensor: float(minute % 7)}) for n, (minute, sensor) in enumerate(minutes)]
    )
    alerts, until = pipeline.check_idle(LOG, 3600.0)
    assert [(alert.kind, alert.begin) for alert in alerts] == [("silent", START + 60.0 * 199)]
    assert until == alerts[0].raised
    frames = pipeline.monitor(LOG, "m").frames
    assert frames is not None
    assert frames.open == []
    again = Pipeline(EXACT)
    again.process([reading(n, 60.0 * m, **{sensor: float(m % 7)}) for n, (m, sensor) in enumerate(minutes)])
    again.recall_silence(LOG, until)
    assert encode(again.to_state(LOG)) == encode(pipeline.to_state(LOG))


def test_a_pause_that_closes_a_frame_is_committed_with_its_offset_and_recalled(tmp_path: Path) -> None:
    minutes = [(minute, sensor) for minute in range(200) for sensor in "ab"][:-1]
    log = [reading(n, 60.0 * m, **{sensor: float(m % 7)}) for n, (m, sensor) in enumerate(minutes)]
    log = [dataclasses.replace(record, position=Position(A, n)) for n, record in enumerate(log)]
    broker, state = Broker(list(log)), []
    for _ in range(2):
        pipeline = Pipeline(EXACT)
        idle = worker(broker, tmp_path, pipeline=pipeline, size=len(log), checkpoint_every_s=1e9)
        assert isinstance(idle.source, FakeSource)
        idle.source.batches += [Batch(list(log), {}, frozenset()), *[Batch([], {}, frozenset())] * 5]
        source = idle.source
        idle.run(stop=lambda source=source: not source.batches, timeout_s=300.0)  # type: ignore[misc]
        for path in tmp_path.iterdir():  # as if killed before the checkpoint
            path.unlink()
        broker.committed[A] = len(log)
        state.append(encode(pipeline.to_state(A)))
    assert [(alert.kind, alert.state) for alert in broker.alerts] == [("silent", "firing")]
    assert state[0] == state[1]


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_replay_of_long_json_has_a_row_for_each_record_and_judges_the_last_one(tmp_path: Path) -> None:
    path, scores = tmp_path / "long.jsonl", tmp_path / "scores.csv"
    rows = [{"machine": "m", "timestamp": START + 60 * n, "sensor": s, "value": n % 7} for n in range(40) for s in "ab"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]))  # the last record lacks a sensor
    assert main(["replay", str(path), "--join", "0s", "--format", "long", "--scores", str(scores)]) == 0
    assert len(scores.read_text().splitlines()) == 1 + 40
