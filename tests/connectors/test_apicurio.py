"""The service with a real schema registry, which goes away and comes back: `pytest -m slow`."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from connectors.kafka import create_topics
from connectors.readings import Refused
from connectors.registry import Registry
from tests.apache_kafka import ApacheKafka, KafkaMissing
from tests.apicurio import Apicurio, apicurio
from tests.connectors.conftest import missing
from tests.connectors.test_kafka import until
from tests.connectors.test_wire import LONG, VALUES, WIDE, avro
from tests.reading import read_topic

pytestmark = pytest.mark.slow
PATIENCE_S = 120.0
OBJECT = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}


@pytest.fixture
def registry() -> Iterator[Apicurio]:
    """A new one for each test: it numbers schemas from 1."""
    try:
        with apicurio() as real:
            yield real
    except KafkaMissing as reason:
        missing(reason)


def test_schemas_are_found_by_their_ids_and_unknown_ids_given_up(registry: Apicurio) -> None:
    wide, long = registry.register("wide", WIDE, "AVRO"), registry.register("json", OBJECT, "JSON")
    seconds = itertools.count(0.0, 2.0)
    client = Registry(registry.url, lambda: next(seconds))
    client.open()
    assert (client.schema(wide).type, client.schema(long).type) == ("AVRO", "JSON")
    assert json.loads(client.schema(wide).text)["name"] == "Reading"

    def is_given_up() -> bool:
        try:
            client.schema(4_000_000)
        except Refused as refused:
            return str(refused) == "the registry has no schema 4000000 (404)"
        except Exception:
            return False
        return False

    until(is_given_up, "an unknown id to be given up")


def test_the_service_reads_both_kinds_and_waits_while_the_registry_is_gone(
    apache_kafka: ApacheKafka, registry: Apicurio, tmp_path: Path
) -> None:
    address = apache_kafka.address
    create_topics(address, {"avro": 1, "avro-alerts": 1, "avro-dead": 1})
    ids = [registry.register("wide", WIDE, "AVRO"), registry.register("long", LONG, "AVRO")]
    reading = {"machine": "m", "ts": 1767600000_000_000, "sensor": "flow", "value": 1.5, "quality": "Good"}
    messages = [avro(ids[0], WIDE, VALUES), avro(ids[1], LONG, reading), b"\0\0\x3d\x09\0x", b"{}"]
    start = "import sys; from scrnn_stream.cli import main; sys.exit(main())"
    command = [sys.executable, "-W", "ignore", "-c", start, "--log-level", "warning", "run"]
    command += ["--brokers", address, "--topic", "avro", "--group", "avro", "--alerts-topic", "avro-alerts"]
    command += ["--dead-letter-topic", "avro-dead", "--checkpoints", str(tmp_path)]
    command += ["--format", "registry", "--registry", registry.url]
    consumer = KafkaConsumer(bootstrap_servers=address, group_id="avro", enable_auto_commit=False)
    producer = KafkaProducer(bootstrap_servers=address)
    part = TopicPartition("avro", 0)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as service:
        try:
            assert service.stdout is not None
            assert "watching" in service.stdout.readline()
            registry.stop()
            for message in messages:
                producer.send("avro", message)
            producer.flush()
            assert service.stderr is not None
            assert "nothing is lost, messages wait for it" in service.stderr.readline()
            assert (consumer.committed(part) or 0) == 0
            registry.start()
            assert [registry.register(*given, "AVRO") for given in (("wide", WIDE), ("long", LONG))] == ids
            assert "answers again" in service.stderr.readline()
            deadline = time.monotonic() + PATIENCE_S
            while (consumer.committed(part) or 0) < len(messages):
                assert time.monotonic() < deadline
            service.send_signal(signal.SIGTERM)
            assert "4 records" in service.stdout.read()
        except BaseException:
            service.kill()
            raise
    consumer.close()
    producer.close()
    reasons = [json.loads(value)["reason"] for _, value in read_topic(address, "avro-dead")]
    assert reasons == [
        "the registry has no schema 4000000 (404)",
        "message does not begin with a zero and the id of a schema",
    ]
