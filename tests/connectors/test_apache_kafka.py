"""What only a real Kafka can show: members that die, and brokers that do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from connectors.kafka import KafkaSink, KafkaSource, create_topics
from tests.apache_kafka import ApacheKafka, KafkaMissing, classpath
from tests.connectors import conftest
from tests.connectors.test_kafka import QUICK, Reader, alert, new_group, produce, read_topic, until

ROOT = Path(__file__).parents[2]
MEMBER = """
    import sys
    from connectors.kafka import KafkaSource
    with KafkaSource(*sys.argv[1:], session_timeout_ms=1000, heartbeat_interval_ms=100) as source:
        while True:
            batch = source.poll()
            for partition, offset in batch.assigned.items():
                source.seek(partition, offset)
            if batch.messages:
                print("read", flush=True)
"""


@pytest.fixture
def kafka(apache_kafka: ApacheKafka) -> ApacheKafka:
    return apache_kafka


def test_the_partitions_of_a_killed_member_go_to_the_others(kafka: ApacheKafka) -> None:
    topic, group = "killed-member", new_group()
    create_topics(kafka.address, {topic: 4})
    produce(kafka.address, topic, 40)
    command = [sys.executable, "-c", textwrap.dedent(MEMBER), kafka.address, topic, group]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as member:
        assert member.stdout is not None
        assert member.stdout.readline() == b"read\n"
        with KafkaSource(kafka.address, topic, group, session_timeout_ms=1000, **QUICK) as source:
            reader = Reader(source)
            until(lambda: (reader.step(), len(reader.owned) == 2)[1], "a fair share")
            member.send_signal(signal.SIGKILL)
            until(lambda: (reader.step(), len(reader.owned) == 4)[1], "the partitions of the dead")
            reader.read(40)
    assert set(reader.flows()) == set(range(40))


def test_source_and_sink_outlive_a_killed_broker(kafka: ApacheKafka) -> None:
    topic, alerts, group = "killed-broker", "killed-broker-alerts", new_group()
    create_topics(kafka.address, {topic: 1, alerts: 1})
    with KafkaSource(kafka.address, topic, group, **QUICK) as source, KafkaSink(kafka.address, alerts) as sink:
        produce(kafka.address, topic, 5)
        reader = Reader(source)
        reader.read(5)
        sink.send(alert(1))
        sink.flush()
        kafka.kill()
        sink.send(alert(2))
        kafka.start()
        sink.flush()
        produce(kafka.address, topic, 5, first=5)
        reader.read(10)
        [partition] = reader.owned
        until(lambda: source.commit({partition: 10}), "a commit")
    assert set(reader.flows()) == set(range(10))
    assert len(read_topic(kafka.address, alerts, 2)) == 2


def test_the_image_of_the_compose_file_accepts_its_settings(kafka: ApacheKafka, tmp_path: Path) -> None:  # noqa: ARG001
    """The program that the image runs first; one setting of ours makes it forget all of its own."""
    settings = dict(re.findall(r'^ +(KAFKA_\w+): "(.+)"$', (ROOT / "compose.yaml").read_text(), re.MULTILINE))
    folders = [f"--{name}-configs-dir={tmp_path}" for name in ("default", "mounted", "final")]
    command = ["java", "-cp", classpath(), "kafka.docker.KafkaDockerWrapper", "setup", *folders]
    cluster = {"CLUSTER_ID": "5L6g3nShT-eMCtK--X86sw", "KAFKA_LOG_DIRS": str(tmp_path / "log")}
    run = subprocess.run(command, env={**os.environ, **settings, **cluster}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "log" / "meta.properties").exists()


@pytest.mark.slow
def test_of_three_brokers_one_may_die() -> None:
    try:
        with ApacheKafka(3) as kafka:
            create_topics(kafka.address, {"sensors": 1}, n_replicas=3)
            with KafkaSource(kafka.address, "sensors", new_group(), **QUICK) as source:
                reader = Reader(source)
                produce(kafka.address, "sensors", 5)
                reader.read(5)
                kafka.kill(0)
                produce(kafka.address, "sensors", 5, first=5)
                reader.read(10)
    except KafkaMissing as reason:
        conftest.missing(reason)
    assert set(reader.flows()) == set(range(10))
