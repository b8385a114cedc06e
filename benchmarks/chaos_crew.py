"""Workers that share a topic, and what their group has finished: real `scrnn-stream run` processes to be killed."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from benchmarks.chaos_feed import HIGHEST_PRESSURE
from benchmarks.chaos_verdict import Learned
from connectors.broker import end_with_parent, last_line
from connectors.kafka import create_topics
from scrnn_stream.checkpoint import CheckpointStore
from scrnn_stream.records import Partition
from tests.doomed_service import NEVER, STEPS, program

ROOT = Path(__file__).parents[1]
TOPIC, N_PARTITIONS = "sensors", 6
SESSION_S, MAX_POLL_S = 6.0, 5.0  # in place of 45 s and 5 minutes, so that many faults fit into a run
CONSUMER = {
    "session_timeout_ms": round(SESSION_S * 1000),
    "max_poll_interval_ms": round(MAX_POLL_S * 1000),
    "heartbeat_interval_ms": 500,
    "max_poll_records": 200,
}
CHECKPOINT_EVERY_S = 5.0
CONFIG = f"alerts_per_day = 5\n{{}}\n\n[sensors.pressure]\nhigh = {HIGHEST_PRESSURE}\n"
ANSWER_TIMEOUT_MS = 2000
N_LAST_LINES = 15
MOMENTS = [("before", STEPS[0]), ("after", STEPS[0]), ("before", STEPS[1])]  # with the transaction open


class Crew:
    """The workers of one group by name; one that has ended without having been asked is started again.

    Parameters
    ----------
    group
        Their consumer group; its topics of alerts and dead letters and its checkpoints bear its name.
    directory
        Where checkpoints and logs go.
    rng
        Chooses where in a transaction a worker dies.
    address_of
        Where each finds the brokers, if not at `address`.
    checkpoints
        Where their states go, if not to `directory`.
    """

    def __init__(
        self,
        address: str,
        group: str,
        directory: Path,
        rng: np.random.Generator,
        n_replicas: int = 1,
        address_of: Callable[[str], str] | None = None,
        checkpoints: Path | None = None,
        max_machines: int | None = None,
    ) -> None:
        self.address, self.group, self.directory, self.rng = address, group, directory, rng
        self.address_of = address_of or (lambda _: address)
        self.store = CheckpointStore((checkpoints or directory) / "checkpoints")
        self.ended: Counter[str] = Counter()  # last lines of those that ended by themselves
        self.n_started = 0
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        directory.mkdir()
        (directory / "config.toml").write_text(
            CONFIG.format("" if max_machines is None else f"max_machines = {max_machines}")
        )
        create_topics(address, {self.alerts: N_PARTITIONS, self.dead_letters: 1}, n_replicas)

    @property
    def alerts(self) -> str:
        return f"{self.group}-alerts"

    @property
    def dead_letters(self) -> str:
        return f"{self.group}-dead-letters"

    @property
    def names(self) -> list[str]:
        return sorted(self._processes)

    def start(self, name: str) -> None:
        self._processes[name] = self.launch(name)

    def launch(self, name: str) -> subprocess.Popen[bytes]:
        """A worker of that name that is not the crew's own yet."""
        when, step = MOMENTS[self.rng.integers(len(MOMENTS))]
        command = program(CONSUMER, when, step, NEVER)
        command += ["--log-level", "warning", "run", "--config", str(self.directory / "config.toml")]
        command += ["--brokers", self.address_of(name), "--topic", TOPIC, "--group", self.group, "--instance", name]
        command += ["--alerts-topic", self.alerts, "--dead-letter-topic", self.dead_letters]
        command += ["--checkpoints", str(self.store.directory), "--checkpoint-every", str(CHECKPOINT_EVERY_S)]
        self.n_started += 1
        with self._log(name).open("ab") as log:
            return subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                preexec_fn=end_with_parent(),
            )  # fmt: skip

    def replace(self, name: str, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Let another process bear the name; the one that did is handed back."""
        old, self._processes[name] = self._processes[name], process
        return old

    def send(self, name: str, number: signal.Signals) -> None:
        self._processes[name].send_signal(number)

    def has_ended(self, name: str) -> bool:
        return self._processes[name].poll() is not None

    def kill(self, name: str) -> None:
        """End it with SIGKILL."""
        self._processes[name].kill()
        self._processes[name].wait()

    def remove(self, name: str) -> None:
        """End it with SIGTERM and wait for it."""
        self._processes[name].terminate()
        self._wait(self._processes.pop(name), name)

    def stop(self) -> None:
        """End all with SIGTERM, together."""
        for process in self._processes.values():
            process.terminate()
        for name in self.names:
            self._wait(self._processes.pop(name), name)

    def tend(self) -> None:
        """Start again whoever has ended by itself, as a service manager does."""
        for name, process in list(self._processes.items()):
            if process.poll() not in (None, -signal.SIGKILL):
                self.ended[self.last_words(name)] += 1
                self.start(name)

    def last_words(self, name: str) -> str:
        return last_line(self._log(name))

    def n_said(self, words: str) -> int:
        """How often any worker said that."""
        return sum(log.read_text(errors="replace").count(words) for log in self.directory.glob("*.log"))

    def print_logs(self) -> None:
        """The last that each worker said."""
        for log in sorted(self.directory.glob("*.log")):
            print(f"--- {log.stem}", *log.read_text(errors="replace").splitlines()[-N_LAST_LINES:], sep="\n")

    def learned(self, ends: Mapping[TopicPartition, int]) -> Learned:
        """What the newest checkpoints hold, which must be of the end of the topic."""
        found = {part: self.store.load(Partition(*part), at_most=end) for part, end in ends.items()}
        return Learned.of(at[1] for part, at in found.items() if at is not None and at[0] == ends[part])

    def _wait(self, process: subprocess.Popen[bytes], name: str) -> None:
        if process.wait(60.0) != 0:
            self.ended[self.last_words(name)] += 1

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"


class Progress:
    """What a group has finished of the topic, looked up now and then.

    Attributes
    ----------
    longest_gap_s
        Longest time in which a partition had messages and nothing of it was finished.
    """

    def __init__(self, address: str, group: str) -> None:
        self.address, self.group = address, group
        self._consumer: KafkaConsumer | None = None
        self.parts = [TopicPartition(TOPIC, number) for number in range(N_PARTITIONS)]
        self.done = dict.fromkeys(self.parts, 0)
        self.ends = dict.fromkeys(self.parts, 0)
        self.longest_gap_s = 0.0
        self._moved_at = dict.fromkeys(self.parts, time.monotonic())

    def begin(self) -> None:
        """Count no gap that was before."""
        self.longest_gap_s = 0.0
        self._moved_at = dict.fromkeys(self.parts, time.monotonic())

    def look(self) -> bool:
        """False if the brokers do not answer; what was seen last then stands."""
        before = dict(self.done)
        try:
            consumer = self._consumer = self._consumer or self._open()
            for part in self.parts:
                self.done[part] = consumer.committed(part, timeout_ms=ANSWER_TIMEOUT_MS) or 0
            self.ends = consumer.end_offsets(self.parts, timeout_ms=ANSWER_TIMEOUT_MS)
        except KafkaError:
            self.close()  # one that has met a broker that stood still may never answer again (kafka-python 3.0.12)
            return False
        now = time.monotonic()
        for part in self.parts:
            is_held_up = self.done[part] == before[part] < self.ends[part]
            self.longest_gap_s = max(self.longest_gap_s, now - self._moved_at[part])
            self._moved_at[part] = self._moved_at[part] if is_held_up else now
        return True

    def has_passed(self, offsets: Mapping[TopicPartition, int]) -> bool:
        return all(self.done[part] >= offset for part, offset in offsets.items())

    @property
    def n_done(self) -> int:
        return sum(self.done.values())

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=ANSWER_TIMEOUT_MS)
        self._consumer = None

    def _open(self) -> KafkaConsumer:
        return KafkaConsumer(
            bootstrap_servers=self.address.split(","), group_id=self.group, enable_auto_commit=False,
            reconnect_backoff_max_ms=500, bootstrap_timeout_ms=ANSWER_TIMEOUT_MS,
        )  # fmt: skip
