"""The loop: source -> pipeline -> sink -> commit -> checkpoint.

The order makes recovery simple. Alerts are sent and flushed, then the offsets are committed, then the checkpoint is
written; so a checkpoint never passes the committed offset. On assignment the newest checkpoint at or before the
committed offset is loaded, the records from there to the committed offset are replayed silently, and from there on
alerts go out: whatever was killed, each exactly once where source and sink commit together, and else at least once.
Without a checkpoint that can be read everything is replayed, or as much as a warm-up reaches back.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from scrnn_stream.alert import Alert
from scrnn_stream.checkpoint import CheckpointStore
from scrnn_stream.keeper import Keeper
from scrnn_stream.pipeline import Observer, Outcome, Pipeline
from scrnn_stream.protocols import Listener, Sink, Source
from scrnn_stream.records import Batch, Partition, Position, Rebuilt, Record, Rejected

logger = logging.getLogger(__name__)

CHECKPOINT_EVERY_S = 30.0


@dataclass
class Counts:
    """What a worker has done, and how many seconds the pipeline took for it."""

    n_records: int = 0
    n_replayed: int = 0
    n_rejected: int = 0
    n_alerts: int = 0
    told: Counter[tuple[str, str]] = field(default_factory=Counter, compare=False)  # alerts by kind and state
    busy_s: float = field(default=0.0, compare=False)

    def tell(self, alerts: list[Alert]) -> None:
        """Count alerts that go out."""
        self.n_alerts += len(alerts)
        self.told.update((alert.kind, alert.state) for alert in alerts)


@dataclass
class Worker:
    """Runs a pipeline between a source and a sink, both already open.

    Parameters
    ----------
    source, sink
        Where messages come from and alerts and dead letters go to.
    pipeline
        What happens in between.
    store
        Where checkpoints are kept; None keeps none.
    checkpoint_every_s
        Seconds between checkpoints; one is also written when the worker stops.
    rebuild
        Pass over the checkpoints that are there, and learn each partition again from its log.
    max_machines
        So many stay in memory after a checkpoint, those heard last; None: all.
    warmup_s
        How far before its newest finished message a partition without state is learned again, by the times of the
        source; infinite: from the oldest message.
    observe
        Told of every message and its verdict.
    listener
        Told of each alert once it is committed.
    clock
        Monotonic seconds.
    """

    source: Source
    sink: Sink
    pipeline: Pipeline
    store: CheckpointStore | None = None
    checkpoint_every_s: float = CHECKPOINT_EVERY_S
    rebuild: bool = False
    warmup_s: float = math.inf
    max_machines: int | None = None
    observe: Observer | None = None
    listener: Listener | None = None
    clock: Callable[[], float] = time.monotonic
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self._began: dict[Partition, int] = {}  # the first offset that was asked for
        self._live_from: dict[Partition, int] = {}  # offsets before it are replayed silently
        self._next: dict[Partition, int] = {}  # offset after the last message processed
        self._committed: dict[Partition, int] = {}
        self._heard_at: dict[Partition, float] = {}
        self._silence_told: dict[Partition, float] = {}  # stream time, of partitions that have been idle since
        self._to_recall: dict[Partition, float] = {}  # the same, told by a process before this one
        self._to_announce: dict[Partition, Rebuilt] = {}
        self._announced: set[Partition] = set()  # since the last commit
        self._to_take_up: set[Partition] = set()  # by the listener, once their replay is over
        self._uncommitted: list[Alert] = []
        self._is_kept = True  # all that was finished is in checkpoints
        self.keeper = Keeper(self.store, self.checkpoint_every_s, self.clock)
        self.pipeline.fetch = self.keeper.fetch

    def run(self, stop: Callable[[], bool] = lambda: False, timeout_s: float = 1.0) -> Counts:
        """Work until the source ends or `stop()` is true; then finish what has begun."""
        while not stop():
            batch = self.source.poll(timeout_s)
            if batch is None:
                self._end()
                break
            self._take(batch)
        self._checkpoint()
        return self.counts

    @property
    def next_offsets(self) -> dict[Partition, int]:
        """Of each partition that it owns: that of the message to come."""
        return dict(self._next)

    @property
    def is_replaying(self) -> bool:
        """Whether some partition is not yet where alerts go out."""
        return any(self._next[partition] < offset for partition, offset in self._live_from.items())

    @property
    def replay(self) -> tuple[int, int]:
        """How many offsets have been replayed, of how many, on the way to where alerts go out."""
        spans = [(began, self._live_from[partition], partition) for partition, began in self._began.items()]
        n_done = sum(min(self._next[partition], end) - begin for begin, end, partition in spans)
        return n_done, sum(end - begin for begin, end, _ in spans)

    def _take(self, batch: Batch) -> None:
        for partition in batch.revoked:
            self._give_up(partition)
        for partition, committed in batch.assigned.items():
            self._start(partition, committed)
            if partition in batch.silence_told:
                self._to_recall[partition] = batch.silence_told[partition]
        self._heard_at.update(dict.fromkeys(batch.held & self._next.keys(), self.clock()))
        replayed, live = self._split(batch.messages)
        self._learn(replayed)
        self.counts.n_replayed += len(replayed)
        self._note(replayed)
        if self._to_recall or self._to_announce or self._to_take_up:
            going_on = {message.position.partition for message in live}
            self._recall_silence(going_on)
            self._announce(going_on)
            self._take_up(going_on)
        self._process(live)
        self._note(live)
        if self._check_idle() or self._announced or live:
            self._finish()
            self._is_kept = False
        if self.keeper.is_due and not self._is_kept:  # in a pause too: who is killed in it need not replay
            self._checkpoint()
        if replayed and not self.is_replaying:  # what was learned again is kept, even if nothing more comes
            self._checkpoint()

    def _end(self) -> None:
        """Of a source that ended for good, readings that wait for others are judged as they are; files begin anew."""
        if self.source.is_live:
            return
        outcome = self.pipeline.finish(self.observe)
        if outcome.alerts:
            self._tell(outcome)
            self._finish()

    def _split(self, messages: list[Record | Rejected]) -> tuple[list[Record | Rejected], list[Record | Rejected]]:
        """Those before the offset from which a partition is live, and the others."""
        if not self.is_replaying:  # nearly always
            return [], messages
        live_from = self._live_from
        replayed = [m for m in messages if m.position.offset < live_from[m.position.partition]]
        return replayed, [m for m in messages if m.position.offset >= live_from[m.position.partition]]

    def _note(self, messages: list[Record | Rejected]) -> None:
        for partition, offset in dict(message.position for message in messages).items():  # the last of each
            self._next[partition] = offset + 1
            self._heard_at[partition] = self.clock()
            self._silence_told.pop(partition, None)

    def _recall_silence(self, going_on: set[Partition]) -> None:
        """At the committed offset the state is again that of the process before, which may have told of silence."""
        for partition in self._through(self._to_recall, going_on):
            self._silence_told[partition] = self._to_recall.pop(partition)
            self.pipeline.recall_silence(partition, self._silence_told[partition])

    def _announce(self, going_on: set[Partition]) -> None:
        """Tell of lost state when the replay is over: a transaction must not stay open through it."""
        for partition in self._through(self._to_announce, going_on):
            self.sink.announce(self._to_announce.pop(partition))
            self._announced.add(partition)

    def _take_up(self, going_on: set[Partition]) -> None:
        """What the process before told of is known again."""
        for partition in self._through(self._to_take_up, going_on):
            self._to_take_up.remove(partition)
            if self.listener is not None:
                self.listener.take_up(partition, self.pipeline.still_open(partition))

    def _through(self, waiting: Iterable[Partition], going_on: set[Partition]) -> list[Partition]:
        """Those whose replay is over."""
        return [p for p in waiting if self._next[p] >= self._live_from[p] or p in going_on]

    def _process(self, messages: list[Record | Rejected]) -> None:
        self._tell(self._learn(messages, self.observe))
        self.counts.n_records += len(messages)

    def _tell(self, outcome: Outcome) -> None:
        self._send(outcome.alerts)
        for rejected in outcome.rejected:
            self.sink.reject(rejected)
        self.counts.n_rejected += len(outcome.rejected)

    def _send(self, alerts: list[Alert]) -> None:
        for alert in alerts:
            self.sink.send(alert)
        self.counts.tell(alerts)
        if self.listener is not None:
            self._uncommitted += alerts

    def _learn(self, messages: list[Record | Rejected], observe: Observer | None = None) -> Outcome:
        begin = time.perf_counter()
        outcome = self.pipeline.process(messages, observe)
        self.counts.busy_s += time.perf_counter() - begin
        return outcome

    def _finish(self) -> None:
        self.sink.flush()
        offsets = {p: offset for p, offset in self._next.items() if offset > self._live_from[p]}
        offsets |= {p: self._next[p] for p in self._silence_told}
        offsets |= {p: self._next[p] for p in self._announced}
        if self.source.commit(offsets, self._silence_told):
            self._committed.update(offsets)
            self._announced.clear()
            if self.listener is not None and self._uncommitted:
                self.listener.tell(self._uncommitted)
                self._uncommitted = []
        else:  # the state is ahead of what counts
            for partition in offsets:
                self._committed.pop(partition, None)

    def _check_idle(self) -> bool:
        """A partition without data has no stream time: its machines' silence is judged by the wall clock.

        True if something came of it.
        """
        has_done = False
        now = self.clock()
        for partition, offset in self._next.items() if self.source.is_live else ():
            idle_s = now - self._heard_at.setdefault(partition, now)
            if idle_s > 1.0 and offset >= self._live_from[partition]:
                alerts, until = self.pipeline.check_idle(partition, idle_s)
                self._send(alerts)
                if until is not None:
                    self._silence_told[partition] = until
                    has_done = True
        return has_done

    def _start(self, partition: Partition, committed: int) -> None:
        self.pipeline.drop(partition)
        self._forget_uncommitted(partition)
        self._to_take_up.add(partition)
        begin, lost = self._position(partition, committed, self._restore(partition, committed))
        if lost:
            logger.warning("%s/%d: %s", partition.topic, partition.number, lost)
            self._to_announce[partition] = Rebuilt(Position(partition, begin), lost)
        if committed > begin:
            self._committed[partition] = committed
            logger.info("replaying %s/%d from %d to %d", partition.topic, partition.number, begin, committed)
        self._live_from[partition] = max(begin, committed)
        self._began[partition] = self._next[partition] = begin

    def _restore(self, partition: Partition, committed: int) -> int | None:
        """The offset of the state that was kept, None if there is none to go on with."""
        if self.store is None:
            return None
        if self.rebuild and partition not in self.keeper.kept:
            self.store.look_up(partition)
            return None
        return self.store.take_up(
            partition, committed, lambda kept: self.pipeline.recover(partition, kept, self.max_machines)
        )

    def _position(self, partition: Partition, committed: int, kept: int | None) -> tuple[int, str]:
        """Where to go on, and a word of what is missing if the state is lost for good: empty if it is not."""
        learns_again = kept is None and (self.store is not None or self.rebuild)
        wanted = kept if kept is not None else 0 if learns_again else committed
        begin = self.source.seek(partition, wanted)
        if kept is None and begin == committed:  # nobody has been here before
            return begin, ""
        where = f"the log begins at {begin}" if begin > wanted else ""
        if learns_again and begin < committed and (warm := self._warmup_begin(partition, committed)) > begin:
            begin = self.source.seek(partition, warm)
            where = f"the warm-up begins at {begin}"
        state = "no state is used" if learns_again else f"the state is of {wanted}"
        return begin, where and f"{where}, {state} and the group at {committed}: learning again"

    def _warmup_begin(self, partition: Partition, committed: int) -> int:
        if self.warmup_s == math.inf:
            return 0
        offset = self.source.reaching_back(partition, committed, self.warmup_s)
        if offset is None:
            logger.warning("the source knows no times: everything before %d is replayed", committed)
        return offset or 0

    def _give_up(self, partition: Partition) -> None:
        self.pipeline.drop(partition)
        notes = (self._began, self._live_from, self._next, self._committed, self._heard_at)
        for owned in (*notes, self._silence_told, self._to_recall, self._to_announce):
            owned.pop(partition, None)
        self._announced.discard(partition)
        self._to_take_up.discard(partition)
        self._forget_uncommitted(partition)
        if self.listener is not None:
            self.listener.give_up(partition)

    def _forget_uncommitted(self, partition: Partition) -> None:
        """Whoever goes on with the partition raises and tells these alerts again."""
        self._uncommitted = [alert for alert in self._uncommitted if alert.position.partition != partition]

    def _checkpoint(self) -> None:
        self._is_kept = self.keeper.keep(
            (partition, offset, self.pipeline.to_keep(partition))
            for partition, offset in self._committed.items()
            if offset == self._next[partition]  # never a checkpoint beyond the committed offset
        )
        if self._is_kept and self.max_machines is not None:  # while the store fails, all that is in memory stays there
            self.pipeline.evict(self.max_machines)
