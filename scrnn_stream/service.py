"""`scrnn-stream run`: the worker between two Kafka topics, until SIGTERM."""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from connectors.formats import Decode, decoder
from connectors.kafka import KafkaSink, KafkaSource
from connectors.layout import Layout
from connectors.registry import Registry
from scrnn_stream.checkpoint import CheckpointStore
from scrnn_stream.configuration import configuration
from scrnn_stream.endpoint import Endpoint
from scrnn_stream.metrics import Metrics
from scrnn_stream.notify import notifications
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.progress import ReplayProgress
from scrnn_stream.rehearsal import prepare
from scrnn_stream.show import budget_line, learning_line
from scrnn_stream.store import StoreProblem
from scrnn_stream.usage import EXACTLY_ONCE, UsageError, seconds
from scrnn_stream.worker import Counts, Worker

logger = logging.getLogger(__name__)

EXIT_UNFINISHED = 3
STATUS_EVERY_S = 600.0  # between two lines of the log that say how it goes


def serve(options: argparse.Namespace) -> int:
    """Run the service that flags and configuration file describe."""
    asked = configuration(options)
    config, settings, client = asked.options, asked.settings, asked.client
    pipeline = Pipeline(settings)
    warmup_s = seconds(config["warmup"], "--warmup") if config["warmup"] is not None else math.inf
    store = _store(config)
    source, sink = _ends(config, client, _decoder(asked.layout, config["registry"]))
    told = notifications(asked.notify)
    worker = Worker(
        source,
        sink,
        pipeline,
        store,
        config["checkpoint_every"],
        rebuild=options.rebuild,
        warmup_s=warmup_s,
        max_machines=config["max_machines"],
        listener=told,
    )
    with contextlib.ExitStack() as stack:
        if told is not None:
            stack.enter_context(told)
        tellers = [Status(pipeline).tell]
        if config["http"] is not None:  # to count all machines takes time: nobody does it for nobody
            metrics = Metrics(worker, source, notified=told)
            stack.enter_context(Endpoint(config["http"], metrics))
            tellers.append(metrics.tell)
        prepare(logger.info)
        counts = _work(worker, tellers, config)
    done = f"{counts.n_records} records, {counts.n_alerts} alerts, {counts.n_rejected} refused"
    print(f"stopped after {done}; {budget_line(pipeline.budget)}", flush=True)
    return 0


def _work(worker: Worker, tellers: list[Callable[[], None]], config: dict[str, Any]) -> Counts:
    """Until SIGTERM; between two polls the tellers have their turn."""
    stop = _Stop(config["stop_within"])
    with worker.sink, worker.source, ReplayProgress() as progress:
        print(f"watching {config['topic']} on {config['brokers']}; SIGTERM stops", flush=True)

        def stopped() -> bool:
            for tell in tellers:
                tell()
            progress.tell(*worker.replay)
            return stop.asked

        return worker.run(stopped)


def _decoder(layout: Layout, url: str | None) -> Decode:
    """Refused now if the registry cannot be used; if it fails later, messages wait for it."""
    if layout.form != "registry":
        if url is not None:
            raise UsageError("--registry is for messages whose schemas are there; give --format registry, too")
        return decoder(layout)
    if url is None:
        raise UsageError("--format registry needs to know where the schemas are; give --registry URL")
    registry = Registry(url)
    decode = decoder(layout, registry)
    registry.open()
    return decode


def _store(config: dict[str, Any]) -> CheckpointStore:
    """Refused now if it cannot be used; what fails later does not end the service."""
    try:
        place = config["checkpoints"] or Path(".scrnn-stream") / quote(config["group"], safe="")
        store = CheckpointStore(place, config["group"])
        store.open()
    except StoreProblem as problem:
        raise UsageError(f"--checkpoints {problem}; mend that, or name another place") from problem
    return store


def _ends(config: dict[str, Any], client: dict[str, Any], decode: Decode) -> tuple[KafkaSource, KafkaSink]:
    member = {"group_instance_id": config["instance"]} if config["instance"] else {}
    exactly = config["delivery"] == EXACTLY_ONCE
    name = f"{config['group']}/{config['instance'] or uuid.uuid4().hex}" if exactly else None
    sink = KafkaSink(
        config["brokers"], config["alerts_topic"], config["dead_letter_topic"], transactional_id=name, **client
    )
    through = sink if exactly else None
    client = {**client, **member}
    source = KafkaSource(config["brokers"], config["topic"], config["group"], through=through, decode=decode, **client)
    return source, sink


class _Stop:
    """Becomes true at SIGTERM or SIGINT; the batch in hand is finished first, if that takes no longer than it may."""

    def __init__(self, within_s: float) -> None:
        self.asked = False
        self.within_s = within_s
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: object) -> None:  # noqa: ARG002 - the signature of a signal handler
        if not self.asked:
            limit = threading.Timer(self.within_s, self._give_up)
            limit.daemon = True
            limit.start()
        self.asked = True

    def _give_up(self) -> None:
        """Whoever starts again goes on from what counts: as after a kill, nothing is lost."""
        logger.error(
            "not finished within %g s after SIGTERM: it ends here, and goes on from what counts", self.within_s
        )
        os._exit(EXIT_UNFINISHED)


class Status:
    """Logs now and then how many machines are watched, what became of the budget, and who is still learning.

    Parameters
    ----------
    pipeline
        What watches them.
    clock
        Monotonic seconds.
    """

    def __init__(self, pipeline: Pipeline, clock: Callable[[], float] = time.monotonic) -> None:
        self.pipeline = pipeline
        self.clock = clock
        self._told_at = clock()

    def tell(self) -> None:
        """Log, unless that was done a moment ago."""
        if self.clock() - self._told_at < STATUS_EVERY_S:
            return
        self._told_at = self.clock()
        pipeline = self.pipeline
        evicted = f", {n} of them evicted" if (n := pipeline.n_machines - pipeline.n_in_memory) else ""
        logger.info("%d machines%s; %s", pipeline.n_machines, evicted, budget_line(pipeline.budget))
        if learning := learning_line(pipeline.outlines):
            logger.info("%s", learning)
