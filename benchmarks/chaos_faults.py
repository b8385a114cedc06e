"""What befalls workers, checkpoints, brokers and networks in a chaos run, and how long it takes until all is well."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.chaos_crew import CHECKPOINT_EVERY_S, MAX_POLL_S, SESSION_S, TOPIC, Crew, Progress
from benchmarks.cut_network import Network
from benchmarks.small_disk import SmallDisk
from tests.apache_kafka import ApacheKafka

PATIENCE_S = 120.0
TRANSACTION_PATIENCE_S = 15.0  # a worker without partitions has no transaction to die in
WITHOUT_BROKER_S = 60.0  # so long a killed broker stays away at most
LOOK_EVERY_S = 0.1
NEW_MESSAGES_S = 0.6
LEFT_BYTES = 1 << 16  # on a full disk at most: a checkpoint begins, and does not end


class Stalled(RuntimeError):
    """What should have happened did not; the message says what."""


class Fault(NamedTuple):
    """What was done, and the seconds from its begin until later messages of every partition were finished."""

    kind: str
    back_after_s: float


class Chaos:
    """Does harm, one kind after another in an order drawn by lot, and waits each time until the group is back.

    Parameters
    ----------
    network
        Between workers and brokers; None: it is never cut.
    disk
        Where the checkpoints are; None: it is never full.

    Attributes
    ----------
    n_in_transaction
        Deaths inside of an open transaction.
    n_without_broker, n_in_need_of_broker
        Of several brokers one was killed, and the group went on without it, or only when it was back.
    """

    def __init__(
        self,
        kafka: ApacheKafka,
        crew: Crew,
        progress: Progress,
        rng: np.random.Generator,
        network: Network | None = None,
        disk: SmallDisk | None = None,
    ) -> None:
        self.kafka, self.crew, self.progress, self.rng = kafka, crew, progress, rng
        self.network, self.disk = network, disk
        self.n_in_transaction = self.n_without_broker = self.n_in_need_of_broker = 0
        self.kinds: dict[str, Callable[[], None]] = {
            "worker killed": self._kill,
            "killed in a transaction": self._kill_in_transaction,
            "killed, and again while it recovers": self._kill_twice,
            "all workers killed": self._kill_all,
            "stopped past its poll interval": self._stop_and_continue,
            "stopped, a namesake takes over": self._take_over,
            "joined and removed": self._join_and_remove,
            "removed and started again": self._restart,
            "newest checkpoints truncated, killed": self._truncate_newest,
            "all checkpoints truncated, killed": self._truncate_all,
            "segments truncated or gone, killed": self._damage_segments,
            "broker killed": self._kill_broker,
            "broker and all workers killed": self._kill_everyone,
            "broker stands still": self._pause_broker,
        }
        if network is not None:
            self.kinds |= {
                "worker cut off, refused": lambda: self._cut_off_worker(network, network.refuse),
                "worker cut off, packets swallowed": lambda: self._cut_off_worker(network, network.swallow),
                "broker cut off, refused": lambda: self._cut_off_broker(network, network.refuse),
                "broker cut off, packets swallowed": lambda: self._cut_off_broker(network, network.swallow),
            }
        if disk is not None:
            self.kinds |= {
                "disk full": lambda: self._fill(disk),
                "disk full, a worker killed meanwhile": lambda: self._fill(disk, self._kill),
            }
        self._deck: list[str] = []

    def next(self) -> Fault:
        """One fault, to its end."""
        if not self._deck:
            self._deck = [str(kind) for kind in self.rng.permutation(list(self.kinds))]
        kind = self._deck.pop()
        self._struck_at = time.monotonic()
        self.kinds[kind]()
        self._recover()
        return Fault(kind, time.monotonic() - self._struck_at)

    def idle(self, seconds: float) -> None:
        """Let time pass, and start again who ends by itself meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._tend()
            time.sleep(min(LOOK_EVERY_S, left))

    def wait_for(self, what: str, condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
        """Let time pass until the condition holds.

        Raises
        ------
        Stalled
            If it does not in time.
        """
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise Stalled(f"waited {timeout_s:g} s for {what}")
            self.idle(LOOK_EVERY_S)

    def _tend(self) -> None:
        self.crew.tend()
        self.progress.look()

    def _recover(self, timeout_s: float = PATIENCE_S) -> None:
        """Every partition has messages that came after the harm was done; they must be finished."""
        self.idle(NEW_MESSAGES_S)
        self.wait_for("the brokers to answer", self.progress.look)
        to_pass = dict(self.progress.ends)
        self.wait_for("the group to come back", lambda: self.progress.has_passed(to_pass), timeout_s)

    def _someone(self) -> str:
        return str(self.rng.choice(self.crew.names))

    def _some_broker(self) -> int:
        """Of a cluster that can spare one."""
        self.wait_for("all replicas to catch up", self.kafka.is_whole)
        self._struck_at = time.monotonic()
        return int(self.rng.integers(self.kafka.n_brokers))

    # -- workers ------------------------------------------------------------------------------------------------------

    def _kill(self) -> None:
        name = self._someone()
        self.crew.kill(name)
        self.crew.start(name)

    def _kill_in_transaction(self) -> None:
        name = self._someone()
        self.crew.send(name, signal.SIGUSR1)
        try:
            self.wait_for("death in a transaction", lambda: self.crew.has_ended(name), TRANSACTION_PATIENCE_S)
            self.n_in_transaction += 1
        except Stalled:
            self.crew.kill(name)
        self._struck_at = time.monotonic()
        self.crew.start(name)

    def _kill_twice(self) -> None:
        name = self._someone()
        for seconds in (self.rng.uniform(0.5, 6.0), 0.0):
            self.crew.kill(name)
            self.crew.start(name)
            self.idle(seconds)

    def _kill_all(self) -> None:
        for name in self.crew.names:
            self.crew.kill(name)
        for name in self.crew.names:
            self.crew.start(name)

    def _stop_and_continue(self) -> None:
        name = self._someone()
        self.crew.send(name, signal.SIGSTOP)
        self.idle(max(SESSION_S, MAX_POLL_S) + self.rng.uniform(-1.0, 6.0))
        self.crew.send(name, signal.SIGCONT)

    def _take_over(self) -> None:
        """The one that stood still must notice that it is not needed any more, and end."""
        name = self._someone()
        self.crew.send(name, signal.SIGSTOP)
        zombie = self.crew.replace(name, self.crew.launch(name))
        self.idle(self.rng.uniform(3.0, 9.0))
        zombie.send_signal(signal.SIGCONT)
        try:
            self.wait_for("the zombie to end", lambda: zombie.poll() is not None)
        finally:
            zombie.kill()

    def _join_and_remove(self) -> None:
        name = f"worker-{self.crew.n_started + 1}"
        self.crew.start(name)
        self.idle(self.rng.uniform(6.0, 12.0))
        self.crew.remove(name)

    def _restart(self) -> None:
        name = self._someone()
        self.crew.remove(name)
        self.crew.start(name)

    # -- checkpoints --------------------------------------------------------------------------------------------------

    def _truncate_newest(self) -> None:
        self._truncate(n_newest=1)

    def _truncate_all(self) -> None:
        self._truncate(n_newest=2)

    def _truncate(self, n_newest: int) -> None:
        """Of all partitions, since any may be the worker's, while nobody is there to write another."""
        self._kill_and_start(
            lambda: [self._shorten(file) for files in self._files("ckpt") for file in files[-n_newest:]]
        )

    def _damage_segments(self) -> None:
        """Of each partition one, which one or both of its checkpoints need."""

        def damage() -> None:
            for files in self._files("seg"):
                file = files[int(self.rng.integers(len(files)))]
                self._shorten(file) if self.rng.random() < 0.5 else file.unlink()

        self._kill_and_start(damage)

    def _files(self, ending: str) -> list[list[Path]]:
        """The manifests, or segments, of each partition that has any, oldest first."""
        directory = self.crew.store.directory
        assert directory is not None
        of_each = [list(directory.glob(f"{TOPIC}-{n}@*.{ending}")) for n in range(len(self.progress.parts))]
        return [sorted(files, key=lambda file: file.stat().st_mtime) for files in of_each if files]

    def _shorten(self, file: Path) -> None:
        data = file.read_bytes()
        file.write_bytes(data[: int(self.rng.integers(len(data)))])

    def _kill_and_start(self, meanwhile: Callable[[], None]) -> None:
        """Kill all workers, do something while nobody is there, and start them again."""
        for name in self.crew.names:
            self.crew.kill(name)
        meanwhile()
        for name in self.crew.names:
            self.crew.start(name)

    def _fill(self, disk: SmallDisk, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Each worker must find it full at least once."""
        disk.fill(int(self.rng.integers(LEFT_BYTES)))
        self.idle(CHECKPOINT_EVERY_S + self.rng.uniform(1.0, 4.0))
        meanwhile()
        self.idle(self.rng.uniform(0.5, CHECKPOINT_EVERY_S))
        disk.free()

    # -- networks -----------------------------------------------------------------------------------------------------

    def _cut_off_worker(self, network: Network, cut: Callable[..., None]) -> None:
        """From all brokers, sometimes for longer than its session lasts."""
        name = self._someone()
        cut(client=name)
        self.idle(self.rng.uniform(2.0, 2 * SESSION_S))
        network.mend(client=name)

    def _cut_off_broker(self, network: Network, cut: Callable[..., None]) -> None:
        """From all workers; the other brokers do not notice."""
        number = int(self.rng.integers(self.kafka.n_brokers))
        cut(broker=number)
        self.idle(self.rng.uniform(2.0, 2 * SESSION_S))
        network.mend(broker=number)

    # -- brokers ------------------------------------------------------------------------------------------------------

    def _end_broker(self, number: int) -> None:
        self.kafka.kill(number)
        if self.network is not None:  # nor may anybody seem to live there
            self.network.refuse(broker=number)

    def _start_broker(self, number: int) -> None:
        self.kafka.start(number)
        if self.network is not None:
            self.network.mend(broker=number)

    def _kill_broker(self) -> None:
        """Alone, it comes back soon; of several, when the group has gone on without it."""
        number = self._some_broker()
        self._end_broker(number)
        self.idle(self.rng.uniform(0.5, 4.0))
        if self.kafka.n_brokers > 1:
            try:
                self._recover(WITHOUT_BROKER_S)
                self.n_without_broker += 1
            except Stalled:
                self.n_in_need_of_broker += 1
        self._start_broker(number)

    def _kill_everyone(self) -> None:
        """The workers come back first, and may find nobody to talk to."""
        number = self._some_broker()
        self._end_broker(number)
        self._kill_all()
        self.idle(self.rng.uniform(0.5, 8.0))
        self._start_broker(number)

    def _pause_broker(self) -> None:
        """Its connections stay open, and nothing comes, to other brokers neither."""
        number = self._some_broker()
        self.kafka.pause(number)
        self.idle(self.rng.uniform(3.0, 9.0))
        self.kafka.go_on(number)
