"""Whatever is killed: what a reader of finished transactions sees is what an undisturbed run would have told."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition

from connectors.codecs import decode_alert, encode_record
from connectors.kafka import KafkaProblem, KafkaSink, KafkaSource, create_topics
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.records import Partition, Position, Record, Rejected
from tests.apache_kafka import ApacheKafka
from tests.connectors.test_kafka import QUICK, Reader, _forget_members, alert, new_group, produce, until
from tests.doomed_service import program
from tests.reading import Told, read_committed, read_topic

PATIENCE_S = 240.0
PARTITIONS = 2

MOMENTS = [  # of one run, each the end of a process of its own
    ("before", "send_offsets_to_transaction", 0),
    ("before", "send_offsets_to_transaction", 1),
    ("before", "commit_transaction", 0),
    ("after", "commit_transaction", 0),
    ("after", "commit_transaction", 1),
    ("before", "commit_transaction", 1),
]


class Plant:
    """The plant's records in a topic, with some junk between them, and services that watch it."""

    def __init__(
        self,
        address: str,
        path: Path,
        records: list[Record],
        encode: Callable[[Record], list[bytes]] = lambda record: [encode_record(record)],
        topic: str = "plant",
        options: tuple[str, ...] = (),
    ) -> None:
        self.address, self.path, self.n_messages, self.topic, self.options = address, path, 0, topic, options
        create_topics(address, {topic: PARTITIONS})
        producer = KafkaProducer(bootstrap_servers=address, linger_ms=20)
        for number, record in enumerate(records):
            partition = len(record.machine) % PARTITIONS
            values = encode(record) + [b"{junk"] * (number % 300 == 7)
            for value in values:
                producer.send(topic, value, key=record.machine.encode(), partition=partition)
            self.n_messages += len(values)
        producer.close()

    def command(
        self, name: str, size: int = 500, when: str = "never", step: str = "", n: int = 0, topic: str = ""
    ) -> list[str]:
        create_topics(self.address, {f"{name}-alerts": PARTITIONS, f"{name}-dead": 1})
        command = program({"max_poll_records": size}, when, step, n, topic)
        command += ["--log-level", "warning", "run", "--brokers", self.address, "--topic", self.topic, "--group", name]
        command += ["--alerts-topic", f"{name}-alerts", "--dead-letter-topic", f"{name}-dead", "--instance", "worker"]
        command += ["--max-machines", "2"] if name.startswith("killed") else []  # of four
        command += self.options
        return [*command, "--checkpoints", str(self.path / name), "--checkpoint-every", "0.2"]

    def run(self, name: str, size: int = 500) -> None:
        """Watch until every message is done."""
        consumer = KafkaConsumer(bootstrap_servers=self.address, group_id=name, enable_auto_commit=False)
        with subprocess.Popen(self.command(name, size), stdout=subprocess.DEVNULL) as service:
            deadline = time.monotonic() + PATIENCE_S
            try:
                while self.n_done(consumer) < self.n_messages:
                    assert service.poll() is None, "the service ended"
                    assert time.monotonic() < deadline, "the service is too slow"
                service.send_signal(signal.SIGTERM)
            except BaseException:
                service.kill()
                raise
        assert service.returncode == 0
        consumer.close()

    def n_done(self, consumer: KafkaConsumer) -> int:
        return sum(consumer.committed(TopicPartition(self.topic, number)) or 0 for number in range(PARTITIONS))

    def told(self, name: str) -> Told:
        return {**read_committed(self.address, f"{name}-alerts"), **read_committed(self.address, f"{name}-dead")}


