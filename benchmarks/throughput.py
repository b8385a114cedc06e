"""What the service costs from topic to alert, next to what kafka-python takes to read the same topic.

    python -m benchmarks.throughput [--machines 1,100,1000] [--records N] [--json FILE]

Records of 8 sensors lie in a topic of two partitions on a real Apache Kafka (Java 17 and Maven must be there). In turn,
A B A B: kafka-python polls N of them and msgspec decodes each, the *ceiling*; one worker, whose machines are all ready,
takes N in exactly-once delivery; two workers in processes of their own take N each, a partition each. A figure is the
median of its repetitions. CPU is that of the whole process since the stretch before, with the threads of its client,
which fetch ahead. What a machine takes of memory is what a worker has grown by when all of them are ready, kernels
loaded before. Checkpoints are timed on their own; the service writes one every 30 s.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.stamp import stamp, write_json

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its schemas by importlib's old function
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    from connectors.kafka import KafkaSink, KafkaSource, create_topics
    from tests.apache_kafka import ApacheKafka

from scrnn_stream.checkpoint import CheckpointStore
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.rehearsal import prepare
from scrnn_stream.worker import Worker

N_PARTITIONS = 2
N_SENSORS = 8
N_READY = 360  # records after which a machine is ready
N_REPETITIONS = 5
BEGIN, INTERVAL_S = 1_767_600_000, 60
PATIENCE_S = 600.0
LEFT = 5_000  # records beyond those that are asked for: a poll brings some too many


class Segment(NamedTuple):
    """A stretch of work: records, CPU seconds and seconds."""

    n_records: int
    cpu_s: float
    wall_s: float

    @property
    def us(self) -> float:
        return self.cpu_s / self.n_records * 1e6

    @property
    def per_s(self) -> float:
        return self.n_records / self.wall_s


class Watch:
    """CPU seconds since the last stretch of this process, for what a client fetches between two belongs to the next."""

    def __init__(self) -> None:
        self._cpu = self._wall = 0.0
        self._is_first = True

    def begin(self) -> None:
        self._wall = time.perf_counter()
        if self._is_first:
            self._cpu, self._is_first = time.process_time(), False

    def end(self, n_records: int) -> Segment:
        cpu, self._cpu = self._cpu, time.process_time()
        return Segment(n_records, self._cpu - cpu, time.perf_counter() - self._wall)


class Report(NamedTuple):
    """What a worker process tells when it is ready."""

    n_machines: int
    grown_mb: float
    checkpoint_s: float
    n_alerts: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", default="1,100,1000", help="numbers of machines, with commas between")
    parser.add_argument("--records", type=int, default=10_000, help="in each stretch that is timed")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    sizes = [int(n) for n in options.machines.split(",")]
    with ApacheKafka() as kafka:
        rows = [row for n in sizes for row in measure(kafka.address, n, options.records)]
    Console(width=120).print(table(rows))
    if options.json is not None:
        write_json(options.json, {**stamp(records=options.records, sensors=N_SENSORS), "rows": rows})


def measure(address: str, n_machines: int, n: int) -> Iterator[dict[str, Any]]:
    """The rows of one number of machines."""
    topic = f"sensors-{n_machines}"
    n_partitions = min(N_PARTITIONS, n_machines)
    create_topics(address, {topic: n_partitions, f"{topic}-alerts": 1})
    n_in_each = N_READY * -(-n_machines // n_partitions) + (N_REPETITIONS + 1) * n + LEFT
    fill(address, topic, n_machines, n_partitions, n_in_each)
    seen: dict[str, list[list[Segment]]] = {"kafka-python": [], "one worker": [], "two workers": []}
    ceiling = Ceiling(address, topic, n_partitions)
    groups = {name: Workers(address, topic, k) for name, k in (("one worker", 1), ("two workers", n_partitions))}
    n_ready = {"one worker": N_READY * n_machines, "two workers": N_READY * n_machines // n_partitions}
    reports = {name: group.ready(n_ready[name]) for name, group in groups.items()}
    ceiling.take(n)  # the connection and the first fetch are not counted
    for _ in range(N_REPETITIONS):
        seen["kafka-python"].append([ceiling.take(n)])
        for name, group in groups.items():
            seen[name].append(group.take(n))
    ceiling.close()
    for group in groups.values():
        group.stop()
    for name, runs in seen.items():
        if n_partitions == 1 and name == "two workers":
            continue
        us = median(segment.us for run in runs for segment in run)
        per_s = median(sum(segment.per_s for segment in run) for run in runs)
        row = {"machines": n_machines, "what": name, "cpu_us": us, "per_s": per_s}
        yield row | {"ceiling_us": median(run[0].us for run in seen["kafka-python"])} | told(reports.get(name, []))


def told(reports: list[Report]) -> dict[str, float]:
    """Of all workers together."""
    if not reports:
        return {}
    n_machines = sum(report.n_machines for report in reports)
    return {
        "mb_per_1000_machines": sum(report.grown_mb for report in reports) / n_machines * 1000,
        "checkpoint_ms_per_machine": sum(report.checkpoint_s for report in reports) / n_machines * 1000,
        "alerts_before": sum(report.n_alerts for report in reports),
    }


# ----------------------------------------------------------------------------------------------------------- the topic


def fill(address: str, topic: str, n_machines: int, n_partitions: int, n_in_each: int) -> None:
    """Put so many records into each partition, of its machines in turn, a minute between those of one machine."""
    rng = np.random.default_rng(n_machines)
    producer = KafkaProducer(bootstrap_servers=address.split(","), linger_ms=20, batch_size=262_144)
    for partition in range(n_partitions):
        names = [f"machine-{i}" for i in range(n_machines) if i % n_partitions == partition]
        noise, phases = rng.normal(size=(4096, N_SENSORS)), rng.uniform(0, 6, len(names))
        for i in range(n_in_each):
            t, machine = divmod(i, len(names))
            load = np.sin(t / 30 + phases[machine])
            readings = (50 + 10 * np.arange(N_SENSORS) + 5 * load + noise[i % 4096]).round(3).tolist()
            fields = {"machine": names[machine], "timestamp": BEGIN + INTERVAL_S * t}
            fields |= {f"sensor_{j}": reading for j, reading in enumerate(readings)}
            producer.send(topic, msgspec.json.encode(fields), key=names[machine].encode(), partition=partition)
    producer.close()


class Ceiling:
    """kafka-python that polls the topic, and msgspec that decodes each message; nothing else."""

    def __init__(self, address: str, topic: str, n_partitions: int) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=address.split(","), auto_offset_reset="earliest")
        self._consumer.assign([TopicPartition(topic, number) for number in range(n_partitions)])
        self._watch = Watch()

    def take(self, n: int) -> Segment:
        n_taken = 0
        self._watch.begin()
        while n_taken < n:
            for messages in self._consumer.poll(timeout_ms=1000).values():
                for message in messages:
                    msgspec.json.decode(message.value)
                n_taken += len(messages)
        return self._watch.end(n_taken)

    def close(self) -> None:
        self._consumer.close()


# --------------------------------------------------------------------------------------------------------- the workers


class Workers:
    """Members of one group, each in a process of its own that works when told to."""

    def __init__(self, address: str, topic: str, n: int) -> None:
        self._group = uuid.uuid4().hex
        context = multiprocessing.get_context("spawn")
        self._ends: list[Connection] = []
        self._processes = []
        for number in range(n):
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs, address, topic, self._group, number, n), daemon=True)
            process.start()
            self._ends.append(ours)
            self._processes.append(process)

    def ready(self, n: int) -> list[Report]:
        """Let each take n records, so that its machines are ready."""
        return self._each(n)

    def take(self, n: int) -> list[Segment]:
        """Let each take n records, all at once."""
        return self._each(n)

    def stop(self) -> None:
        for end, process in zip(self._ends, self._processes, strict=True):
            end.send(0)
            process.join(PATIENCE_S)

    def _each(self, n: int) -> list[Any]:
        for end in self._ends:
            end.send(n)
        for end in self._ends:
            if not end.poll(PATIENCE_S):
                raise RuntimeError(f"a worker has not taken {n} records within {PATIENCE_S:g} s")
        return [end.recv() for end in self._ends]


def work(end: Connection, address: str, topic: str, group: str, number: int, n_members: int) -> None:
    """A worker that takes as many records as `end` asks for, until that is none; first those that make it ready."""
    pipeline, watch = Pipeline(), Watch()
    prepare(print)  # kernels count neither as time nor as memory of machines
    sink = KafkaSink(address, f"{topic}-alerts", transactional_id=f"{group}/{number}")
    member = {"group_instance_id": str(number)} if n_members > 1 else {}
    with sink, KafkaSource(address, topic, group, through=sink, **member) as source:
        worker, before = Worker(source, sink, pipeline), resident_mb()
        take(worker, end.recv(), watch)
        grown_mb = resident_mb() - before
        with tempfile.TemporaryDirectory() as directory:
            store, begin = CheckpointStore(directory), time.process_time()
            for partition, offset in worker.next_offsets.items():
                store.save(partition, offset, *pipeline.to_keep(partition))
            checkpoint_s = time.process_time() - begin
        end.send(Report(pipeline.n_machines, grown_mb, checkpoint_s, worker.counts.n_alerts))
        while n := end.recv():
            end.send(take(worker, n, watch))


def take(worker: Worker, n: int, watch: Watch) -> Segment:
    first = worker.counts.n_records
    watch.begin()
    worker.run(lambda: worker.counts.n_records >= first + n)
    return watch.end(worker.counts.n_records - first)


def resident_mb() -> float:
    """Of this process, on Linux."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


# ----------------------------------------------------------------------------------------------------------- the table


def table(rows: list[dict[str, Any]]) -> Table:
    shown = Table("machines", "", "CPU us a record", "of the ceiling", "records a second", "MB / 1,000 machines")
    for row in rows:
        is_many = "mb_per_1000_machines" in row and row["machines"] >= 1000  # of few the fixed part would be told
        memory = f"{row['mb_per_1000_machines']:.0f}" if is_many else ""
        share = f"{row['ceiling_us'] / row['cpu_us']:.2f}"
        shown.add_row(str(row["machines"]), row["what"], f"{row['cpu_us']:.1f}", share, f"{row['per_s']:,.0f}", memory)
    return shown


if __name__ == "__main__":
    main()
