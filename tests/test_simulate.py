import numpy as np
import pytest

from scrnn_stream.simulate import (
    COURSES,
    FAULT_KINDS,
    HEALTHY_SHARE,
    HOUR,
    MONDAY,
    SENSORS,
    Fault,
    Fleet,
    simulate_fleet,
)

DAYS = 21
SPAN_S = DAYS * 24 * HOUR


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return simulate_fleet(days=DAYS, seed=3)


@pytest.fixture(scope="module")
def healthy() -> Fleet:
    return simulate_fleet(days=DAYS, seed=3, kinds=())


def table(fleet: Fleet, machine: str) -> dict[str, np.ndarray]:
    """The readings of one machine by sensor, and their times; NaN where a reading is missing."""
    records = [record for record in fleet.records if record.machine == machine]
    columns = {name: np.array([record.values.get(name, np.nan) for record in records]) for name in SENSORS}
    return columns | {"time": np.array([record.time for record in records])}


def the(kind: str, fleet: Fleet) -> Fault:
    (fault,) = [fault for fault in fleet.faults if fault.kind == kind]
    return fault


def excess(kind: str, sensor: str, fleet: Fleet, healthy: Fleet) -> np.ndarray:
    """Faulty over healthy readings of one sensor in the last quarter of the fault, where it has grown up."""
    fault = the(kind, fleet)
    sick, well = table(fleet, fault.machine), table(healthy, fault.machine)
    late = (sick["time"] >= fault.end - 0.25 * (fault.end - fault.begin)) & (sick["time"] < fault.end)
    return sick[sensor][late] / well[sensor][late]


def correlation(readings: dict[str, np.ndarray], one: str, other: str) -> float:
    known = ~np.isnan(readings[one] + readings[other])
    return float(np.corrcoef(readings[one][known], readings[other][known])[0, 1])


def test_the_same_seed_gives_the_same_fleet_and_another_seed_another():
    first, again, other = (simulate_fleet(days=2, seed=seed) for seed in (7, 7, 8))
    assert first == again
    assert first.records[0].values != other.records[0].values


def test_records_come_in_time_order_with_offsets_that_count_up(fleet):
    times = [record.time for record in fleet.records]
    assert times == sorted(times)
    assert times[0] == MONDAY
    assert [record.position.offset for record in fleet.records] == list(range(len(times)))


def test_another_pump_leaves_the_first_ones_as_they_were():
    few, many = (simulate_fleet(n_pumps=n, days=2, seed=1, kinds=()) for n in (2, 6))
    assert [record.values for record in few.records] == [
        record.values for record in many.records if record.machine in ("pump-1", "pump-2")
    ]


def test_each_kind_of_fault_comes_once_in_a_fleet_of_five_and_each_pump_has_one(fleet):
    assert sorted(fault.kind for fault in fleet.faults) == sorted(FAULT_KINDS)
    assert len({fault.machine for fault in fleet.faults}) == 5


def test_faults_have_the_documented_length_size_and_sensors_after_the_healthy_part():
    for seed in range(20):
        for fault in simulate_fleet(days=20, interval_s=3600, seed=seed).faults:
            course = COURSES[fault.kind]
            assert MONDAY + HEALTHY_SHARE * 20 * 24 * HOUR <= fault.begin < fault.end < MONDAY + 20 * 24 * HOUR
            assert course.hours[0] - 1 <= (fault.end - fault.begin) / HOUR <= course.hours[1]
            assert course.size[0] <= abs(fault.size) <= course.size[1]
            assert fault.sensors in course.sensors


def test_outside_its_fault_a_pump_reads_as_if_it_had_none(fleet, healthy):
    for fault in fleet.faults:
        sick, well = table(fleet, fault.machine), table(healthy, fault.machine)
        settled = fault.end + 24 * HOUR  # the bearing cools down with a lag
        for name in SENSORS:
            for outside in (lambda time, f=fault: time < f.begin, lambda time, s=settled: time >= s):
                np.testing.assert_array_equal(sick[name][outside(sick["time"])], well[name][outside(well["time"])])


def test_a_worn_bearing_shakes_and_warms(fleet, healthy):
    size = the("bearing_wear", fleet).size
    assert np.nanmedian(excess("bearing_wear", "vibration", fleet, healthy)) == pytest.approx(1 + size, rel=0.05)
    assert np.nanmin(excess("bearing_wear", "bearing_temperature", fleet, healthy)) > 1.05
    assert np.nanmedian(excess("bearing_wear", "flow", fleet, healthy)) == 1


def test_a_blockage_costs_flow_and_power_and_raises_pressure(fleet, healthy):
    size = the("blockage", fleet).size
    assert np.nanmedian(excess("blockage", "flow", fleet, healthy)) == pytest.approx(1 - size, rel=0.02)
    assert np.nanmedian(excess("blockage", "pressure", fleet, healthy)) > 1.02
    assert np.nanmedian(excess("blockage", "motor_current", fleet, healthy)) < 0.98


