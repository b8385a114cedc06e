"""Readings that come one by one, put together: which belong together, when a frame closes, and what comes too late."""

from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrnn_stream.encoding import decode, encode
from scrnn_stream.joining import MOST_OPEN, N_REMEMBERED, N_TO_KNOW, Frames, Joining
from scrnn_stream.records import Partition, Position, Record

LOG = Partition("log", 0)
EXACT = Joining(0.0, 0.0)


def reading(time: float | None, offset: int = 0, **values: float) -> Record:
    return Record(Position(LOG, offset), "m", time, values)


def closed(frames: Frames, *records: Record) -> list[tuple[float | None, dict[str, float]]]:
    return [(whole.time, dict(whole.values)) for record in records for whole in frames.add(record)]


def taught(joining: Joining = EXACT, sensors: str = "ab") -> Frames:
    """They know which sensors to expect."""
    frames = Frames(joining)
    for n in range(N_TO_KNOW + 1):
        for sensor in sensors:
            frames.add(reading(100.0 * n - 1e5, **{sensor: 1.0}))
    frames.close("m")
    return frames


def test_readings_of_one_time_are_one_record() -> None:
    told = closed(Frames(EXACT), reading(1, a=1), reading(1, b=2), reading(2, a=3), reading(2, b=4), reading(3, a=5))
    assert told == [(1, {"a": 1, "b": 2}), (2, {"a": 3, "b": 4})]


def test_a_frame_closes_at_once_when_all_usual_sensors_have_come() -> None:
    frames = taught()
    assert closed(frames, reading(1, a=1)) == []
    assert closed(frames, reading(1, b=2)) == [(1, {"a": 1, "b": 2})]
    assert closed(frames, reading(2, a=1, b=math.nan))[0][0] == 2  # a missing reading has come, too


def test_a_frame_without_a_sensor_closes_when_the_lateness_has_passed() -> None:
    frames = taught(Joining(0, 5))
    assert closed(frames, reading(1, a=1), reading(6, a=2)) == []
    assert closed(frames, reading(6.5, a=3)) == [(1, {"a": 1})]


def test_a_reading_within_the_lateness_finds_its_frame() -> None:
    frames = taught(Joining(0, 5))
    told = closed(frames, reading(1, a=1), reading(2, a=2), reading(2, b=20), reading(1, b=10))
    assert told == [(1, {"a": 1, "b": 10}), (2, {"a": 2, "b": 20})]  # in order of time: the second waited


def test_times_that_differ_a_little_are_one_frame_at_the_time_of_the_first() -> None:
    frames = taught(Joining(0.5, 5))
    told = closed(frames, reading(10.2, a=1), reading(9.9, b=2), reading(10.8, b=4), reading(11.1, a=3))
    assert told == [(10.2, {"a": 1, "b": 2}), (10.8, {"b": 4, "a": 3})]


def test_of_two_frames_a_reading_goes_to_the_nearest() -> None:
    frames = taught(Joining(1, 5), "abc")
    told = closed(
        frames, reading(10, a=1), reading(11.5, a=2), reading(10.9, b=3), reading(10.6, c=4), reading(20, a=0)
    )
    assert told == [(10, {"a": 1, "c": 4}), (11.5, {"a": 2, "b": 3})]


def test_of_two_readings_of_a_sensor_the_younger_counts() -> None:
    frames = taught(Joining(1, 5))
    assert closed(frames, reading(10, a=1), reading(9.5, a=2), reading(10, b=0)) == [(10, {"a": 1, "b": 0})]
    assert closed(frames, reading(20, a=1), reading(20, a=2), reading(20, b=0)) == [(20, {"a": 2, "b": 0})]


def test_a_frame_has_the_position_of_its_first_reading_and_the_latest_time_of_the_broker() -> None:
    frames = taught()
    frames.add(Record(Position(LOG, 7), "m", 1.0, {"a": 1.0}, 50.0))
    [whole] = frames.add(Record(Position(LOG, 9), "m", 1.0, {"b": 1.0}, 49.0))
    assert (whole.position, whole.received) == (Position(LOG, 7), 50.0)


def test_a_sensor_that_came_too_late_is_waited_for_from_then_on() -> None:
    frames = taught()
    assert closed(frames, reading(1, a=1), reading(1, b=1)) == [(1, {"a": 1, "b": 1})]
    assert frames.is_late(1, judged=1)
    frames.miss(reading(1, c=1))
    assert closed(frames, reading(2, a=1), reading(2, b=1)) == []
    assert closed(frames, reading(2, c=1)) == [(2, {"a": 1, "b": 1, "c": 1})]


def test_after_a_reading_out_of_its_sensor_s_order_frames_wait_out_the_lateness() -> None:
    frames = taught(Joining(0, 5))
    assert len(closed(frames, reading(2, a=1), reading(2, b=1))) == 1
    frames.miss(reading(1, a=1))
    assert closed(frames, reading(4, a=1), reading(4, b=1), reading(3, a=1), reading(3, b=1)) == []
    assert [time for time, _ in closed(frames, reading(10, a=1))] == [3, 4]


