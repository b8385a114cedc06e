"""The whole service in one process: a broker, records on a topic, the worker, alerts on another topic."""

import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from connectors.broker import EmbeddedBroker
from connectors.codecs import decode_alert, encode_record
from connectors.kafka import KafkaSink, KafkaSource, create_topics
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.settings import Settings
from scrnn_stream.simulate import simulate_fleet
from scrnn_stream.worker import Worker

DEADLINE_S = 60.0


def produce(brokers: str) -> int:
    """Two weeks of two pumps as wide JSON, keyed by machine: a machine stays in one partition, in order."""
    fleet = simulate_fleet(n_pumps=2, days=14, seed=1, kinds=("blockage", "stuck"))
    producer = KafkaProducer(bootstrap_servers=brokers, linger_ms=20)
    for record in fleet.records:
        producer.send("sensors", value=encode_record(record), key=record.machine.encode())
    producer.close()
    return len(fleet.records)


def read_alerts(brokers: str):
    """What a subscriber of the alerts topic sees."""
    consumer = KafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest", enable_auto_commit=False)
    part = TopicPartition("alerts", 0)
    consumer.assign([part])
    end = consumer.end_offsets([part])[part]
    while consumer.position(part) < end:
        for message in consumer.poll(timeout_ms=1000).get(part, []):
            yield decode_alert(message.value)
    consumer.close()


with EmbeddedBroker() as broker:
    create_topics(broker.address, {"sensors": 2, "alerts": 1, "dead-letters": 1})
    n_sent = produce(broker.address)
    print(f"sent {n_sent} records")
    pipeline = Pipeline(Settings(alerts_per_day=0.05))
    with (
        KafkaSource(broker.address, "sensors", group="example") as source,
        KafkaSink(broker.address, "alerts", "dead-letters") as sink,
    ):
        worker = Worker(source, sink, pipeline)
        deadline = time.monotonic() + DEADLINE_S
        worker.run(stop=lambda: worker.counts.n_records >= n_sent or time.monotonic() > deadline)
    print(f"processed {worker.counts.n_records} records, {worker.counts.n_rejected} rejected")
    for alert in read_alerts(broker.address):
        print(f"{alert.state:8} {alert.severity:8} {alert.message}")
