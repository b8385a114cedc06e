"""`scrnn-stream run`: the worker between two Kafka topics, until SIGTERM."""

from __future__ import annotations

import argparse
import difflib
import logging
import signal
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from connectors.kafka import KafkaSink, KafkaSource
from scrnn_stream.checkpoint import CheckpointStore
from scrnn_stream.monitor import Settings
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.usage import UsageError, settings_of, writable
from scrnn_stream.worker import CHECKPOINT_EVERY_S, Worker

logger = logging.getLogger(__name__)

DEFAULTS: dict[str, Any] = {
    "brokers": "127.0.0.1:9092",
    "topic": "sensors",
    "alerts_topic": "alerts",
    "dead_letter_topic": None,
    "group": "scrnn-stream",
    "instance": None,
    "checkpoints": None,
    "checkpoint_every": CHECKPOINT_EVERY_S,
}
KAFKA_TABLE = "kafka"  # a TOML table of options for both clients: security_protocol, sasl_mechanism and so on


def serve(options: argparse.Namespace) -> int:
    """Run the service that flags and configuration file describe."""
    config, client = _configuration(options)
    pipeline = Pipeline(settings_of(config))
    member = {"group_instance_id": config["instance"]} if config["instance"] else {}
    source = KafkaSource(config["brokers"], config["topic"], config["group"], **client, **member)
    sink = KafkaSink(config["brokers"], config["alerts_topic"], config["dead_letter_topic"], **client)
    store = CheckpointStore(config["checkpoints"] or Path(".scrnn-stream") / quote(config["group"], safe=""))
    writable(store.directory, "--checkpoints")
    stop = _Stop()
    with source, sink:
        print(f"watching {config['topic']} on {config['brokers']}; SIGTERM stops", flush=True)
        worker = Worker(source, sink, pipeline, store, config["checkpoint_every"])
        counts = worker.run(lambda: stop.asked)
    print(
        f"stopped after {counts.n_records} records, {counts.n_alerts} alerts, {counts.n_rejected} refused", flush=True
    )
    return 0


class _Stop:
    """Becomes true at SIGTERM or SIGINT; the batch in hand is finished first."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: object) -> None:  # noqa: ARG002 - the signature of a signal handler
        self.asked = True


def _configuration(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Flags before file before defaults; and the client options of the file."""
    file = _read(options.config) if options.config is not None else {}
    client = file.pop(KAFKA_TABLE, {})
    if not isinstance(client, dict):
        raise UsageError(f"{options.config}: [{KAFKA_TABLE}] must be a table of client options")
    known = {**DEFAULTS, **dict.fromkeys(Settings.names())}
    for name, value in file.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            raise UsageError(f"{options.config}: unknown option {name!r}{hint}")
        _check_type(options.config, name, value)
    flags = {name: value for name, value in vars(options).items() if name in known and value is not None}
    return {**known, **file, **flags}, client


def _check_type(path: Path, name: str, value: Any) -> None:
    if name in ("alerts_per_day", "checkpoint_every"):
        right, what = isinstance(value, (int, float)) and value > 0, "a number above 0"
    elif name in Settings.names():
        right, what = isinstance(value, int), "a whole number"
    else:
        right, what = isinstance(value, str), "text"
    if not right or isinstance(value, bool):
        raise UsageError(f"{path}: {name} must be {what}, got {value!r}")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from error
