"""Exactly once, whatever happens? A real Kafka, workers and brokers that are killed, and an undisturbed run beside it.

    python -m benchmarks.chaos [--minutes N] [--seed S] [--brokers 1|3] [--machines N] [--json FILE]

Machines send 160 readings a second, faulty ones and poison among them. Two workers of one group watch them, and are
killed, killed inside of open transactions, stopped past their poll interval, replaced, joined and removed; their
checkpoints are truncated and the disk under them is full, brokers are killed or stand still, and the network between
is cut. At the end one worker that nobody disturbs watches the
same topic, and what a reader of finished transactions sees of both is compared, machine by machine; so is what they
learned, to the last bit. The exit code is 1 if anything differs.

It needs Java 17 and Maven, as tests/apache_kafka.py says. The disk is a file system in memory, mounted in a namespace
of this program's own; where nobody may mount one, that fault is left out, and the run says so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its schemas by importlib's old function
    from benchmarks.chaos_crew import N_PARTITIONS, TOPIC, Crew, Progress
    from benchmarks.chaos_faults import Chaos, Fault, Stalled
    from benchmarks.chaos_feed import Feed
    from benchmarks.chaos_verdict import Difference, Learned, compare, examples, name_of_alert, name_of_dead_letter
    from benchmarks.cut_network import Network
    from benchmarks.small_disk import SmallDisk, mounts_of_its_own, small_disk
    from benchmarks.stamp import stamp, write_json
    from connectors.codecs import decode_alert
    from connectors.kafka import create_topics
    from tests.apache_kafka import ApacheKafka, KafkaMissing
    from tests.reading import read_committed, read_topic

WORKERS = ("worker-1", "worker-2")
GUESTS = "guests"  # who joins and is removed
MOST_IN_MEMORY = 10  # machines of a worker after a checkpoint: others are evicted and come back all the time
DISK_BYTES = 1 << 20  # for each machine: three generations of its state and more
FULL = "No space left on device"
DRAIN_S = 600.0
PAUSES_S = (0.5, 3.0)  # between two faults
Say = Callable[[str], None]


class Place(NamedTuple):
    """Where it happens."""

    kafka: ApacheKafka
    network: Network
    directory: Path
    disk: SmallDisk | None


class Outcome(NamedTuple):
    """All that is told at the end."""

    faults: list[Fault]
    n_in_transaction: int
    n_without_broker: tuple[int, int]  # of several: the group went on without a killed one, or only with it
    n_sent: int
    n_in: int
    learned: Learned
    should_learn: Learned
    alerts: Difference
    dead_letters: Difference
    examples: list[str]  # of what is not as it should be
    n_full: int | None  # times that a worker said that the disk is full; None: no disk could be filled
    n_never_counted: int  # alerts of transactions that were not finished
    kinds: Counter[str]
    longest_gap_s: float
    ended: Counter[str]

    @property
    def n_unlearned(self) -> int:
        return self.n_in - self.learned.readings - self.learned.repetitions - self.dead_letters.n_expected

    @property
    def n_other_states(self) -> int:
        return self.learned.n_other_than(self.should_learn)

    @property
    def is_exact(self) -> bool:
        is_learned = self.n_unlearned == self.n_other_states == 0
        return is_learned and self.alerts.is_none and self.dead_letters.is_none


def main() -> int:
    options = _options()
    mounts_of_its_own()
    start = time.monotonic()

    def say(line: str) -> None:
        seconds = int(time.monotonic() - start)
        print(f"{seconds // 60:3d}:{seconds % 60:02d}  {line}", flush=True)

    try:
        with (
            Network([*WORKERS, GUESTS], options.brokers) as network,
            ApacheKafka(options.brokers, listeners=[network.listeners(n) for n in range(options.brokers)]) as kafka,
            tempfile.TemporaryDirectory(prefix="scrnn-stream-chaos-") as directory,
            small_disk(Path(directory) / "disk", options.machines * DISK_BYTES) as disk,
        ):
            outcome = _run(Place(kafka, network, Path(directory), disk), options, say)
    except KafkaMissing as missing:
        print(f"benchmarks.chaos: {missing}", file=sys.stderr)
        return 2
    except Stalled as stalled:
        print(f"STALLED: {stalled}")
        return 1
    print(*_table(outcome), sep="\n")
    if options.json:
        write_json(options.json, stamp(**_settings(options)) | _numbers(outcome))
    return 0 if outcome.is_exact else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--machines", type=int, default=40)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(options).items() if name != "json"}


def _run(place: Place, options: argparse.Namespace, say: Say) -> Outcome:
    kafka, network, directory, disk = place
    rng, of_crew = np.random.default_rng(options.seed).spawn(2)
    n_replicas = kafka.n_brokers
    create_topics(kafka.address, {TOPIC: N_PARTITIONS}, n_replicas)
    crew = Crew(
        kafka.address, "chaos", directory / "chaos", of_crew, n_replicas,
        address_of=lambda name: network.address(name if name in WORKERS else GUESTS),
        checkpoints=directory / "disk", max_machines=MOST_IN_MEMORY,
    )  # fmt: skip
    progress = Progress(kafka.address, crew.group)
    chaos = Chaos(kafka, crew, progress, rng, network, disk)
    feed = Feed(kafka.address, TOPIC, options.machines, options.seed)
    feed.start()
    for name in WORKERS:
        crew.start(name)
    chaos.wait_for("the first readings to be finished", lambda: progress.n_done > 0, DRAIN_S)
    progress.begin()  # kernels may have been compiled
    say(f"{kafka.n_brokers} broker(s), {options.machines} machines, {len(WORKERS)} workers")
    try:
        faults = list(_faults(chaos, options.minutes * 60, say))
        feed.stop()
        _drain(chaos)
    except Stalled:
        crew.print_logs()
        raise
    crew.stop()
    say(f"{progress.n_done} messages are finished; the undisturbed run begins")
    calm = Crew(kafka.address, "calm", directory / "calm", of_crew, n_replicas)
    calm_progress = Progress(kafka.address, calm.group)
    calm.start(WORKERS[0])
    _drain(Chaos(kafka, calm, calm_progress, rng))
    calm.stop()
    say("compared:")
    return _outcome(kafka.address, chaos, calm, faults, feed)


def _faults(chaos: Chaos, seconds: float, say: Say) -> Iterator[Fault]:
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        chaos.idle(chaos.rng.uniform(*PAUSES_S))
        fault, number = chaos.next(), number + 1
        say(f"fault {number}: {fault.kind}; back after {fault.back_after_s:.1f} s, {chaos.progress.n_done} finished")
        yield fault


def _drain(chaos: Chaos) -> None:
    chaos.wait_for("the brokers to answer", chaos.progress.look)
    ends = dict(chaos.progress.ends)
    chaos.wait_for("the topic's end", lambda: chaos.progress.has_passed(ends), DRAIN_S)


def _outcome(address: str, chaos: Chaos, calm: Crew, faults: list[Fault], feed: Feed) -> Outcome:
    crew, progress = chaos.crew, chaos.progress
    expected, told = read_committed(address, calm.alerts), read_committed(address, crew.alerts)
    dead = read_committed(address, calm.dead_letters), read_committed(address, crew.dead_letters)
    n_told = sum(map(len, told.values()))
    return Outcome(
        faults=faults,
        n_in_transaction=chaos.n_in_transaction,
        n_without_broker=(chaos.n_without_broker, chaos.n_in_need_of_broker),
        n_sent=feed.n_sent - feed.n_failed,
        n_in=sum(progress.ends.values()),
        learned=crew.learned(progress.ends),
        should_learn=calm.learned(progress.ends),
        alerts=compare(expected, told, name_of_alert),
        dead_letters=compare(*dead, name_of_dead_letter),
        examples=[*examples(expected, told, name_of_alert), *examples(*dead, name_of_dead_letter)],
        n_full=None if chaos.disk is None else crew.n_said(FULL),
        n_never_counted=len(read_topic(address, crew.alerts, isolation="read_uncommitted")) - n_told,
        kinds=Counter(decode_alert(message).kind for of_one in expected.values() for message in of_one),
        longest_gap_s=progress.longest_gap_s,
        ended=crew.ended,
    )


def _table(outcome: Outcome) -> Iterator[str]:
    yield f"{'fault':38}{'times':>6}{'back after: median':>20}{'longest':>9}"
    for kind, back in sorted(_by_kind(outcome.faults).items()):
        yield f"{kind:38}{len(back):6d}{median(back):18.1f} s{max(back):7.1f} s"
    learned, n_dead = outcome.learned, outcome.dead_letters.n_expected
    yield f"faults {len(outcome.faults)}, of them deaths inside an open transaction {outcome.n_in_transaction}"
    if any(outcome.n_without_broker):
        without, needed = outcome.n_without_broker
        yield f"the group went on without a killed broker {without} times, and only when it was back {needed} times"
    yield f"messages sent {outcome.n_sent}, in the topic {outcome.n_in}"
    yield f"learned {learned.readings}, repetitions {learned.repetitions}, dead letters {n_dead}"
    yield f"not learned {outcome.n_unlearned}; machines with another state {outcome.n_other_states}"
    for name, difference in (("alerts", outcome.alerts), ("dead letters", outcome.dead_letters)):
        yield f"{name}: " + ", ".join(f"{what} {n}" for what, n in difference._asdict().items())
    yield from outcome.examples
    yield "of the alerts: " + ", ".join(f"{kind} {n}" for kind, n in sorted(outcome.kinds.items()))
    yield f"alerts of transactions that never counted: {outcome.n_never_counted}"
    yield (
        "no disk was filled: nobody may mount one here"
        if outcome.n_full is None
        else f"workers told {outcome.n_full} times that the disk of their checkpoints is full"
    )
    yield f"longest time in which nothing of a partition was finished: {outcome.longest_gap_s:.1f} s"
    for words, n in outcome.ended.most_common():
        yield f"ended by itself {n} times: {words[:200]}"
    yield "EXACT" if outcome.is_exact else "DIFFERENT"


def _by_kind(faults: list[Fault]) -> dict[str, list[float]]:
    kinds: dict[str, list[float]] = {}
    for fault in faults:
        kinds.setdefault(fault.kind, []).append(fault.back_after_s)
    return kinds


def _numbers(outcome: Outcome) -> dict[str, Any]:
    return {
        "faults": {kind: [round(s, 2) for s in back] for kind, back in _by_kind(outcome.faults).items()},
        "in_transaction": outcome.n_in_transaction,
        "went_on_without_broker": outcome.n_without_broker[0],
        "went_on_only_with_it": outcome.n_without_broker[1],
        "messages": {"sent": outcome.n_sent, "in": outcome.n_in, "learned": outcome.learned.readings,
                     "repetitions": outcome.learned.repetitions, "not_learned": outcome.n_unlearned},
        "machines_with_another_state": outcome.n_other_states,
        "alerts": outcome.alerts._asdict() | {"kinds": dict(outcome.kinds), "never_counted": outcome.n_never_counted},
        "dead_letters": outcome.dead_letters._asdict(),
        "found_disk_full": outcome.n_full,
        "longest_gap_s": round(outcome.longest_gap_s, 2),
        "ended_by_themselves": dict(outcome.ended),
        "is_exact": outcome.is_exact,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
