"""What docs/operations.md takes by hand through kill, restart, rebalance and a poisoned topic, on a Kafka of one's own.

    python -m benchmarks.walk_through topics|send|poison|read [--brokers HOST:PORT] [--machines N]

topics: make `sensors`, `alerts` and `dead-letters`. send: what the machines of the chaos run send, faults and poison
among it, until Ctrl-C. poison: one message of each kind that is no reading. read: what counts on `alerts` and
`dead-letters`, as it comes; at Ctrl-C, how much that was and whether anything came twice.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading
import uuid
import warnings
from collections import Counter

from rich.console import Console
from rich.text import Text

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its schemas by importlib's old function
    from kafka import KafkaConsumer, KafkaProducer

    from benchmarks.chaos_feed import POISON, Feed
    from benchmarks.chaos_verdict import name_of_dead_letter
    from connectors.codecs import REBUILT_TYPE, decode_alert
    from connectors.kafka import KafkaProblem, create_topics
    from scrnn_stream.show import alert_line

SENSORS, ALERTS, DEAD_LETTERS = "sensors", "alerts", "dead-letters"
N_PARTITIONS = 4
POISONED = b"machine-0"


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.walk_through", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("topics", "send", "poison", "read"))
    parser.add_argument("--brokers", default="127.0.0.1:9092")
    parser.add_argument("--machines", type=int, default=8)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would not hear it
    try:
        with contextlib.suppress(KeyboardInterrupt):
            match options.what:
                case "topics":
                    create_topics(options.brokers, {SENSORS: N_PARTITIONS, ALERTS: N_PARTITIONS, DEAD_LETTERS: 1})
                case "send":
                    send(options.brokers, options.machines)
                case "poison":
                    poison(options.brokers)
                case "read":
                    read(options.brokers)
    except KafkaProblem as problem:
        print(f"benchmarks.walk_through: {problem}", file=sys.stderr)
        return 2
    return 0


def send(brokers: str, n_machines: int) -> None:
    """Until Ctrl-C."""
    feed = Feed(brokers, SENSORS, n_machines, seed=0)
    feed.start()
    try:
        while True:
            threading.Event().wait(10.0)
            print(f"sent {feed.n_sent}", flush=True)
    finally:
        feed.stop()
        print(f"sent {feed.n_sent}, of which did not arrive: {feed.n_failed}", flush=True)


def poison(brokers: str) -> None:
    """Under the name of a machine that goes on sending."""
    producer = KafkaProducer(bootstrap_servers=brokers.split(","))
    for value in POISON:
        sent = producer.send(SENSORS, value, key=POISONED).get(10.0)
        print(f"{sent.topic}/{sent.partition} at {sent.offset}: {value!r}")
    producer.close()


def read(brokers: str) -> None:
    """From the oldest message on, until Ctrl-C."""
    console, seen = Console(), Counter[str]()
    consumer = KafkaConsumer(
        ALERTS, DEAD_LETTERS, bootstrap_servers=brokers.split(","), group_id=uuid.uuid4().hex,
        isolation_level="read_committed", auto_offset_reset="earliest", enable_auto_commit=False,
    )  # fmt: skip
    try:
        for message in consumer:
            seen[show(console, message.topic, message.value)] += 1
    finally:
        consumer.close(autocommit=False)
        console.print(f"{seen.total()} messages, of which came twice: {seen.total() - len(seen)}")


def show(console: Console, topic: str, value: bytes) -> str:
    """One line; returns the name of the message."""
    event = json.loads(value)
    if topic == DEAD_LETTERS:
        name = name_of_dead_letter(value)
        console.print(Text(f"dead letter from {name}: {event['reason']}"))
        return name
    if event["type"] == REBUILT_TYPE:
        console.print(Text(f"{event['subject']}: {event['data']['reason']}"))
    else:
        console.print(alert_line(decode_alert(value)))
    return str(event["id"])


if __name__ == "__main__":
    sys.exit(main())
