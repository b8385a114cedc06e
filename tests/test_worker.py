"""The loop between a source and a sink: its order, and that no kill at any point loses an alert."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from scrnn_stream.alert import Alert
from scrnn_stream.checkpoint import Checkpoint, CheckpointStore, Keepable
from scrnn_stream.encoding import decode
from scrnn_stream.pipeline import Idle, Outcome, Pipeline
from scrnn_stream.records import Batch, Partition, Position, Rebuilt, Record, Rejected
from scrnn_stream.worker import Counts, Worker
from tests.keeping import Thing, numbers

A, B = Partition("plant", 0), Partition("plant", 1)
Message = Record | Rejected


class Killed(BaseException):
    """The process is gone."""


class Journal:
    """Everything that crosses the border, in order; after so many events the process is killed."""

    def __init__(self, kill_after: float = float("inf")) -> None:
        self.events: list[str] = []
        self.kill_after = kill_after

    def note(self, event: str) -> None:
        self.events.append(event)
        if len(self.events) > self.kill_after:
            raise Killed


class Broker:
    """What outlives a process: the log, the committed offsets, and the alerts and dead letters that went out."""

    def __init__(self, *logs: list[Message]) -> None:
        self.logs = {log[0].position.partition: log for log in logs}
        self.committed = dict.fromkeys(self.logs, 0)
        self.alerts: list[Alert] = []
        self.rejected: list[Rejected] = []
        self.rebuilt: list[Rebuilt] = []
        self.begins: dict[Partition, int] = {}  # the oldest messages are gone
        self.silence_told: dict[Partition, float] = {}

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(alert.id, alert.state) for alert in self.alerts]


class FakeSource:
    is_live = True
    knows_times = True

    def __init__(self, broker: Broker, journal: Journal, size: int, stores: bool = True) -> None:
        self.broker, self.journal, self.size, self.stores = broker, journal, size, stores
        self.next: dict[Partition, int] = {}
        self.seconds = 0.0
        self.batches: list[Batch] = [Batch([], dict(broker.committed), frozenset(), broker.silence_told)]

    def __enter__(self) -> FakeSource:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def poll(self, timeout_s: float = 1.0) -> Batch | None:
        self.seconds += timeout_s
        if self.batches:
            return self.batches.pop(0)
        messages: list[Message] = []
        for partition, offset in self.next.items():
            messages += self.broker.logs[partition][offset : offset + self.size]
            self.next[partition] += self.size
        return Batch(messages, {}, frozenset()) if messages else None

    def seek(self, partition: Partition, offset: int) -> int:
        begin = max(offset, self.broker.begins.get(partition, 0))
        self.next[partition] = begin
        return begin

    def reaching_back(self, partition: Partition, before: int, span_s: float) -> int | None:  # noqa: ARG002
        return max(0, before - 1 - int(span_s)) if self.knows_times else None  # a message a second

    def commit(self, offsets: Mapping[Partition, int], silence_told: Mapping[Partition, float]) -> bool:
        self.journal.note("commit")
        if self.stores:
            self.broker.silence_told = dict(silence_told)
            self.broker.committed.update(offsets)
            self.journal.note("committed")
        return self.stores


class FakeSink:
    """`eager` sends at once what another sends at the flush."""

    def __init__(self, broker: Broker, journal: Journal, eager: bool = False) -> None:
        self.broker, self.journal, self.eager = broker, journal, eager
        self.waiting: list[Alert] = []

    def __enter__(self) -> FakeSink:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def send(self, alert: Alert) -> None:
        self.journal.note("send")
        (self.broker.alerts if self.eager else self.waiting).append(alert)

    def announce(self, rebuilt: Rebuilt) -> None:
        self.broker.rebuilt.append(rebuilt)

    def reject(self, rejected: Rejected) -> None:
        self.journal.note("reject")
        self.broker.rejected.append(rejected)

    def flush(self) -> None:
        self.journal.note("flush")
        self.broker.alerts += self.waiting
        self.waiting.clear()
        self.journal.note("flushed")


class WatchedStore(CheckpointStore):
    def __init__(self, directory: Path, journal: Journal) -> None:
        super().__init__(directory)
        self.journal = journal

    def save(self, partition: Partition, offset: int, stream: dict[str, Any], machines: Mapping[str, Keepable]) -> None:
        self.journal.note("save")
        super().save(partition, offset, stream, machines)
        self.journal.note("saved")


class Tally:
    """A pipeline whose state is a count: every seventh record of a partition raises an alert."""

    fetch: Any = None

    def __init__(self) -> None:
        self.n: dict[Partition, int] = {}

    def process(self, messages: list[Message], observe: Callable[..., None] | None = None) -> Outcome:
        outcome = Outcome([], [])
        for message in messages:
            if observe is not None:
                observe(message, None)
            if isinstance(message, Rejected):
                outcome.rejected.append(message)
                continue
            self.n[message.position.partition] = n = self.n.get(message.position.partition, 0) + 1
            if n % 7 == 0:
                outcome.alerts.append(alert(f"{message.position}:{n}", message.position))
        return outcome

    def check_idle(self, *_: object) -> Idle:
        return Idle([], None)

    def recall_silence(self, *_: object) -> None: ...

    def still_open(self, partition: Partition) -> list[Alert]:
        """One, whose id is how much was counted, after a checkpoint was taken up."""
        n = self.n.get(partition, 0)
        return [alert(str(n), Position(partition, n))] if n else []

    def to_keep(self, partition: Partition) -> tuple[dict[str, Any], dict[str, Thing]]:
        return {"of": "a tally"}, {"m": Thing(self.n.get(partition, 0))}

    def recover(self, partition: Partition, checkpoint: Checkpoint, n_most: int | None = None) -> None:  # noqa: ARG002
        if checkpoint.stream["of"] != "a tally":
            raise ValueError(checkpoint.stream["of"])
        ((_, data),) = checkpoint.states()
        self.n[partition] = decode(data)["number"]

    def drop(self, partition: Partition) -> None:
        self.n.pop(partition, None)


def alert(id: str, position: Position) -> Alert:
    return Alert(
        id=id, machine="m", kind="anomaly", state="firing", severity="warning", begin=None, raised=None,
        position=position, score=0.5, p_value=1e-3, message="",
    )  # fmt: skip


def log(partition: Partition, n: int) -> list[Message]:
    return [Record(Position(partition, k), "m", float(k), {"a": float(k)}) for k in range(n)]


def worker(broker: Broker, path: Path | None, journal: Journal | None = None, **options: Any) -> Worker:
    """A worker that has not run yet. With each poll its timeout passes."""
    journal = journal or Journal()
    source = FakeSource(broker, journal, options.pop("size", 10), options.pop("stores", True))
    sink = FakeSink(broker, journal, options.pop("eager", False))
    store = WatchedStore(path, journal) if path is not None else None
    options = {"checkpoint_every_s": 0.0, "clock": lambda: source.seconds, "pipeline": Tally(), **options}
    return Worker(source, sink, store=store, **options)


def keep(path: Path, offset: int, n: int) -> None:
    """A checkpoint of A, as a tally writes it."""
    CheckpointStore(path).save(A, offset, {"of": "a tally"}, {"m": Thing(n)})


def offsets_kept(path: Path) -> list[int]:
    return sorted(int(file.stem.split("@")[1]) for file in path.glob("*.ckpt"))


@pytest.fixture
def undisturbed() -> list[tuple[str, str]]:
    broker = Broker(log(A, 60), log(B, 25))
    worker(broker, None).run()
    assert len(broker.told) == 60 // 7 + 25 // 7
    return broker.told


# -- order ------------------------------------------------------------------------------------------------------------


def test_alerts_are_sent_then_flushed_then_committed_then_checkpointed(tmp_path: Path) -> None:
    journal = Journal()
    worker(Broker(log(A, 14)), tmp_path, journal, size=7).run()
    once = ["send", "flush", "flushed", "commit", "committed", "save", "saved"]
    assert journal.events == [*once, *once, "save", "saved"]  # and once more at the end


def test_a_batch_without_alerts_is_committed_too() -> None:
    broker = Broker(log(A, 5))
    worker(broker, None).run()
    assert broker.committed == {A: 5}


def test_dead_letters_go_out_and_are_counted_with_the_rest() -> None:
    bad = Rejected(Position(A, 2), "not JSON", b"{")
    broker = Broker([*log(A, 2), bad, *log(A, 20)[3:]])
    counts = worker(broker, None).run()
    assert broker.rejected == [bad]
    assert counts == Counts(n_records=20, n_replayed=0, n_rejected=1, n_alerts=2)


def test_the_observer_sees_live_messages_and_no_replayed_ones(tmp_path: Path) -> None:
    broker = Broker(log(A, 30))
    broker.committed[A] = 20
    seen: list[Message] = []
    counts = worker(broker, tmp_path, observe=lambda message, _: seen.append(message)).run()
    assert [message.position.offset for message in seen] == list(range(20, 30))
    assert (counts.n_replayed, counts.n_records) == (20, 10)


def test_it_stops_when_told_and_leaves_a_checkpoint(tmp_path: Path) -> None:
    broker = Broker(log(A, 100))
    polls = iter(range(100))
    worker(broker, tmp_path, checkpoint_every_s=1e9).run(stop=lambda: next(polls) == 4)
    assert broker.committed == {A: 30}
    assert offsets_kept(tmp_path) == [30]


def test_checkpoints_are_as_far_apart_as_asked(tmp_path: Path) -> None:
    journal = Journal()
    worker(Broker(log(A, 100)), tmp_path, journal, checkpoint_every_s=2.5).run(timeout_s=0.5)
    assert journal.events.count("committed") == 10
    assert journal.events.count("saved") == 3  # at 2.5 s, at 5 s, and at the end


def test_a_checkpoint_that_is_due_in_a_pause_is_written_once(tmp_path: Path) -> None:
    journal = Journal()
    one = worker(Broker(log(A, 10)), tmp_path, journal, checkpoint_every_s=2.5)
    poll, pauses = one.source.poll, iter([Batch([], {}, frozenset())] * 10)
    one.source.poll = lambda timeout_s: poll(timeout_s) or next(pauses, None)  # type: ignore[method-assign]
    one.run()
    assert journal.events[-6:] == ["commit", "committed", "save", "saved", "save", "saved"]  # in the pause, at the end


# -- restart ----------------------------------------------------------------------------------------------------------


def test_a_restart_replays_from_the_checkpoint_to_the_committed_offset_in_silence(tmp_path: Path) -> None:
    broker = Broker(log(A, 100))
    keep(tmp_path, 20, 20)
    broker.committed[A] = 40
    counts = worker(broker, tmp_path).run()
    assert (counts.n_replayed, counts.n_records) == (20, 60)
    assert [alert.position.offset + 1 for alert in broker.alerts] == [n for n in range(41, 101) if n % 7 == 0]


def test_without_a_checkpoint_the_log_is_replayed_from_its_begin(tmp_path: Path) -> None:
    broker = Broker(log(A, 100))
    broker.committed[A] = 50
    counts = worker(broker, tmp_path).run()
    assert counts.n_replayed == 50
    assert [alert.position.offset + 1 for alert in broker.alerts] == [n for n in range(51, 101) if n % 7 == 0]


def test_a_checkpoint_that_does_not_fit_this_program_is_passed_over(tmp_path: Path) -> None:
    keep(tmp_path, 20, 20)
    CheckpointStore(tmp_path).save(A, 30, {"of": "another program"}, {})
    broker = Broker(log(A, 100))
    broker.committed[A] = 50
    counts = worker(broker, tmp_path).run()
    assert counts.n_replayed == 30
    assert [alert.position.offset + 1 for alert in broker.alerts] == [n for n in range(51, 101) if n % 7 == 0]


def test_without_a_store_it_begins_at_the_committed_offset() -> None:
    broker = Broker(log(A, 100))
    broker.committed[A] = 50
    assert worker(broker, None).run() == Counts(n_records=50, n_alerts=7)


def test_a_checkpoint_beyond_the_committed_offset_is_not_used(tmp_path: Path) -> None:
    broker = Broker(log(A, 100))
    keep(tmp_path, 60, 10**6)
    broker.committed[A] = 50
    assert worker(broker, tmp_path).run().n_replayed == 50


@pytest.mark.parametrize(("checkpoint_every_s", "eager"), [(0.0, False), (0.0, True), (1.0, False), (1e9, True)])
def test_no_kill_at_any_event_loses_an_alert_or_raises_another(
    checkpoint_every_s: float, eager: bool, tmp_path: Path, undisturbed: list[tuple[str, str]]
) -> None:
    kill_after, was_killed = 0, True
    while was_killed:
        broker, path, was_killed = Broker(log(A, 60), log(B, 25)), tmp_path / str(kill_after), False
        for lives in (kill_after, 7, float("inf")):  # killed, killed again soon after, and left alone
            try:
                worker(broker, path, Journal(lives), eager=eager, checkpoint_every_s=checkpoint_every_s).run(
                    timeout_s=0.4
                )
            except Killed:
                was_killed = True
            assert all(offset <= max(broker.committed.values()) for offset in offsets_kept(path))
        assert set(broker.told) == set(undisturbed)
        assert broker.committed == {A: 60, B: 25}
        kill_after += 1
    assert kill_after > 25


def test_killed_after_a_commit_no_alert_is_raised_twice(tmp_path: Path, undisturbed: list[tuple[str, str]]) -> None:
    journal = Journal()
    worker(Broker(log(A, 60), log(B, 25)), tmp_path / "undisturbed", journal).run()
    after_commit = [k for k, event in enumerate(journal.events) if event in ("committed", "save", "saved")]
    assert len(after_commit) > 10
    for kill_after in after_commit:
        broker, path = Broker(log(A, 60), log(B, 25)), tmp_path / str(kill_after)
        with pytest.raises(Killed):
            worker(broker, path, Journal(kill_after)).run()
        worker(broker, path).run()
        assert sorted(broker.told) == sorted(undisturbed)


def test_a_commit_that_cannot_be_stored_is_followed_by_no_checkpoint(tmp_path: Path) -> None:
    broker = Broker(log(A, 50))
    worker(broker, tmp_path, stores=False).run()
    assert broker.committed == {A: 0}
    assert offsets_kept(tmp_path) == []
    counts = worker(broker, tmp_path).run()
    assert counts.n_replayed == 0
    assert offsets_kept(tmp_path)[-1] == broker.committed[A] == 50


def test_when_only_a_later_commit_fails_the_checkpoints_are_those_of_the_commits_before(tmp_path: Path) -> None:
    broker = Broker(log(A, 50))
    owner = worker(broker, tmp_path)
    source = owner.source
    assert isinstance(source, FakeSource)

    def lose_the_group_after_twenty() -> bool:
        source.stores = owner.counts.n_records < 20
        return False

    owner.run(stop=lose_the_group_after_twenty)
    assert broker.committed == {A: 20}
    assert offsets_kept(tmp_path) == [10, 20]
    assert numbers(CheckpointStore(tmp_path), A, 50) == [20]


def test_a_failure_of_the_sink_ends_the_work_before_the_commit(tmp_path: Path) -> None:
    broker = Broker(log(A, 50))
    failing = worker(broker, tmp_path)

    def flush() -> None:
        raise ConnectionError("no broker")

    failing.sink.flush = flush  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        failing.run()
    assert broker.committed == {A: 0}
    assert offsets_kept(tmp_path) == []


# -- ownership --------------------------------------------------------------------------------------------------------


def test_a_revoked_partition_is_dropped_and_neither_committed_nor_checkpointed_again(tmp_path: Path) -> None:
    broker = Broker(log(A, 40), log(B, 40))
    tally, journal = Tally(), Journal()
    owner = worker(broker, tmp_path, journal, pipeline=tally)
    source = owner.source
    assert isinstance(source, FakeSource)
    source.batches += [
        Batch([*log(A, 10), *log(B, 10)], {}, frozenset()),
        Batch(log(B, 20)[10:], {}, frozenset([A])),
    ]
    owner.run(stop=lambda: not source.batches)
    assert tally.n == {B: 20}
    assert broker.committed == {A: 10, B: 20}
    assert offsets_kept(tmp_path) == [10, 10, 20]


def test_a_partition_that_comes_back_goes_on_where_the_other_owner_committed(tmp_path: Path) -> None:
    broker = Broker(log(A, 60))
    tally = Tally()
    owner = worker(broker, tmp_path, pipeline=tally)
    source = owner.source
    assert isinstance(source, FakeSource)
    source.batches += [
        Batch(log(A, 10), {}, frozenset()),
        Batch([], {}, frozenset([A])),
        Batch([], {A: 30}, frozenset()),
    ]
    counts = owner.run()
    assert counts.n_replayed == 20  # from the checkpoint at 10 to the 30 that the other owner had done
    assert tally.n[A] == 60
    assert [alert.position.offset + 1 for alert in broker.alerts] == [7, 35, 42, 49, 56]


# -- an idle partition ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_live", [True, False])
def test_the_silence_of_an_idle_partition_is_told_by_the_wall_clock_once_if_it_is_live(is_live: bool) -> None:
    records = [Record(Position(A, k), "m", 1.7e9 + 60.0 * k, {"a": float(k % 7)}) for k in range(200)]
    broker, journal = Broker(records), Journal()
    idle = worker(broker, None, journal, pipeline=Pipeline(), size=200)
    source = idle.source
    assert isinstance(source, FakeSource)
    source.is_live = is_live
    empty = Batch([], {}, frozenset())
    source.batches += [Batch(records, {}, frozenset()), *[empty] * 5]
    idle.run(stop=lambda: not source.batches, timeout_s=300.0)
    told = [(alert.kind, alert.state, alert.machine) for alert in broker.alerts]
    assert told == ([("silent", "firing", "m")] if is_live else [])
    assert journal.events[-4:] == ["flush", "flushed", "commit", "committed"]
    assert broker.silence_told == ({A: broker.alerts[0].raised} if is_live else {})


def test_a_silence_that_was_told_is_not_told_again_after_a_restart(tmp_path: Path) -> None:
    records = [Record(Position(A, k), "m", 1.7e9 + 60.0 * k, {"a": float(k % 7)}) for k in range(200)]
    broker = Broker(list(records))
    for _ in range(2):
        idle = worker(broker, tmp_path, pipeline=Pipeline(), size=200, checkpoint_every_s=1e9)
        assert isinstance(idle.source, FakeSource)
        idle.source.batches += [Batch([], {}, frozenset())] if broker.alerts else [Batch(records, {}, frozenset())]
        idle.source.batches += [Batch([], {}, frozenset())] * 5
        source = idle.source
        idle.run(stop=lambda source=source: not source.batches, timeout_s=300.0)  # type: ignore[misc]
        for path in tmp_path.iterdir():  # as if killed before the checkpoint
            path.unlink()
        broker.committed[A] = 200
    assert [(alert.kind, alert.state) for alert in broker.alerts] == [("silent", "firing")]


# -- a log that has lost its begin ------------------------------------------------------------------------------------


def test_a_log_that_no_longer_reaches_back_to_the_checkpoint_is_told(tmp_path: Path) -> None:
    broker = Broker(log(A, 100))
    keep(tmp_path, 20, 20)
    broker.committed[A], broker.begins[A] = 60, 40
    assert worker(broker, tmp_path).run().n_replayed == 20
    [rebuilt] = broker.rebuilt
    assert rebuilt.position == Position(A, 40)
    assert "the log begins at 40, the state is of 20 and the group at 60" in rebuilt.reason


def test_lost_state_is_told_when_the_replay_is_over_and_with_offsets(tmp_path: Path) -> None:
    broker, journal = Broker(log(A, 100)), Journal()
    broker.committed[A], broker.begins[A] = 60, 40
    working = worker(broker, tmp_path, journal, size=5)
    working.run(stop=lambda: working.counts.n_replayed >= 15)
    assert broker.rebuilt == []
    working.run()
    assert len(broker.rebuilt) == 1


def test_what_did_not_count_is_in_no_checkpoint(tmp_path: Path) -> None:
    broker = Broker(log(A, 100))
    working = worker(broker, tmp_path, size=50)
    working._next[A], working._live_from[A], working._committed[A] = 10, 0, 10
    working.source.stores = False
    working._finish()
    assert A not in working._committed


@pytest.mark.parametrize(("committed", "n_told"), [(40, 0), (60, 1), (30, 1)])
def test_a_new_group_has_nothing_to_rebuild(committed: int, n_told: int, tmp_path: Path) -> None:
    broker = Broker(log(A, 100))
    broker.committed[A], broker.begins[A] = committed, 40
    worker(broker, tmp_path).run()
    assert len(broker.rebuilt) == n_told


# -- learning again ---------------------------------------------------------------------------------------------------


def test_a_rebuild_passes_over_the_checkpoints_and_tells_nothing_where_the_log_is_whole(tmp_path: Path) -> None:
    broker = Broker(log(A, 100))
    keep(tmp_path, 40, 10**6)
    broker.committed[A] = 50
    assert worker(broker, tmp_path, rebuild=True).run().n_replayed == 50
    assert [alert.position.offset + 1 for alert in broker.alerts] == [n for n in range(51, 101) if n % 7 == 0]
    assert broker.rebuilt == []


def test_what_was_learned_again_is_kept_even_if_nothing_more_comes(tmp_path: Path) -> None:
    broker = Broker(log(A, 50))
    keep(tmp_path, 50, 10**6)
    broker.committed[A] = 50
    worker(broker, tmp_path, rebuild=True, checkpoint_every_s=1e9).run()
    assert numbers(CheckpointStore(tmp_path), A, 50) == [50]


def test_a_rebuild_from_less_than_the_whole_log_is_told(tmp_path: Path) -> None:
    broker = Broker(log(A, 100))
    keep(tmp_path, 45, 45)
    broker.committed[A], broker.begins[A] = 50, 40
    assert worker(broker, tmp_path, rebuild=True).run().n_replayed == 10
    [rebuilt] = broker.rebuilt
    reason = "the log begins at 40, no state is used and the group at 50: learning again"
    assert rebuilt == Rebuilt(Position(A, 40), reason)


def test_a_partition_that_was_rebuilt_is_not_rebuilt_when_it_comes_back(tmp_path: Path) -> None:
    broker = Broker(log(A, 60))
    broker.committed[A] = 10
    owner = worker(broker, tmp_path, rebuild=True)
    source = owner.source
    assert isinstance(source, FakeSource)
    source.batches += [
        Batch(log(A, 30), {}, frozenset()),
        Batch([], {}, frozenset([A])),
        Batch([], {A: 30}, frozenset()),
    ]
    assert owner.run().n_replayed == 10


@pytest.mark.parametrize(
    ("warmup_s", "begins", "knows_times", "n_replayed", "told"),
    [
        (9.0, 0, True, 10, "the warm-up begins at 40, no state is used and the group at 50"),
        (9.0, 30, True, 10, "the warm-up begins at 40"),
        (30.0, 45, True, 5, "the log begins at 45"),
        (9.0, 60, True, 0, "the log begins at 60"),
        (100.0, 0, True, 50, ""),
        (9.0, 0, False, 50, ""),
    ],
)
def test_a_warm_up_bounds_how_far_back_is_learned_again(
    warmup_s: float, begins: int, knows_times: bool, n_replayed: int, told: str, tmp_path: Path
) -> None:
    broker = Broker(log(A, 100))
    broker.committed[A], broker.begins[A] = 50, begins
    working = worker(broker, tmp_path, warmup_s=warmup_s)
    working.source.knows_times = knows_times  # type: ignore[attr-defined]
    assert working.run().n_replayed == n_replayed
    assert len(broker.rebuilt) == bool(told)
    assert all(told in rebuilt.reason for rebuilt in broker.rebuilt)


def test_a_warm_up_does_not_matter_to_a_kept_state_or_a_new_group(tmp_path: Path) -> None:
    broker = Broker(log(A, 100))
    assert worker(broker, tmp_path / "new", warmup_s=9.0).run() == Counts(n_records=100, n_alerts=14)
    broker = Broker(log(A, 100))
    keep(tmp_path, 20, 20)
    broker.committed[A] = 60
    assert worker(broker, tmp_path, warmup_s=9.0).run().n_replayed == 40
    assert broker.rebuilt == []


def test_it_says_how_far_the_replay_is(tmp_path: Path) -> None:
    broker = Broker(log(A, 100), log(B, 100))
    broker.committed |= {A: 40, B: 20}
    working, seen = worker(broker, tmp_path, size=10), []
    working.run(stop=lambda: seen.append(working.replay))  # type: ignore[func-returns-value]
    assert seen[:6] == [(0, 0), (0, 60), (20, 60), (40, 60), (50, 60), (60, 60)]


# -- a store that fails -----------------------------------------------------------------------------------------------


def test_alerts_go_on_while_no_checkpoint_can_be_written(
    tmp_path: Path, undisturbed: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    broker, path = Broker(log(A, 60), log(B, 25)), tmp_path / "full"
    path.write_bytes(b"a file in place of the directory")
    worker(broker, path).run()
    assert broker.told == undisturbed
    assert broker.committed == {A: 60, B: 25}
    assert len(caplog.messages) == 1
    assert "Not a directory; alerts go on" in caplog.text


# -- the real pipeline ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plant_told(plant: list[Record]) -> list[tuple[str, str]]:
    broker = Broker(list(plant))
    worker(broker, None, pipeline=Pipeline(), size=100).run()
    assert len(broker.told) >= 6
    return broker.told


@pytest.mark.parametrize("kill_after", [30, 127, 150])
def test_a_kill_of_the_real_pipeline_loses_no_alert(
    kill_after: int, plant: list[Record], plant_told: list[tuple[str, str]], tmp_path: Path
) -> None:
    broker = Broker(list(plant))
    options: dict[str, Any] = {"size": 100, "checkpoint_every_s": 3.0}
    with pytest.raises(Killed):
        worker(broker, tmp_path, Journal(kill_after), pipeline=Pipeline(), **options).run(timeout_s=0.4)
    worker(broker, tmp_path, pipeline=Pipeline(), **options).run(timeout_s=0.4)
    assert set(broker.told) == set(plant_told)
    assert offsets_kept(tmp_path)[-1] == len(plant)


# -- who else is told -------------------------------------------------------------------------------------------------


class Hearer:
    """What it hears, in the journal of the others."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.told: list[Alert] = []

    def tell(self, alerts: Sequence[Alert]) -> None:
        self.journal.note("tell")
        self.told += alerts

    def take_up(self, partition: Partition, still_open: Sequence[Alert]) -> None:
        self.journal.note(f"take up {partition.number}: {[alert.id for alert in still_open]}")

    def give_up(self, partition: Partition) -> None:
        self.journal.note(f"give up {partition.number}")


