"""Does the service grow? Its memory over a million records of a hundred machines.

    python -m benchmarks.growth [--records N] [--json FILE]

The records lie in a topic of a real Apache Kafka (Java 17 and Maven must be there); `scrnn-stream run` works them off
with its defaults. Memory is that of its process; where it lies when a quarter is done is set against where it ends.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

from benchmarks.stamp import stamp, write_json

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its schemas by importlib's old function
    from kafka import KafkaProducer

    from benchmarks.live_service import N_MACHINES, TOPIC, Fleet, Service
    from tests.apache_kafka import ApacheKafka

INTERVAL_S = 60.0
N_LINES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with ApacheKafka() as kafka, Service(kafka.address, "exactly-once") as service:
        fill(kafka.address, options.records)
        samples: list[tuple[int, float]] = []
        for _, n_done in service.progress(options.records):
            if n_done >= len(samples) * options.records / N_LINES:
                samples.append((n_done, service.resident_mb))
                print(f"{n_done:9,d} records  {samples[-1][1]:7.1f} MB", flush=True)
    quarter = next(mb for n, mb in samples if n >= options.records / 4)
    print(f"grown by {samples[-1][1] - quarter:.1f} MB since a quarter was done")
    if options.json is not None:
        write_json(options.json, {**stamp(records=options.records, machines=N_MACHINES), "samples": samples})


def fill(address: str, n: int) -> None:
    """Put n records into the topic, the last one of now."""
    fleet, first = Fleet(), time.time() - n // N_MACHINES * INTERVAL_S
    producer = KafkaProducer(bootstrap_servers=address.split(","), linger_ms=20, batch_size=262_144)
    for number in range(n):
        partition, key, value = fleet.message(number, first + number // N_MACHINES * INTERVAL_S)
        producer.send(TOPIC, value, key=key, partition=partition)
    producer.close()


if __name__ == "__main__":
    main()
