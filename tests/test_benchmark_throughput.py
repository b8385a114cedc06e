"""The benchmark of throughput, without its broker."""

import pytest

from benchmarks.throughput import Report, Segment, Watch, table, told


def test_a_stretch_tells_cpu_by_record_and_records_by_second() -> None:
    stretch = Segment(n_records=1000, cpu_s=0.05, wall_s=0.1)
    assert (stretch.us, stretch.per_s) == pytest.approx((50, 10_000))


def test_cpu_between_two_stretches_belongs_to_the_second() -> None:
    watch = Watch()
    watch.begin()
    first = watch.end(1)
    sum(range(2_000_000))
    watch.begin()
    assert watch.end(1).cpu_s > first.cpu_s


def test_what_workers_report_is_told_of_all_of_them_together() -> None:
    reports = [Report(n_machines=50, grown_mb=20.0, checkpoint_s=0.1, n_alerts=n) for n in (0, 3)]
    assert told(reports) == {"mb_per_1000_machines": 400, "checkpoint_ms_per_machine": 2, "alerts_before": 3}
    assert told([]) == {}


def test_the_table_holds_each_row_against_the_ceiling_of_its_run() -> None:
    row = {"machines": 100, "what": "one worker", "cpu_us": 60.0, "ceiling_us": 6.0, "per_s": 16_000.0}
    (share,) = table([row]).columns[3].cells
    assert share == "0.10"
