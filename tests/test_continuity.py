"""Runs that last too long: of equal readings, of missing ones, of time without a record."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest

from scrnn_stream.continuity import N_HABIT, TIMES_LONGEST, Continuity, SensorContinuity
from scrnn_stream.encoding import decode, encode
from scrnn_stream.records import Moment, Partition, Position

SHORTEST = SensorContinuity.SHORTEST
PARTITION = Partition("log", 0)


class Machine:
    """Feeds a sensor a minute at a time."""

    def __init__(self) -> None:
        self.continuity = Continuity()
        self.time = 0.0
        self.rng = np.random.default_rng(1)

    def send(self, *values: float, gap: float = 60.0) -> None:
        for value in values:
            self.time += gap
            self.continuity.update({"flow": value}, Moment(self.time, Position(PARTITION, int(self.time))), gap)

    def lively(self, n: int) -> None:
        self.send(*self.rng.random(n).tolist())

    def stuck_after(self, n: int) -> int | None:
        """Send the last reading n times more; the repetition with which the sensor became stuck."""
        value = self.continuity.sensors["flow"].value
        return self.when("stuck", [value] * n)

    def silent_after(self, n: int) -> int | None:
        return self.when("silent", [math.nan] * n)

    def when(self, what: str, values: Iterable[float]) -> int | None:
        first = None
        for k, value in enumerate(values, 1):
            self.send(value)
            if getattr(self.continuity, what) and first is None:
                first = k
        return first


def alive(n: int = 300) -> Machine:
    machine = Machine()
    machine.lively(n)
    return machine


def test_a_sensor_that_never_repeats_is_stuck_beyond_the_shortest_run() -> None:
    assert alive().stuck_after(SHORTEST) is None
    assert alive().stuck_after(SHORTEST + 1) == SHORTEST + 1


@pytest.mark.parametrize("longest", [5, 10, 20])
def test_a_sensor_is_stuck_only_beyond_three_times_its_longest_run(longest: int) -> None:
    machine = Machine()
    for level in range(100):
        machine.send(*[float(level)] * (longest if level == 50 else 2))
    limit = int(max(SHORTEST, TIMES_LONGEST * (longest - 1)))  # the first reading of a run repeats nothing
    assert machine.stuck_after(2 * limit) == limit


def test_a_sensor_that_is_constant_by_nature_is_never_stuck() -> None:
    machine = Machine()
    machine.send(*[5.0] * 5000)
    assert machine.continuity.stuck == []


def test_a_sensor_that_seldom_changes_is_not_judged_before_it_has_shown_its_ways() -> None:
    machine = Machine()
    machine.send(*np.repeat(np.arange(SensorContinuity.N_RUNS // 2), 3).tolist())
    assert machine.stuck_after(1000) is None


def test_a_sensor_is_free_again_with_the_first_new_reading() -> None:
    machine = alive()
    machine.stuck_after(100)
    assert machine.continuity.stuck == ["flow"]
    machine.lively(1)
    assert machine.continuity.stuck == []


def test_a_run_knows_when_it_began() -> None:
    machine = alive()
    began = machine.time
    machine.stuck_after(50)
    since = machine.continuity.sensors["flow"].equal.since
    assert since is not None
    assert since.time == began


def test_a_missing_reading_neither_ends_nor_lengthens_a_run_of_equal_ones() -> None:
    machine = alive()
    value = machine.continuity.sensors["flow"].value
    assert machine.when("stuck", [value, math.nan] * 100) == 2 * SHORTEST + 1


def test_a_sensor_that_is_missing_too_long_is_silent_until_it_reads_again() -> None:
    machine = alive()
    assert machine.silent_after(SHORTEST + 5) == SHORTEST + 1
    machine.lively(1)
    assert machine.continuity.silent == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_infinite_reading_is_a_missing_one(value: float) -> None:
    assert alive().when("silent", [value] * 50) == SHORTEST + 1


def test_a_sensor_left_out_of_the_records_is_silent_too() -> None:
    machine = alive()
    for _ in range(SHORTEST + 1):
        machine.time += 60
        machine.continuity.update({"other": machine.time}, Moment(machine.time, Position(PARTITION, 0)), 60.0)
    assert machine.continuity.silent == ["flow"]


def test_a_new_sensor_may_be_missing_for_long() -> None:
    machine = Machine()
    machine.lively(20)
    assert machine.silent_after(1000) is None


@pytest.mark.parametrize("what", ["stuck_after", "silent_after"])
def test_the_third_time_is_a_habit(what: str) -> None:
    machine = alive()
    for _ in range(N_HABIT):
        assert getattr(machine, what)(100) == SHORTEST + 1
        machine.lively(50)
    assert getattr(machine, what)(250) is None
    machine.lively(50)
    assert getattr(machine, what)(2000) is not None


def test_a_machine_is_silent_after_ten_usual_intervals_or_three_times_its_longest_gap() -> None:
    machine = alive()
    assert machine.continuity.silence_limit == pytest.approx(600)
    machine.send(1.0, gap=400.0)
    machine.lively(200)
    assert machine.continuity.silence_limit == pytest.approx(TIMES_LONGEST * 400)


def test_a_gap_that_was_too_long_is_not_learned_before_it_is_a_habit() -> None:
    machine = alive()
    for n in range(N_HABIT):
        assert machine.continuity.silence_limit == pytest.approx(600), n
        machine.send(1.0, gap=86400.0)
        machine.lively(50)
    assert machine.continuity.silence_limit == pytest.approx(TIMES_LONGEST * 86400)


def test_the_silence_of_a_machine_means_nothing_before_its_ways_are_known() -> None:
    assert alive(Continuity.N_RECORDS - 10).continuity.silence_limit == math.inf


def test_data_without_time_is_never_silent() -> None:
    continuity = Continuity()
    for k in range(300):
        continuity.update({"flow": float(k)}, Moment(None, Position(PARTITION, k)), None)
    assert continuity.silence_limit == math.inf


@pytest.mark.parametrize("n_missing", [0, 7, 30])
def test_restored_continuity_goes_on_identically(n_missing: int) -> None:
    machine = alive()
    machine.stuck_after(25)
    machine.lively(30)
    machine.send(*[math.nan] * n_missing)
    twin = alive(0)
    twin.continuity = Continuity.from_state(decode(encode(machine.continuity.to_state())))
    twin.time = machine.time
    for one in (machine, twin):
        one.rng = np.random.default_rng(2)
        one.silent_after(30)
        one.lively(5)
        one.stuck_after(80)
        one.send(3.0, gap=5000.0)
    assert encode(twin.continuity.to_state()) == encode(machine.continuity.to_state())
    assert (twin.continuity.stuck, twin.continuity.silent) == (machine.continuity.stuck, machine.continuity.silent)
    assert twin.continuity.silence_limit == machine.continuity.silence_limit


def test_sensors_are_kept_in_the_order_of_the_record_so_that_every_process_writes_the_same_state() -> None:
    continuity, names = Continuity(), [f"sensor-{number}" for number in (3, 1, 4, 0, 5, 9, 2, 6)]
    continuity.update(dict.fromkeys(names, 1.0), Moment(0.0, Position(PARTITION, 0)), None)
    assert list(continuity.to_state()["sensors"]) == names
