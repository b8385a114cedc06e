"""Replay a recorded CSV: the same path as the service, without a broker."""

import csv
import tempfile
from pathlib import Path

from connectors.files import FileSource, JsonLinesSink
from connectors.times import format_time
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.settings import Settings
from scrnn_stream.simulate import SENSORS, simulate_fleet
from scrnn_stream.worker import Worker


class Printer(JsonLinesSink):
    """Writes alerts as JSON lines, and prints them too."""

    def send(self, alert):
        super().send(alert)
        when = format_time(alert.end if alert.state == "resolved" else alert.raised)
        print(f"{when} {alert.state:8} {alert.kind:7} {alert.message}")


def write_csv(path: Path) -> None:
    """A recording of two pumps, one row a record: timestamp, machine, and a column for each sensor."""
    fleet = simulate_fleet(n_pumps=2, days=14, seed=1, kinds=("blockage", "stuck"))
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp", "machine", *SENSORS])
        for record in fleet.records:
            values = [record.values.get(sensor, "") for sensor in SENSORS]
            rows.writerow([format_time(record.time), record.machine, *values])
    for fault in fleet.faults:
        print(f"{format_time(fault.begin)} truth: {fault.kind} of {fault.machine}, {' '.join(fault.sensors)}")


with tempfile.TemporaryDirectory() as folder:
    recording, alerts = Path(folder, "pumps.csv"), Path(folder, "alerts.jsonl")
    write_csv(recording)
    with FileSource([recording]) as source, Printer(alerts) as sink:
        counts = Worker(source, sink, Pipeline(Settings(alerts_per_day=0.05))).run()
    print(f"{counts.n_records} records, {counts.n_alerts} alert messages, {counts.n_rejected} rejected")