@pytest.fixture(scope="module")
def watched(apache_kafka: ApacheKafka, plant: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Plant:
    Pipeline().process(list(plant[:2]))  # the kernels are compiled once, before a service is waited for
    return Plant(apache_kafka.address, tmp_path_factory.mktemp("checkpoints"), plant)


@pytest.fixture(scope="module")
def undisturbed(watched: Plant) -> Told:
    watched.run("undisturbed")
    told = watched.told("undisturbed")
    assert sum(len(values) for values in told.values()) > 15
    return told


def test_killed_at_any_step_of_a_transaction_nothing_is_lost_doubled_or_different(
    watched: Plant, undisturbed: Told
) -> None:
    for number, (when, step, n) in enumerate(MOMENTS):
        topic = "" if number else "killed-alerts"  # at least the first dies with an alert out
        killed = subprocess.run(watched.command("killed", 40, when, step, n, topic), timeout=PATIENCE_S)
        assert killed.returncode == -signal.SIGKILL
    watched.run("killed", 40)
    assert watched.told("killed") == undisturbed
    everything = read_topic(watched.address, "killed-alerts", isolation="read_uncommitted")
    assert len(everything) > len(read_topic(watched.address, "killed-alerts"))  # some were killed with alerts out


def in_long_json(record: Record) -> list[bytes]:
    """A message for each reading."""
    place = {"machine": record.machine, "timestamp": record.time}
    return [json.dumps({**place, "sensor": s, "value": value}).encode() for s, value in record.values.items()]


class InPacks:
    """A SenML pack for each three records of a machine."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[dict[str, object]]] = {}

    def __call__(self, record: Record) -> list[bytes]:
        pack = self.waiting.setdefault(record.machine, [])
        pack += [{"n": f"{record.machine}/{s}", "t": record.time, "v": value} for s, value in record.values.items()]
        return [json.dumps(self.waiting.pop(record.machine)).encode()] if len(pack) == 6 else []


@pytest.mark.parametrize(
    ("topic", "encode", "options"),
    [
        ("readings", in_long_json, ("--format", "long", "--join", "0s", "--lateness", "90s")),
        ("packs", InPacks(), ("--format", "senml")),
    ],
)
def test_readings_that_wait_and_messages_of_several_records_are_judged_once_whatever_is_killed(
    apache_kafka: ApacheKafka,
    plant: list[Record],
    tmp_path: Path,
    topic: str,
    encode: Callable[[Record], list[bytes]],
    options: tuple[str, ...],
) -> None:
    watched = Plant(apache_kafka.address, tmp_path, plant[1900:3000], encode, topic, options)
    watched.run(topic)
    told = watched.told(topic)
    assert sum(len(values) for values in told.values()) > 6
    killed = f"killed-{topic}"
    for when, step, n in (MOMENTS[0], MOMENTS[4]):
        died = subprocess.run(watched.command(killed, 41, when, step, n), timeout=PATIENCE_S)
        assert died.returncode == -signal.SIGKILL
    watched.run(killed, 41)
    assert watched.told(killed) == told


# -- one transaction --------------------------------------------------------------------------------------------------


def test_alerts_and_offsets_count_only_together(apache_kafka: ApacheKafka) -> None:
    address, group = apache_kafka.address, new_group()
    create_topics(address, {"together": 1, "together-alerts": 1, "together-dead": 1})
    produce(address, "together", 5)
    partition = Partition("together", 0)
    with (
        KafkaSink(address, "together-alerts", "together-dead", transactional_id=group) as sink,
        KafkaSource(address, "together", group, through=sink, **QUICK) as source,
    ):
        Reader(source).read(5)
        sink.send(alert(1))
        sink.reject(Rejected(Position(partition, 2), "why"))
        sink.flush()
        assert read_committed(address, "together-alerts") == {}
        assert source.commit({partition: 3}, {partition: 1.5})
    assert len(read_committed(address, "together-alerts")[b"m"]) == 1
    assert len(read_committed(address, "together-dead")[b"together/0"]) == 1
    with KafkaSource(address, "together", group, **QUICK) as source:
        batch = source.poll(20.0)
    assert (batch.assigned, batch.silence_told) == ({partition: 3}, {partition: 1.5})


def test_what_the_group_refuses_does_not_count_and_comes_again(apache_kafka: ApacheKafka) -> None:
    address, group = apache_kafka.address, new_group()
    create_topics(address, {"refused": 1, "refused-alerts": 1})
    produce(address, "refused", 5)
    partition = Partition("refused", 0)
    with (
        KafkaSink(address, "refused-alerts", transactional_id=group) as sink,
        KafkaSource(address, "refused", group, through=sink, **QUICK) as source,
    ):
        reader = Reader(source)
        reader.read(5)
        sink.send(alert(1))
        assert source.commit({partition: 2}, {})
        _forget_members(address, group)
        sink.send(alert(2))
        assert not source.commit({partition: 5}, {})
        reader.messages.clear()
        assert [message.position.offset for message in reader.read(3)][:3] == [2, 3, 4]
        until(lambda: (reader.step(), source.commit({partition: 5}, {}))[1], "a commit")
        sink.send(alert(3))
        assert source.commit({partition: 5}, {})
    offsets = [decode_alert(value).position.offset for value in read_committed(address, "refused-alerts")[b"m"]]
    assert offsets == [1, 3]


def test_the_offsets_of_a_refused_transaction_do_not_count_with_the_next(apache_kafka: ApacheKafka) -> None:
    address, group = apache_kafka.address, new_group()
    create_topics(address, {"stale": 2, "stale-alerts": 1})
    one, other = TopicPartition("stale", 0), TopicPartition("stale", 1)
    with (
        KafkaSink(address, "stale-alerts", transactional_id=group) as sink,
        KafkaSource(address, "stale", group, through=sink, **QUICK) as source,
    ):
        until(lambda: source.poll(0.1).assigned, "the partitions")
        stranger = source._member._replace(member_id="stranger")
        sink.send(alert(1))
        assert not sink.commit({one: OffsetAndMetadata(5, "", -1)}, stranger)
        sink.send(alert(2))
        assert sink.commit({other: OffsetAndMetadata(7, "", -1)}, source._member)
        stored = {part: source._consumer.committed(part) for part in (one, other)}
    assert stored == {one: None, other: 7}
    assert len(read_committed(address, "stale-alerts")[b"m"]) == 1


def test_a_fenced_zombie_stops_with_one_line_and_changes_nothing(apache_kafka: ApacheKafka) -> None:
    address, group = apache_kafka.address, new_group()
    create_topics(address, {"zombie": 1, "zombie-alerts": 1})
    produce(address, "zombie", 5)
    partition = Partition("zombie", 0)
    with (
        KafkaSink(address, "zombie-alerts", transactional_id=group) as zombie,
        KafkaSource(address, "zombie", group, through=zombie, **QUICK) as source,
    ):
        Reader(source).read(5)
        zombie.send(alert(1))
        zombie.flush()
        with KafkaSink(address, "zombie-alerts", transactional_id=group):
            with pytest.raises(KafkaProblem, match="another worker of the same name has taken over") as raised:
                source.commit({partition: 5}, {})
            assert "\n" not in str(raised.value)
            with pytest.raises(KafkaProblem):
                zombie.send(alert(2))
    assert read_committed(address, "zombie-alerts") == {}
    with KafkaSource(address, "zombie", group, **QUICK) as source:
        assert source.poll(20.0).assigned == {partition: 0}
