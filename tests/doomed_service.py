"""`scrnn-stream run` that dies by SIGKILL before or after a step of its n-th transaction that tells something.

    python -m tests.doomed_service CONSUMER WHEN STEP N TOPIC OPTION ...

CONSUMER is JSON, defaults of the Kafka consumer; the options are those of scrnn-stream. With a TOPIC, not "", only what
is told there counts. SIGUSR1 makes the next transaction that tells something the last one, whatever N is.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from kafka import KafkaConsumer, KafkaProducer

from connectors import kafka_source
from scrnn_stream.cli import main

STEPS = ("send_offsets_to_transaction", "commit_transaction")
NEVER = 1 << 62


def program(consumer: dict[str, Any], when: str, step: str, n: int, topic: str = "") -> list[str]:
    """How it is called; the options of scrnn-stream follow."""
    python = [sys.executable, "-W", "ignore", "-m", "tests.doomed_service"]
    return [*python, json.dumps(consumer), when, step, str(n), topic]


class Doom:
    """Counts the transactions that tell something, and strikes in one of them."""

    def __init__(self, when: str, step: str, n_left: int, topic: str) -> None:
        self.when, self.step, self.n_left, self.topic = when, step, n_left, topic
        self.tells = False

    def watch(self, name: str) -> None:
        """Let the producer's method of that name pass through here."""
        original = getattr(KafkaProducer, name)

        def method(producer: Any, *args: Any, **options: Any) -> Any:
            self.n_left -= self.tells and name == "send_offsets_to_transaction"
            is_last = name == self.step and self.tells and self.n_left < 0
            self._strike(is_last and self.when == "before")
            result = original(producer, *args, **options)
            self._strike(is_last)
            is_told = name == "send" and self.topic in ("", args[0])
            self.tells = is_told or (self.tells and name != "commit_transaction")
            return result

        setattr(KafkaProducer, name, method)

    @staticmethod
    def _strike(is_time: bool) -> None:
        if is_time:
            os.kill(os.getpid(), signal.SIGKILL)

    def hasten(self, number: int, frame: object) -> None:  # noqa: ARG002 - the signature of a signal handler
        self.n_left = 0


if __name__ == "__main__":
    consumer, when, step, n, topic, *arguments = sys.argv[1:]
    defaults = json.loads(consumer)
    KafkaConsumer.DEFAULT_CONFIG |= defaults
    kafka_source.MOST_POLLED = defaults.get("max_poll_records", kafka_source.MOST_POLLED)
    doom = Doom(when, step, int(n), topic)
    for name in ("send", *STEPS):
        doom.watch(name)
    signal.signal(signal.SIGUSR1, doom.hasten)
    sys.exit(main(arguments))