def test_others_are_told_once_an_alert_is_committed() -> None:
    journal = Journal()
    hearer = Hearer(journal)
    broker = Broker(log(A, 14))
    worker(broker, None, journal, size=7, listener=hearer).run()
    once = ["send", "flush", "flushed", "commit", "committed", "tell"]
    assert journal.events == ["take up 0: []", *once, *once]
    assert hearer.told == broker.alerts


def test_others_are_told_of_what_was_committed_later_but_not_of_what_comes_again() -> None:
    broker, journal = Broker(log(A, 70)), Journal()
    hearer = Hearer(journal)
    one = worker(broker, None, journal, size=7, stores=False, listener=hearer)
    one._take(one.source.poll() or Batch([], {}, frozenset()))
    for _ in range(2):
        one._take(one.source.poll() or Batch([], {}, frozenset()))
    assert hearer.told == []
    one.source.stores = True  # type: ignore[attr-defined]
    one._take(one.source.poll() or Batch([], {}, frozenset()))
    assert len(hearer.told) == 3
    one.source.stores = False  # type: ignore[attr-defined]
    one._take(one.source.poll() or Batch([], {}, frozenset()))
    one._take(Batch([], {A: 21}, frozenset()))  # the group has given it back: all of it comes again
    one.source.stores = True  # type: ignore[attr-defined]
    one.run()
    ids = [alert.position.offset for alert in hearer.told[3:]]
    assert ids == [27, 34, 41, 48, 55, 62, 69]
    assert journal.events.count("give up 0") == 0


def test_others_hear_which_episodes_are_open_once_the_replay_is_over_and_who_goes_on(tmp_path: Path) -> None:
    broker, journal = Broker(log(A, 100), log(B, 20)), Journal()
    keep(tmp_path, 20, 20)
    broker.committed[A] = 40
    one = worker(broker, tmp_path, journal, listener=Hearer(journal))
    one.run(stop=lambda: one.counts.n_records > 60)
    events = [event for event in journal.events if event.startswith(("take", "give", "tell"))]
    assert events[:3] == ["take up 1: []", "tell", "take up 0: ['40']"]
    one._take(Batch([], {}, frozenset({A})))
    assert journal.events[-1] == "give up 0"
