"""A real Apache Kafka for tests: KRaft brokers from their Maven artifacts, on free ports, with temporary logs.

    python -m tests.apache_kafka [--port 9092]

starts one by hand, until Ctrl-C. Java 17 or newer and Maven must be there. The jars are looked up once and their paths
kept under the user's cache.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors

from connectors.broker import end_with_parent

VERSION = "4.3.1"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
PORTS = range(10_000, 30_000)  # below those of outgoing connections, which may take the port of a broker that is away
JAVA_OPTIONS = [  # a small heap, and no time spent on making long-lived code fast
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
]

POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>scrnn-stream</groupId>
  <artifactId>test-broker</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""

PROPERTIES = """
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners={listeners}
advertised.listeners={advertised}
listener.security.protocol.map={protocols}
inter.broker.listener.name=PLAINTEXT
log.dirs={directory}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor={n_replicas}
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor={n_replicas}
transaction.state.log.min.isr={n_in_sync}
min.insync.replicas={n_in_sync}
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
controller.quorum.election.timeout.ms=500
controller.quorum.fetch.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=200
num.network.threads=1
num.io.threads=2
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=1000
"""


class KafkaMissing(RuntimeError):
    """A real Kafka cannot be had on this machine; the message says what is missing."""


class Listener(NamedTuple):
    """A way into a broker besides the usual one: who asks there is sent on to another port, behind which a proxy is."""

    name: str
    port: int
    advertised_port: int
    protocol: str = "PLAINTEXT"


class ApacheKafka:
    """So many brokers, each also a controller; they end with the block, and their logs with them.

    On Linux they also end with the thread that started them, so start them from the main thread.

    Parameters
    ----------
    n_brokers
        With three or more, every topic of its own (offsets, transactions) has three replicas, of which one may be gone.
    port
        Of the first broker; None takes a free one.
    listeners
        Of each broker, besides the one at :attr:`address`.
    properties
        More of the brokers' settings, by name.
    """

    def __init__(
        self,
        n_brokers: int = 1,
        *,
        port: int | None = None,
        listeners: Sequence[Sequence[Listener]] = (),
        properties: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.properties = properties
        self.n_brokers, self.port, self.listeners = n_brokers, port, listeners or [()] * n_brokers
        self._ports: list[tuple[int, int]] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> ApacheKafka:
        self._classpath = classpath()
        self._directory = tempfile.TemporaryDirectory(prefix="scrnn-stream-kafka-", ignore_cleanup_errors=True)
        try:
            self._ports = [(quiet_port(), quiet_port()) for _ in range(self.n_brokers)]
            if self.port is not None:
                self._ports[0] = self.port, self._ports[0][1]
            self._format()
            self._processes = [self._launch(number) for number in range(self.n_brokers)]
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        for number in range(len(self._processes)):
            self.kill(number)
        self._directory.cleanup()

    @property
    def address(self) -> str:
        """Of all brokers, ``host:port`` with commas between."""
        return ",".join(f"127.0.0.1:{port}" for port, _ in self._ports)

    def kill(self, number: int = 0) -> None:
        """End a broker with SIGKILL."""
        self._processes[number].send_signal(signal.SIGKILL)
        self._processes[number].wait()

    def stop(self, number: int = 0) -> None:
        """End a broker with SIGTERM and wait for it."""
        self._processes[number].terminate()
        self._processes[number].wait(STOP_TIMEOUT_S)

    def pause(self, number: int = 0) -> None:
        """Let a broker stand still with SIGSTOP: its connections stay open, and nothing answers."""
        self._processes[number].send_signal(signal.SIGSTOP)

    def go_on(self, number: int = 0) -> None:
        """Let a broker that stands still go on."""
        self._processes[number].send_signal(signal.SIGCONT)

    def start(self, number: int = 0) -> None:
        """Start a broker that was stopped or killed, on its old port with its old log."""
        self._processes[number] = self._launch(number)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return when every broker that runs has answered and has joined the cluster."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_ready():
            for number, process in enumerate(self._processes):
                if process.poll() not in (None, -signal.SIGKILL, 128 + signal.SIGTERM):
                    raise RuntimeError(f"Kafka broker {number} ended: {_cause(self._path(number) / 'log')}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Kafka is not ready after {START_TIMEOUT_S:g} s")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        running = [
            port for (port, _), process in zip(self._ports, self._processes, strict=True) if process.poll() is None
        ]
        with contextlib.suppress(kafka_errors.KafkaError, OSError):
            for port in running:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            admin = KafkaAdminClient(bootstrap_servers=self.address.split(","), bootstrap_timeout_ms=1000)
            try:
                brokers: list[Any] = admin.describe_cluster()["brokers"]
                return len(brokers) == len(running)
            finally:
                admin.close()
        return False

    def is_whole(self) -> bool:
        """Whether every replica of every partition has caught up, so that any one broker may go."""
        with contextlib.suppress(kafka_errors.KafkaError):
            admin = KafkaAdminClient(bootstrap_servers=self.address.split(","), bootstrap_timeout_ms=1000)
            try:
                parts = [part for topic in admin.describe_topics() for part in topic["partitions"]]
                return all(len(part["isr_nodes"]) == len(part["replica_nodes"]) for part in parts)
            finally:
                admin.close()
        return False

    def _path(self, number: int) -> Path:
        return Path(self._directory.name) / str(number)

    def _format(self) -> None:
        """Kafka's own tool formats the first log; the others differ from it in their names."""
        voters = ",".join(f"{number}@127.0.0.1:{port}" for number, (_, port) in enumerate(self._ports))
        n_replicas = min(3, self.n_brokers)
        for number in range(self.n_brokers):
            self._path(number).mkdir()
            (self._path(number) / "server.properties").write_text(
                PROPERTIES.format(
                    number=number, voters=voters, directory=self._path(number) / "data", **self._ways_in(number),
                    n_replicas=n_replicas, n_in_sync=max(1, n_replicas - 1),
                )
                + "".join(f"{name}={value}\n" for name, value in self.properties.items())
            )  # fmt: skip
        cluster, properties = _unique(), self._path(0) / "server.properties"
        tool = [*self._java(), "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
        formatted = subprocess.run(tool, capture_output=True, text=True)
        if formatted.returncode != 0:  # Java is too old, as a rule
            raise KafkaMissing(f"Kafka {VERSION} does not run with this Java: {formatted.stderr.strip()[:300]}")
        for number in range(1, self.n_brokers):
            data = self._path(number) / "data"
            data.mkdir()
            shutil.copy(self._path(0) / "data" / "bootstrap.checkpoint", data)
            names = {"version": "1", "node.id": str(number), "cluster.id": cluster, "directory.id": _unique()}
            (data / "meta.properties").write_text("".join(f"{key}={value}\n" for key, value in names.items()))

    def _ways_in(self, number: int) -> dict[str, str]:
        port, controller_port = self._ports[number]
        ways = [Listener("PLAINTEXT", port, port), *self.listeners[number]]
        listening = [*ways, Listener("CONTROLLER", controller_port, controller_port)]
        return {
            "listeners": ",".join(f"{way.name}://127.0.0.1:{way.port}" for way in listening),
            "advertised": ",".join(f"{way.name}://127.0.0.1:{way.advertised_port}" for way in ways),
            "protocols": ",".join(f"{way.name}:{way.protocol}" for way in listening),
        }

    def _launch(self, number: int) -> subprocess.Popen[bytes]:
        with (self._path(number) / "log").open("ab") as output:
            return subprocess.Popen(
                [*self._java(), "kafka.Kafka", str(self._path(number) / "server.properties")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=end_with_parent(),
            )

    def _java(self) -> list[str]:
        return ["java", *JAVA_OPTIONS, "-cp", self._classpath]


def quiet_port() -> int:
    """A free port that no outgoing connection takes, so that it can be left and taken again."""
    while True:
        port = random.choice(PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


def _cause(log: Path) -> str:
    """Of a broker that has ended: what the last lines say that are not of the stack."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line and not line.startswith("\t")]
    return " / ".join(lines[-3:])[:500] or "it said nothing"


def classpath() -> str:
    """The paths of the broker's jars, from the cache or from Maven."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise KafkaMissing(f"{program} is not installed; a real Kafka needs Java 17 or newer and Maven")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scrnn-stream"
    kept = cache / f"kafka-{VERSION}.classpath"
    if kept.is_file() and all(Path(jar).is_file() for jar in kept.read_text().split(os.pathsep)):
        return kept.read_text()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        pom, found = Path(directory) / "pom.xml", Path(directory) / "classpath"
        pom.write_text(POM)
        command = ["mvn", "-B", "-q", "-f", str(pom), "dependency:build-classpath", f"-Dmdep.outputFile={found}"]
        maven = subprocess.run(command, capture_output=True, text=True)
        if maven.returncode != 0:
            raise KafkaMissing(f"Maven cannot resolve Kafka {VERSION}: {_first_error(maven.stdout)}")
        found.replace(kept)
    return kept.read_text()


def _first_error(output: str) -> str:
    return next((line for line in output.splitlines() if line.startswith("[ERROR]")), "it said nothing")


def _unique() -> str:
    """A new Kafka UUID; none begins with a dash, which the tools would take for an option."""
    return "A" + urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.apache_kafka", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=9092)
    port = parser.parse_args().port
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would not hear it
    with contextlib.suppress(KeyboardInterrupt), ApacheKafka(port=port) as kafka:
        print(f"Kafka {VERSION} at {kafka.address}; Ctrl-C ends it", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
