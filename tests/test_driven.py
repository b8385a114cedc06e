"""Driven machines: the same chances for well and faulty ones, and what each change does."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import driven
from benchmarks.fault_beds import driven_machines
from benchmarks.faults import GRACE, LENGTH

N, BEGIN, END = 3000, 2000, 2120


@pytest.mark.parametrize("change", driven.CHANGES, ids=lambda change: f"{change.kind} {change.size}")
def test_a_change_shows_in_its_sensors_from_its_begin_on_and_wears_off(change: driven.Change) -> None:
    well, faulty = driven.simulate(N, 1), driven.simulate(N, 1, change, BEGIN, END)
    np.testing.assert_array_equal(faulty[:BEGIN], well[:BEGIN])
    shown = [driven.SENSORS.index(sensor) for sensor in change.sensors]
    departure = np.abs(faulty - well)
    assert (departure[BEGIN:END, shown].max(axis=0) > driven.NOISE[shown]).all()
    assert departure[BEGIN:END, :2].max() == 0  # nobody tells set-point and valve
    assert departure[END + 500 :].max() < 0.5


def test_speed_follows_its_setpoint() -> None:
    readings = driven.simulate(N, 2)
    setpoint, speed = readings[:, 0], readings[:, 2]
    settled = np.array([np.ptp(setpoint[t - 60 : t + 1]) == 0 for t in range(60, N)])
    assert settled.any()
    assert np.abs(speed - setpoint)[60:][settled].max() < 2
    assert np.abs(speed - setpoint).max() > 10


def test_machines_differ_and_none_sets_thresholds_and_has_faults() -> None:
    bed = driven_machines(2, first_seed=7)
    streams = [m.readings for m in bed.machines] + [c.readings for c in bed.calm]
    assert len({stream.tobytes() for stream in streams}) == len(streams)
    for machine in bed.machines:
        assert len(machine.begins) == 4
        assert all(4000 <= begin < len(machine.times) - LENGTH - GRACE for begin in machine.begins)
    kinds = {fault.kind for fault in bed.machines[0].faults}
    assert {"nothing", "sluggish", "jammed", "delivery"} <= kinds


def test_a_fault_of_the_machine_is_injected_by_its_twin() -> None:
    machine = driven_machines(1, first_seed=7).machines[0]
    fault = next(fault for fault in machine.faults if fault.kind == "jammed")
    begin = machine.begins[0]
    faulty = fault.inject(machine.readings[: begin + 130], begin, begin + 120, (), np.random.default_rng(0))
    assert faulty.shape == (begin + 130, len(driven.SENSORS))
    np.testing.assert_array_equal(faulty[:begin], machine.readings[:begin])
    assert not np.array_equal(faulty[begin:], machine.readings[begin : begin + 130])