def test_a_stuck_sensor_repeats_one_value_and_no_other_sensor_changes(fleet, healthy):
    fault = the("stuck", fleet)
    sick, well = table(fleet, fault.machine), table(healthy, fault.machine)
    during = (sick["time"] >= fault.begin) & (sick["time"] < fault.end)
    frozen = sick[fault.sensors[0]][during]
    assert len(set(frozen[~np.isnan(frozen)])) == 1
    for name in set(SENSORS) - set(fault.sensors):
        np.testing.assert_array_equal(sick[name], well[name])


def test_a_silent_pump_sends_nothing_while_the_others_go_on(fleet):
    fault = the("silent", fleet)
    during = [record.machine for record in fleet.records if fault.begin <= record.time < fault.end]
    assert set(during) == {f"pump-{number}" for number in range(1, 6)} - {fault.machine}


def test_a_drifting_sensor_ends_several_of_its_own_standard_errors_away(fleet, healthy):
    fault = the("drift", fleet)
    (name,) = fault.sensors
    well = table(healthy, fault.machine)
    others = np.column_stack([well[other] for other in ("speed", "motor_current", "pressure") if other != name])
    known = ~np.isnan(np.column_stack([others, well[name]])).any(axis=1)
    causes = np.column_stack([others, others**2, np.ones(len(others))])[known]
    residual = well[name][known] - causes @ np.linalg.lstsq(causes, well[name][known], rcond=None)[0]
    offset = np.nanmax(abs(table(fleet, fault.machine)[name] - well[name]))
    assert offset > 3 * residual.std()


def test_the_affinity_laws_hold_on_a_healthy_pump(healthy):
    for number in range(1, 6):
        readings = table(healthy, f"pump-{number}")
        speed, flow, current = readings["speed"], readings["flow"], readings["motor_current"]
        assert np.nanstd(flow / speed) / np.nanmean(flow / speed) < 0.03
        assert correlation(readings, "speed", "flow") > 0.9
        assert correlation({"head": speed**2} | readings, "head", "pressure") > 0.97
        assert correlation({"power": speed**3, "current": current}, "power", "current") > 0.97


def test_bearing_temperature_follows_load_with_a_lag(healthy):
    readings = table(healthy, "pump-1")
    lagged = {"load": readings["load"][:-12], "bearing": readings["bearing_temperature"][12:]}
    assert correlation(lagged, "load", "bearing") > correlation(readings, "load", "bearing_temperature") > 0.3


def test_load_has_a_daily_cycle_and_falls_at_weekends(healthy):
    for number in range(1, 6):
        readings = table(healthy, f"pump-{number}")
        weekend = (readings["time"] - MONDAY) // (24 * HOUR) % 7 >= 5
        hourly = readings["load"][~weekend].reshape(-1, 24, 12)
        assert np.nanmean(readings["load"][weekend]) < np.nanmean(readings["load"][~weekend]) - 3
        assert np.ptp(np.nanmean(hourly, axis=(0, 2))) > 10


def test_readings_are_finite_and_stay_in_a_plausible_range(fleet):
    ranges = {
        "load": (10, 110),
        "speed": (500, 3500),
        "flow": (20, 350),
        "pressure": (1, 15),
        "motor_current": (5, 130),
        "bearing_temperature": (15, 95),
        "fluid_temperature": (10, 75),
        "vibration": (0.4, 12),
    }
    for number in range(1, 6):
        readings = table(fleet, f"pump-{number}")
        for name, (low, high) in ranges.items():
            assert low < np.nanmin(readings[name]) < np.nanmax(readings[name]) < high


def test_about_two_readings_in_a_thousand_are_missing_and_none_is_nan(healthy):
    n_readings = sum(len(record.values) for record in healthy.records)
    assert 0.001 < 1 - n_readings / (len(SENSORS) * len(healthy.records)) < 0.003
    assert all(value == value for record in healthy.records for value in record.values.values())


def test_a_run_too_short_for_its_faults_shortens_them():
    fleet = simulate_fleet(n_pumps=7, days=1, seed=2)
    assert len(fleet.faults) == 7
    for fault in fleet.faults:
        assert MONDAY + 0.4 * 24 * HOUR <= fault.begin < fault.end <= MONDAY + 24 * HOUR


def test_chosen_kinds_of_fault_are_dealt_to_all_pumps():
    fleet = simulate_fleet(n_pumps=3, days=2, seed=0, kinds=("stuck", "drift"))
    assert {fault.kind for fault in fleet.faults} == {"stuck", "drift"}
    assert len(fleet.faults) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_pumps": 0}, "n_pumps must be at least 1, got 0"),
        ({"interval_s": 0}, "interval_s must be positive, got 0"),
        ({"days": 0.001}, "days must cover at least 2 intervals"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate_fleet(**arguments)
