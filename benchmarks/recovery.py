"""How soon is a killed worker back that watches 1,000 machines? Seconds, and what takes them.

    python -m benchmarks.recovery [--machines N] [--per-second N] [--kills N] [--seed S] [--json FILE]

One worker of `scrnn-stream run` watches machines of 8 sensors in six partitions of a real Apache Kafka (Java 17 and
Maven must be there), exactly once, with an --instance and a checkpoint every 30 s, as by default. When all machines are
ready and readings come at their pace, it is killed between two checkpoints, at a moment that is drawn by lot from one
part of that time after the other, and started again at once. *Back* is when readings of every partition that came after
the kill are finished, as the group's committed offsets tell.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec
import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its schemas by importlib's old function
    from kafka import KafkaProducer

    from benchmarks.chaos_crew import N_PARTITIONS, ROOT, TOPIC, Progress
    from benchmarks.recovery_stages import CONNECTED, FIRST, IMPORTED, LOADED, RESTORED
    from benchmarks.stamp import stamp, write_json
    from connectors.broker import end_with_parent, last_line
    from connectors.kafka import create_topics
    from tests.apache_kafka import ApacheKafka

N_SENSORS = 8
N_READY = 400  # readings after which a machine is ready, and some
BEGIN, INTERVAL_S = 1_767_600_000, 60
GROUP, ALERTS = "recovery", "recovery-alerts"
CHECKPOINT_EVERY_S = 30.0
WRITING_S = 2.0  # for one that is under way
LOOK_EVERY_S = 0.05
PATIENCE_S = 600.0


class Recovery(NamedTuple):
    """Seconds from the kill on, in the order in which they pass."""

    since_checkpoint_s: float
    n_to_replay: int
    imports_s: float  # until Python has begun and everything is imported
    connect_s: float
    join_s: float  # until the group has given it its partitions
    load_s: float  # checkpoints read, checked and decoded
    restore_s: float  # machines made of them
    first_s: float  # the first reading, which loads the kernels
    replay_s: float  # what was finished since the checkpoint, and then what came since the kill
    back_s: float


class Flow(threading.Thread):
    """A reading of each machine in turn: at first as fast as can be, then so many a second."""

    def __init__(self, address: str, n_machines: int, per_s: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.n_machines, self.per_s = n_machines, per_s
        self.rng = np.random.default_rng(seed)
        self.names = [f"machine-{number}" for number in range(n_machines)]
        self._is_over = threading.Event()
        self._producer = KafkaProducer(bootstrap_servers=address, linger_ms=20, batch_size=262_144)

    def run(self) -> None:
        for tick in range(N_READY):
            self._send(tick, 0, self.n_machines)
        self._producer.flush()
        begin, n_sent = time.monotonic(), 0
        while not self._is_over.wait(0.02):
            n_due = int((time.monotonic() - begin) * self.per_s)
            while n_sent < n_due:
                tick, first = divmod(n_sent, self.n_machines)
                last = min(self.n_machines, first + n_due - n_sent)
                self._send(N_READY + tick, first, last)
                n_sent += last - first

    def stop(self) -> None:
        self._is_over.set()
        self.join()
        self._producer.close()

    def _send(self, tick: int, first: int, last: int) -> None:
        load = np.sin(tick / 30 + np.arange(first, last))[:, None]
        noise = self.rng.standard_normal((last - first, N_SENSORS))
        readings = (50 + 10 * np.arange(N_SENSORS) + 5 * load + noise).round(3).tolist()
        for number, values in enumerate(readings, first):
            fields: dict[str, Any] = {"machine": self.names[number], "timestamp": BEGIN + INTERVAL_S * tick}
            fields |= {f"sensor_{j}": value for j, value in enumerate(values)}
            value = msgspec.json.encode(fields)
            self._producer.send(TOPIC, value, key=fields["machine"].encode(), partition=number % N_PARTITIONS)


class Service:
    """The worker, and what it has told of its start."""

    def __init__(self, address: str, directory: Path) -> None:
        self.address, self.directory = address, directory
        self.log = directory / "log"
        self.stages: list[dict[str, Any]] = []
        self.start()

    def start(self) -> None:
        self.stages = []
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.recovery_stages", "--log-level", "warning"]
        command += ["run", "--brokers", self.address, "--topic", TOPIC, "--group", GROUP, "--instance", "worker-1"]
        command += ["--alerts-topic", ALERTS, "--checkpoints", str(self.directory / "checkpoints")]
        command += ["--checkpoint-every", str(CHECKPOINT_EVERY_S)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                preexec_fn=end_with_parent(),
            )  # fmt: skip
        threading.Thread(target=self._listen, args=(self._process, self.stages), daemon=True).start()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def check(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"the worker ended: {last_line(self.log)}")

    @property
    def offsets(self) -> dict[int, int]:
        """Of the newest checkpoint of each partition."""
        found: dict[int, int] = {}
        for file in (self.directory / "checkpoints").glob(f"{TOPIC}-*@*.ckpt"):
            number, _, offset = file.stem.removeprefix(f"{TOPIC}-").partition("@")
            found[int(number)] = max(found.get(int(number), 0), int(offset))
        return found

    @staticmethod
    def _listen(process: subprocess.Popen[str], stages: list[dict[str, Any]]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                stages.append(json.loads(line))


def main() -> int:
    options = _options()
    with ApacheKafka() as kafka, tempfile.TemporaryDirectory(prefix="scrnn-stream-recovery-") as directory:
        create_topics(kafka.address, {TOPIC: N_PARTITIONS, ALERTS: 1})
        flow = Flow(kafka.address, options.machines, options.per_second, options.seed)
        flow.start()
        service, progress = Service(kafka.address, Path(directory)), Progress(kafka.address, GROUP)
        recoveries = list(_kills(service, progress, options))
        megabytes = sum(file.stat().st_size for file in (Path(directory) / "checkpoints").iterdir()) / 2e6
        service.kill()
        flow.stop()
    print(*_table(recoveries), f"checkpoints of all partitions: {megabytes:.0f} MB", sep="\n")
    if options.json:
        settings = {name: value for name, value in vars(options).items() if name != "json"}
        rows = [{name: round(value, 2) for name, value in one._asdict().items()} for one in recoveries]
        write_json(options.json, stamp(**settings) | {"kills": rows, "checkpoints_mb": round(megabytes, 1)})
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.recovery", description=__doc__.splitlines()[0])
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--per-second", type=float, default=1000.0, help="readings of all machines together")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _kills(service: Service, progress: Progress, options: argparse.Namespace) -> Iterator[Recovery]:
    rng = np.random.default_rng(options.seed)
    n_ready = N_READY * options.machines
    _wait(service, progress, lambda: progress.n_done >= n_ready)
    print(f"{options.machines} machines are ready; {options.per_second:g} readings a second from now on", flush=True)
    _wait(service, progress, lambda: sum(progress.ends.values()) - progress.n_done < 2 * options.per_second)
    for number in range(options.kills):
        _wait_for_checkpoints(service, progress)
        written_at = time.monotonic()
        after_s = (number + rng.random()) / options.kills * (CHECKPOINT_EVERY_S - WRITING_S)
        _wait(service, progress, lambda: time.monotonic() >= written_at + after_s)  # noqa: B023 - waited for here
        killed = _kill(service, progress, written_at)
        print(f"kill {number + 1}: back after {killed.back_s:.1f} s", flush=True)
        yield killed


def _wait_for_checkpoints(service: Service, progress: Progress) -> None:
    """Those of all partitions that are written after each other."""
    before = service.offsets
    _wait(service, progress, lambda: all(service.offsets.get(n, 0) > before.get(n, 0) for n in range(N_PARTITIONS)))


def _kill(service: Service, progress: Progress, written_at: float) -> Recovery:
    killed_at = time.monotonic()
    service.kill()
    progress.look()
    kept = service.offsets
    n_to_replay = sum(done - kept[part.partition] for part, done in progress.done.items())
    service.start()
    to_pass = {part: end + 1 for part, end in progress.ends.items()}
    _wait(service, progress, lambda: progress.has_passed(to_pass))
    back_s = time.monotonic() - killed_at
    return recovery(service.stages, killed_at, killed_at - written_at, n_to_replay, back_s)


def recovery(
    stages: list[dict[str, Any]], killed_at: float, since_checkpoint_s: float, n_to_replay: int, back_s: float
) -> Recovery:
    """From what the worker told of its start, in order."""
    took = {name: sum(stage["took_s"] for stage in stages if stage["stage"] == name) for name in (LOADED, RESTORED)}
    at = {stage["stage"]: stage["at"] - killed_at for stage in reversed(stages)}  # the first of each
    first_s = next(stage["took_s"] for stage in stages if stage["stage"] == FIRST)
    assigned = at[LOADED] - next(stage["took_s"] for stage in stages if stage["stage"] == LOADED)
    return Recovery(
        since_checkpoint_s=since_checkpoint_s,
        n_to_replay=n_to_replay,
        imports_s=at[IMPORTED],
        connect_s=at[CONNECTED] - at[IMPORTED],
        join_s=assigned - at[CONNECTED],
        load_s=took[LOADED] - took[RESTORED],  # which is a part of it
        restore_s=took[RESTORED],
        first_s=first_s,
        replay_s=back_s - assigned - took[LOADED] - first_s,
        back_s=back_s,
    )


def _wait(service: Service, progress: Progress, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        service.check()
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing came of it in {PATIENCE_S:g} s: {last_line(service.log)}")
        time.sleep(LOOK_EVERY_S)
        progress.look()


def _table(recoveries: list[Recovery]) -> Iterator[str]:
    yield f"{'':22}{'median':>10}{'least':>10}{'most':>10}"
    for name in Recovery._fields:
        values = [float(getattr(recovery, name)) for recovery in recoveries]
        number = "10.0f" if name.startswith("n_") else "10.2f"
        yield f"{name:22}{median(values):{number}}{min(values):{number}}{max(values):{number}}"


if __name__ == "__main__":
    sys.exit(main())
