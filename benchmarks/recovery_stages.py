"""`scrnn-stream run` that tells, on its standard output as a line of JSON, how far its start has come.

    python -m benchmarks.recovery_stages OPTION ...

Each line has the stage that is over and the monotonic second; those of work on one partition also have what it took.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its schemas by importlib's old function
    from connectors.kafka import KafkaSource
    from scrnn_stream import service  # noqa: F401 - imported by the command only later
    from scrnn_stream.checkpoint import CheckpointStore
    from scrnn_stream.cli import main
    from scrnn_stream.pipeline import Pipeline

IMPORTED, CONNECTED, LOADED, RESTORED, FIRST = "imported", "connected", "loaded", "restored", "first"


def tell(stage: str, took_s: float = 0.0) -> None:
    """One line, at once."""
    print(json.dumps({"stage": stage, "at": time.monotonic(), "took_s": took_s}), flush=True)


def watch(cls: type[Any], name: str, stage: str) -> None:
    """Tell of every call of that method."""
    original: Callable[..., Any] = getattr(cls, name)

    def method(*args: Any, **options: Any) -> Any:
        begin = time.monotonic()
        result = original(*args, **options)
        tell(stage, time.monotonic() - begin)
        return result

    setattr(cls, name, method)


def watch_first_record() -> None:
    """It loads the kernels, from their cache on disk; so it is taken alone."""
    original = Pipeline.process

    def process(pipeline: Pipeline, messages: Iterable[Any], *args: Any) -> Any:
        messages = list(messages)
        if not messages:
            return original(pipeline, messages, *args)
        Pipeline.process = original  # type: ignore[method-assign]
        begin = time.monotonic()
        outcome = original(pipeline, messages[:1], *args)
        tell(FIRST, time.monotonic() - begin)
        rest = original(pipeline, messages[1:], *args)
        return type(outcome)(outcome.alerts + rest.alerts, outcome.rejected + rest.rejected)

    Pipeline.process = process  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    tell(IMPORTED)
    watch(KafkaSource, "__enter__", CONNECTED)
    watch(CheckpointStore, "take_up", LOADED)
    watch(Pipeline, "recover", RESTORED)
    watch_first_record()
    sys.exit(main(sys.argv[1:]))
