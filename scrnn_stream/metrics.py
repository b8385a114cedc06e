"""What the service tells a Prometheus of its work."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from connectors.kafka import KafkaSource
from connectors.notifications import Notifications
from scrnn_stream.records import Partition
from scrnn_stream.worker import Worker

LOOK_EVERY_S = 5.0  # between two counts of all machines
RECORD_BUCKETS_S = (20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 5e-3, 0.1, 1.0)
POLL_BUCKETS_S = (0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
GRADIENT_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # longer than CLIP_GRADIENT are shortened
OF_PARTITION = ("topic", "partition")


class Metrics(Collector):
    """Numbers of a worker, told by the thread that works and read by any other.

    Parameters
    ----------
    worker, source
        Whose they are.
    clock
        Monotonic seconds, as the worker's.
    notified
        Who is told of alerts beside their topic.

    Attributes
    ----------
    registry
        What a Prometheus client library exposes.
    turned_at
        When the worker last came round its loop.
    is_ready
        Whether it then had partitions, and alerts went out for all of them.
    """

    def __init__(
        self,
        worker: Worker,
        source: KafkaSource,
        clock: Callable[[], float] = time.monotonic,
        notified: Notifications | None = None,
    ) -> None:
        self.worker, self.source, self.clock, self.notified = worker, source, clock, notified
        self.registry = CollectorRegistry()
        self.turned_at = clock()
        self.is_ready = False
        self._record = Histogram(
            "scrnn_stream_record_seconds", "To score and learn a record: mean of each batch.",
            buckets=RECORD_BUCKETS_S, registry=self.registry,
        )  # fmt: skip
        self._turn = Histogram(
            "scrnn_stream_turn_seconds", "From one poll to the next: the wait for messages and the work on them.",
            buckets=POLL_BUCKETS_S, registry=self.registry,
        )  # fmt: skip
        self._gradient = Histogram(
            "scrnn_stream_gradient_norm", "Before it is shortened: of the last record of each batch.",
            buckets=GRADIENT_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self._seen = (0, 0.0)
        self._looked_at = -LOOK_EVERY_S
        self._families: list[Metric] = []
        self.registry.register(self)

    def tell(self) -> None:
        """The worker has come round its loop: its numbers are whole now."""
        now, counts = self.clock(), self.worker.counts
        self._turn.observe(now - self.turned_at)
        self.turned_at = now
        self.is_ready = bool(self.worker.next_offsets) and not self.worker.is_replaying
        n_done, busy_s = counts.n_records + counts.n_replayed, counts.busy_s
        if n_done > self._seen[0]:
            self._record.observe((busy_s - self._seen[1]) / (n_done - self._seen[0]))
            if 0 < (norm := self.worker.pipeline.gradient_norm) < math.inf:  # 0 where nothing was there to learn
                self._gradient.observe(norm)
        self._seen = (n_done, busy_s)
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._families = [*self._of_work(), *self._of_partitions(), *self._of_machines(), *self._of_notifications()]

    def collect(self) -> Iterator[Metric]:
        """What was told last; how long ago is one of the numbers."""
        yield from self._families
        yield _gauge("seconds_since_turn", "Since the worker last came round its loop.", self.clock() - self.turned_at)

    def _of_work(self) -> Iterator[Metric]:
        counts = self.worker.counts
        yield _counter("records", "Messages scored and learned, refused ones among them.", counts.n_records)
        yield _counter("replayed_records", "Messages learned again without a word.", counts.n_replayed)
        yield _counter("busy_seconds", "That scoring and learning took.", counts.busy_s)
        yield _counter("dead_letters", "Messages refused.", counts.n_rejected)
        alerts = CounterMetricFamily("scrnn_stream_alerts", "Messages of alerts sent.", labels=("kind", "state"))
        for (kind, state), n in sorted(counts.told.items()):
            alerts.add_metric((kind, state), n)
        yield alerts
        yield _counter("checkpoint_failures", "Rounds of checkpoints that failed.", self.worker.keeper.n_failed)

    def _of_partitions(self) -> Iterator[Metric]:
        now, store, kept = self.clock(), self.worker.store, self.worker.keeper.kept
        owned = self.worker.next_offsets
        yield _by_partition("lag", "Messages that wait in a partition.", self.source.behind())
        if store is not None:
            ages = {partition: now - kept[partition] for partition in owned if partition in kept}
            yield _by_partition("checkpoint_age_seconds", "Since the last checkpoint of this process.", ages)
            sizes = {partition: store.n_bytes(partition) for partition in owned}
            yield _by_partition("checkpoint_bytes", "That checkpoints of a partition take.", sizes)

    def _of_machines(self) -> Iterator[Metric]:
        pipeline = self.worker.pipeline
        machines = GaugeMetricFamily("scrnn_stream_machines", "Machines by what they are.", labels=("state",))
        states = [outline.state for outline in pipeline.outlines]
        for state in ("learning", "ready"):
            machines.add_metric((state,), states.count(state))
        yield machines
        yield _gauge("machines_in_memory", "Machines that are not evicted.", pipeline.n_in_memory)
        budget = pipeline.budget
        yield _gauge("budget_alerts_asked", "Alerts that the budgets of all machines allow so far.", budget.allowance)
        yield _gauge("budget_alerts_raised", "Alerts that were raised and spent from them.", budget.n_raised)
        learned, clipped, diverged = (0, 0, 0)
        for monitor in pipeline.monitors:
            n_learned, n_clipped, n_diverged = monitor.detector.updates
            learned, clipped, diverged = learned + n_learned, clipped + n_clipped, diverged + n_diverged
        yield _gauge("network_updates", "Updates of the networks in memory.", learned)
        yield _gauge("network_updates_clipped", "Those whose gradient was shortened.", clipped)
        yield _gauge("network_updates_diverged", "Those that overflowed and changed nothing.", diverged)

    def _of_notifications(self) -> Iterator[Metric]:
        """By channel; what is not asked for has no numbers."""
        family = CounterMetricFamily(
            "scrnn_stream_notifications", "Alerts told and dropped, and attempts failed.", labels=("channel", "outcome")
        )
        for channel, counts in (self.notified.counts if self.notified is not None else {}).items():
            for outcome in ("sent", "failed", "dropped"):
                family.add_metric((channel, outcome), getattr(counts, f"n_{outcome}"))
        yield family


def _counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(f"scrnn_stream_{name}", what, value=value)


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"scrnn_stream_{name}", what, value=value)


def _by_partition(name: str, what: str, values: Mapping[Partition, float]) -> Metric:
    family = GaugeMetricFamily(f"scrnn_stream_{name}", what, labels=OF_PARTITION)
    for partition, value in sorted(values.items()):
        family.add_metric((partition.topic, str(partition.number)), value)
    return family
