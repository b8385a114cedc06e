"""How long after a reading is its alert there, while the service does half of what it can?

    python -m benchmarks.latency [--seconds N] [--delivery at-least-once|exactly-once] [--json FILE]

A hundred machines of 8 sensors send to a real Apache Kafka (Java 17 and Maven must be there), which `scrnn-stream run`
watches with its defaults, checkpoints every 30 s among them. First it works off what lies in the topic: so many records
a second are its whole load. Then half of that is sent, each record with the time of its sending as its event time. An
alert tells the event time of the reading that raised it; when a reader of the alerts' topic has it, the difference is
the latency: through the broker, the service, the broker, to the reader. All run on this one machine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
import warnings
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.stamp import stamp, write_json

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its schemas by importlib's old function
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    from benchmarks.live_service import ALERTS, N_MACHINES, TOPIC, Fleet, Service
    from connectors.codecs import decode_alert
    from tests.apache_kafka import ApacheKafka

DELIVERIES = ("at-least-once", "exactly-once")
N_FIRST = 800 * N_MACHINES  # records that lie in the topic; half of them make the machines ready
SETTLING_S = 5.0
BURST_S = 0.01  # a producer sleeps so long between two handfuls


class Outcome(NamedTuple):
    """Records a second, latencies in milliseconds."""

    delivery: str
    whole_load: float
    sent: float
    n_alerts: int
    p50: float
    p99: float
    longest: float
    cpu_share: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--delivery", choices=DELIVERIES, help="[both]")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    outcomes = []
    for delivery in [options.delivery] if options.delivery else DELIVERIES:
        with ApacheKafka() as kafka, Service(kafka.address, delivery) as service:
            outcomes.append(measure(kafka.address, service, options.seconds))
        print(line(outcomes[-1]), flush=True)
    if options.json is not None:
        rows = [outcome._asdict() for outcome in outcomes]
        write_json(options.json, {**stamp(seconds=options.seconds, machines=N_MACHINES), "rows": rows})


def measure(address: str, service: Service, seconds: float) -> Outcome:
    fill(address)
    points = [point for point in service.progress(N_FIRST) if point[1] >= N_FIRST / 2]
    (begin, n_begin), (end, n_end) = points[0], points[-1]
    whole_load = (n_end - n_begin) / (end - begin)
    stop = multiprocessing.get_context("spawn").Event()
    sender = multiprocessing.get_context("spawn").Process(
        target=send, args=(address, whole_load / 2, stop), daemon=True
    )
    sender.start()
    try:
        latencies, sent, cpu_share = watch(address, service, seconds)
    finally:
        stop.set()
        sender.join(30.0)
    p50, p99, longest = (1000 * float(np.quantile(latencies, q)) for q in (0.5, 0.99, 1.0))
    return Outcome(service.delivery, whole_load, sent, len(latencies), p50, p99, longest, cpu_share)


def fill(address: str) -> None:
    """Put what makes the machines ready into the topic, as if it had been sent until now."""
    fleet, now = Fleet(), time.time()
    producer = KafkaProducer(bootstrap_servers=address.split(","), linger_ms=20, batch_size=262_144)
    for number in range(N_FIRST):
        partition, key, value = fleet.message(number, now - (N_FIRST - number) * 2.5e-4)
        producer.send(TOPIC, value, key=key, partition=partition)
    producer.close()


def send(address: str, per_s: float, stop: Event) -> None:
    """Send records at that rate until told to stop, each at once."""
    fleet, number = Fleet(), N_FIRST
    producer = KafkaProducer(bootstrap_servers=address.split(","), linger_ms=0)
    begin = time.time()
    while not stop.is_set():
        while number < N_FIRST + (time.time() - begin) * per_s:
            partition, key, value = fleet.message(number, time.time())
            producer.send(TOPIC, value, key=key, partition=partition)
            number += 1
        time.sleep(BURST_S)
    producer.close()


def watch(address: str, service: Service, seconds: float) -> tuple[list[float], float, float]:
    """The latencies of the alerts after things have settled; records a second that were finished; share of a core."""
    consumer = KafkaConsumer(
        bootstrap_servers=address.split(","), enable_auto_commit=False, isolation_level="read_committed"
    )
    part = TopicPartition(ALERTS, 0)
    consumer.assign([part])
    consumer.seek_to_end(part)
    consumer.poll(timeout_ms=0)
    time.sleep(SETTLING_S)
    begin, n_begin, cpu_begin = time.time(), service.n_done, service.cpu_s
    latencies: list[float] = []
    while (now := time.time()) < begin + seconds:
        messages = [message for batch in consumer.poll(timeout_ms=100).values() for message in batch]
        arrived = time.time()
        alerts = [decode_alert(message.value) for message in messages]
        latencies += [arrived - a.raised for a in alerts if _counts(a) and a.raised and a.raised >= begin]
    consumer.close()
    lasted = now - begin
    return latencies, (service.n_done - n_begin) / lasted, (service.cpu_s - cpu_begin) / lasted


def _counts(alert: Any) -> bool:
    return bool(alert.kind == "out_of_range" and alert.state == "firing")


def line(outcome: Outcome) -> str:
    return (
        f"{outcome.delivery:14} whole load {outcome.whole_load:6,.0f} records/s, sent {outcome.sent:6,.0f}, "
        f"{100 * outcome.cpu_share:.0f}% of a core; {outcome.n_alerts} alerts: "
        f"p50 {outcome.p50:.1f} ms, p99 {outcome.p99:.1f} ms, longest {outcome.longest:.0f} ms"
    )


if __name__ == "__main__":
    main()