def test_a_sensor_that_is_gone_is_not_waited_for_for_ever() -> None:
    frames = taught(sensors="abc")
    for n in range(N_REMEMBERED):
        assert [time for time, _ in closed(frames, reading(n, a=1), reading(n, b=1))] == ([n - 1] if n else [])
    closed(frames, reading(n + 1, a=1))
    assert closed(frames, reading(n + 1, b=1)) == [(n + 1, {"a": 1, "b": 1})]


def test_a_reading_that_is_there_already_is_a_repetition() -> None:
    frames = taught()
    frames.add(reading(1, a=1))
    assert frames.repeats(reading(1, a=1))
    assert not frames.repeats(reading(1, a=2))
    assert not frames.repeats(reading(1, b=1))
    frames.add(reading(1, b=1))
    assert frames.repeats(reading(1, a=1))  # of the frame that closed last
    assert not frames.repeats(reading(2, a=1))
    assert not frames.repeats(reading(1, a=math.nan))


def test_a_record_without_time_is_not_joined_and_closes_what_was_open() -> None:
    told = closed(taught(), reading(1, a=1), reading(None, b=2))
    assert told == [(1, {"a": 1}), (None, {"b": 2})]


def test_what_is_not_joined_any_more_closes_with_the_next_record() -> None:
    frames = taught()
    frames.add(reading(1, a=1))
    frames = Frames.from_state(frames.to_state(), None)
    assert closed(frames, reading(2, b=1), reading(2, a=1)) == [(1, {"a": 1}), (2, {"b": 1}), (2, {"a": 1})]


def test_a_machine_has_only_so_many_open_frames() -> None:
    frames = taught(Joining(0, 1e9))
    told = closed(frames, *(reading(n, a=1) for n in range(MOST_OPEN + 5)))
    assert [time for time, _ in told] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("within", "lateness"), [(-1, 0), (2, 1), (0, math.inf), (math.nan, 1)])
def test_a_joining_that_cannot_be_meant_so_is_refused(within: float, lateness: float) -> None:
    with pytest.raises(ValueError, match="lateness must be at least join"):
        Joining(within, lateness)


_readings = st.lists(
    st.tuples(st.integers(0, 12).map(lambda n: n / 4), st.sampled_from("abc"), st.floats(0, 1)), max_size=40
)
_joinings = st.sampled_from([EXACT, Joining(0, 1), Joining(0.3, 0.5), Joining(1, 2)])


@given(_readings, _joinings, st.integers(0, 40))
def test_a_state_in_between_changes_nothing(
    readings: list[tuple[float, str, float]], joining: Joining, cut: int
) -> None:
    straight, restored = Frames(joining), Frames(joining)
    for n, (time, sensor, value) in enumerate(readings):
        record = reading(time, n, **{sensor: value})
        if n == cut:
            restored = Frames.from_state(decode(encode({"it": restored.to_state()}))["it"], joining)
        assert straight.repeats(record) == restored.repeats(record)
        assert straight.is_late(time, 1.0) == restored.is_late(time, 1.0)
        assert straight.add(record) == restored.add(record)
    assert straight.close("m") == restored.close("m")


@given(_readings, _joinings)
def test_frames_close_in_the_order_of_time_and_no_reading_is_lost(
    readings: list[tuple[float, str, float]], joining: Joining
) -> None:
    frames, wholes = Frames(joining), []
    taken = 0
    for time, sensor, value in readings:
        if not wholes or not frames.is_late(time, wholes[-1].time):
            taken += 1
            wholes += frames.add(reading(time, **{sensor: value}))
    wholes += frames.close("m")
    times = [whole.time for whole in wholes]
    assert times == sorted(set(times))
    assert sum(len(whole.values) for whole in wholes) <= taken


@given(st.integers(0, 10_000), st.integers(0, 8))
def test_readings_that_lag_within_the_lateness_give_the_same_records(seed: int, spread: int) -> None:
    in_order = [(float(n), sensor, n + ord(sensor) / 1000) for n in range(20) for sensor in "abc"]
    keys = random.Random(seed)
    delays = {sensor: keys.random() * spread for sensor in "abc"}
    shuffled = sorted(in_order, key=lambda r: r[0] + delays[r[1]])
    frames = Frames(Joining(0, 8))
    wholes = [whole for t, s, v in shuffled for whole in frames.add(reading(t, **{s: v}))] + frames.close("m")
    assert [(whole.time, json.dumps(whole.values, sort_keys=True)) for whole in wholes] == [
        (float(n), json.dumps({s: n + ord(s) / 1000 for s in "abc"})) for n in range(20)
    ]
