"""Learning again from the log of a real broker: all of it, or as far back as a warm-up reaches."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from connectors.codecs import encode_record
from connectors.kafka import KafkaSink, KafkaSource, create_topics
from scrnn_stream.checkpoint import CheckpointStore
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.records import Partition, Record
from scrnn_stream.worker import Counts, Worker
from tests.apache_kafka import ApacheKafka
from tests.connectors.test_kafka import NOW_MS, QUICK, NewTopic, Reader, new_group
from tests.reading import Told, read_committed

SPACING_S = 10  # between two messages of the plant, by the broker's times
HERE = Partition("rebuilt", 0)


def test_an_offset_is_found_by_the_time_before_the_newest_message_that_was_finished(
    broker: str, new_topic: NewTopic
) -> None:
    topic = new_topic(1)
    producer = KafkaProducer(bootstrap_servers=broker)
    for offset, second in enumerate([0, 1, 2, 3, 4, 5, 4, 4.5, 6, 7]):  # 6 and 7 are older than 5
        time_ms = NOW_MS - 20_000 + round(1000 * second)
        producer.send(topic, key=b"m", value=b'{"flow": %d}' % offset, timestamp_ms=time_ms)
    producer.close()
    cases = {(10, 2.5): 5, (10, 1.0): 8, (10, 0.0): 9, (10, 1e9): 0, (8, 0.0): 5, (6, 2.0): 3, (0, 5.0): None}
    with KafkaSource(broker, topic, new_group(), **QUICK) as source:
        reader = Reader(source)
        reader.read(5)
        assert {case: source.reaching_back(Partition(topic, 0), *case) for case in cases} == cases
        reader.read(10)  # its place in the topic is as it was
    assert [message.position.offset for message in reader.messages] == list(range(10))


class Plant:
    """The plant's records in a topic, and workers that watch it."""

    def __init__(self, address: str, path: Path, records: list[Record]) -> None:
        self.address, self.path, self.n_records = address, path, len(records)
        create_topics(address, {"rebuilt": 1})
        producer = KafkaProducer(bootstrap_servers=address, linger_ms=20)
        for number, record in enumerate(records):
            time_ms = NOW_MS - 1000 * SPACING_S * (len(records) - number)
            value, key = encode_record(record), record.machine.encode()
            producer.send("rebuilt", value, key=key, partition=0, timestamp_ms=time_ms)
        producer.close()

    def watch(self, name: str, until: int, **options: Any) -> Counts:
        """Watch the topic up to about that offset."""
        create_topics(self.address, {f"{name}-alerts": 1})
        sink = KafkaSink(self.address, f"{name}-alerts", transactional_id=name)
        with sink, KafkaSource(self.address, "rebuilt", name, through=sink, max_poll_records=200, **QUICK) as source:
            worker = Worker(source, sink, Pipeline(), CheckpointStore(self.path / name), **options)
            patience = itertools.count()
            return worker.run(lambda: next(patience) > 500 or worker._next.get(HERE, 0) >= until, timeout_s=0.2)

    def told(self, name: str) -> Told:
        return read_committed(self.address, f"{name}-alerts")


@pytest.fixture(scope="module")
def watched(apache_kafka: ApacheKafka, plant: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Plant:
    return Plant(apache_kafka.address, tmp_path_factory.mktemp("checkpoints"), plant)


@pytest.fixture(scope="module")
def undisturbed(watched: Plant) -> Told:
    watched.watch("rebuilt-undisturbed", watched.n_records)
    return watched.told("rebuilt-undisturbed")


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("name", "rebuild", "damage"), [("rebuilt-asked", True, None), ("rebuilt-damaged", False, spoil)]
)
def test_what_is_learned_again_from_the_whole_log_tells_what_an_undisturbed_worker_tells(
    name: str, rebuild: bool, damage: Callable[[Path], None] | None, watched: Plant, undisturbed: Told
) -> None:
    half = watched.watch(name, watched.n_records // 2, checkpoint_every_s=0.1).n_records
    checkpoints = list((watched.path / name).glob("*.ckpt"))
    assert len(checkpoints) == 2
    for path in checkpoints if damage is not None else ():
        damage(path)
    assert watched.watch(name, watched.n_records, rebuild=rebuild).n_replayed == half
    assert watched.told(name) == undisturbed


def test_a_warm_up_learns_again_from_so_far_back_and_says_so(watched: Plant) -> None:
    half = watched.watch("rebuilt-warm", watched.n_records // 2).n_records
    counts = watched.watch("rebuilt-warm", watched.n_records, rebuild=True, warmup_s=500.0 * SPACING_S)
    assert counts == Counts(n_records=watched.n_records - half, n_replayed=501, n_alerts=counts.n_alerts)
    [event] = watched.told("rebuilt-warm")[b"rebuilt/0"]
    assert json.loads(event)["type"] == "io.scrnn-stream.state_rebuilt"
    assert json.loads(event)["data"]["position"] == {"topic": "rebuilt", "partition": 0, "offset": half - 501}
    assert "the warm-up begins at" in json.loads(event)["data"]["reason"]
