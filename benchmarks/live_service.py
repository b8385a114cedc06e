"""`scrnn-stream run` in a process of its own on a real Kafka, and the machines that send to it: 100 of 8 sensors.

Some of them are canaries: one of their sensors leaves its limits for two readings in twelve, which raises an alert at
the second one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from kafka import KafkaConsumer, TopicPartition

from connectors.broker import end_with_parent, last_line
from connectors.kafka import create_topics

TOPIC, ALERTS, GROUP = "sensors", "alerts", "service"
N_PARTITIONS, N_MACHINES, N_CANARIES, N_SENSORS = 2, 100, 20, 8
CYCLE, N_OUT = 12, 2  # records of a canary, and how many of them lie outside its limits: the next ten end the alert
HIGHEST = 1000.0
CONFIG = f"[sensors.gauge]\nhigh = {HIGHEST}\n"
START_TIMEOUT_S = 300.0  # kernels may have to be compiled
LOOK_EVERY_S = 0.1


class Fleet:
    """Machines that send in turn, each with a sensor more that is called gauge if it is a canary."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._noise = rng.normal(size=(4096, N_SENSORS))
        self._phases = rng.uniform(0, 2 * np.pi, N_MACHINES)
        self._middle = 50 + 10 * np.arange(N_SENSORS)

    def message(self, number: int, time_s: float) -> tuple[int, bytes, bytes]:
        """Partition, key and value of the record of that number, with that event time."""
        turn, machine = divmod(number, N_MACHINES)
        load = np.sin(turn / 30 + self._phases[machine])
        readings = (self._middle + 5 * load + self._noise[number % 4096]).round(3).tolist()
        name = f"machine-{machine}"
        fields = {"machine": name, "timestamp": time_s}
        fields |= {f"sensor_{j}": reading for j, reading in enumerate(readings)}
        if machine < N_CANARIES:
            is_out = (turn + machine) % CYCLE < N_OUT
            fields["gauge"] = (2.0 if is_out else 0.5) * HIGHEST
        return machine % N_PARTITIONS, name.encode(), msgspec.json.encode(fields)


class Service:
    """The service with its checkpoints; it ends with the block.

    Parameters
    ----------
    delivery
        As `scrnn-stream run --delivery` takes it.
    options, config
        Further options, and the configuration file.
    """

    def __init__(self, address: str, delivery: str, options: Sequence[str] = (), config: str = CONFIG) -> None:
        self.address, self.delivery, self.options, self.config = address, delivery, options, config

    def __enter__(self) -> Service:
        create_topics(self.address, {TOPIC: N_PARTITIONS, ALERTS: 1})
        self._directory = tempfile.TemporaryDirectory(prefix="scrnn-stream-service-")
        self._start()
        self._consumer = KafkaConsumer(
            bootstrap_servers=self.address.split(","), group_id=GROUP, enable_auto_commit=False
        )
        self._parts = [TopicPartition(TOPIC, number) for number in range(N_PARTITIONS)]
        return self

    def _start(self) -> None:
        directory = Path(self._directory.name)
        (directory / "config.toml").write_text(self.config)
        command = [sys.executable, "-W", "ignore", "-m", "scrnn_stream", "--log-level", "warning", "run"]
        command += ["--config", str(directory / "config.toml"), "--brokers", self.address, "--topic", TOPIC]
        command += ["--alerts-topic", ALERTS, "--group", GROUP, "--delivery", self.delivery]
        command += ["--checkpoints", str(directory / "checkpoints"), "--instance", "worker", *self.options]
        self._log = directory / "log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, preexec_fn=end_with_parent()
            )

    def start_again(self) -> None:
        """Kill it, as a machine that loses power does, and start it anew."""
        self._process.kill()
        self._process.wait()
        self._start()

    def __exit__(self, *exc: object) -> None:
        self._consumer.close(autocommit=False)
        self._process.terminate()
        self._process.wait(60.0)
        self._directory.cleanup()

    @property
    def n_done(self) -> int:
        """Records that the group has finished.

        Raises
        ------
        RuntimeError
            If the service has ended.
        """
        if self._process.poll() is not None:
            raise RuntimeError(f"the service has ended: {last_line(self._log)}")
        return sum(self._consumer.committed(part) or 0 for part in self._parts)

    @property
    def resident_mb(self) -> float:
        """Of its process, on Linux."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return int(dict(line.split(":", 1) for line in lines)["VmRSS"].split()[0]) / 1024

    @property
    def cpu_s(self) -> float:
        """That its process has used so far, on Linux."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def progress(self, n: int) -> Iterator[tuple[float, int]]:
        """The time and the records that are finished, now and then, until they are n.

        Raises
        ------
        RuntimeError
            If nothing is finished for minutes.
        """
        n_before, moved_at = -1, time.monotonic()
        while n_before < n:
            n_done, now = self.n_done, time.monotonic()
            if n_done > n_before:
                n_before, moved_at = n_done, now
                yield now, n_done
            if now > moved_at + START_TIMEOUT_S:
                raise RuntimeError(f"{n_done} of {n} records are finished after {START_TIMEOUT_S:g} s without another")
            time.sleep(LOOK_EVERY_S)
