"""What a reader of a topic sees who begins at its oldest message and stops at its end."""

from __future__ import annotations

from kafka import KafkaConsumer, TopicPartition

Told = dict[bytes, list[bytes]]


def read_committed(address: str, topic: str) -> Told:
    """The messages of finished transactions by key, in order."""
    told: Told = {}
    for key, value in read_topic(address, topic):
        told.setdefault(key, []).append(value)
    return told


def read_topic(address: str, topic: str, isolation: str = "read_committed") -> list[tuple[bytes, bytes]]:
    options = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "isolation_level": isolation}
    consumer = KafkaConsumer(bootstrap_servers=address, group_id=None, fetch_max_wait_ms=50, **options)
    parts = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(parts)
    ends = consumer.end_offsets(parts)
    told: list[tuple[bytes, bytes]] = []
    while any(consumer.position(part) < end for part, end in ends.items()):
        for batch in consumer.poll(timeout_ms=100).values():
            told += [(message.key, message.value) for message in batch]
    consumer.close()
    return told
