"""Run recorded files through the pipeline, as `scrnn-stream replay` does, and keep what came of each row."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from connectors.files import FileSource
from scrnn_stream.alert import Alert
from scrnn_stream.monitor import Settings, Verdict
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.records import Record, Rejected
from scrnn_stream.worker import Worker


class Replay(NamedTuple):
    """Alerts in order; for each row its event time, its score, and whether an alert was open."""

    alerts: list[Alert]
    times: list[float | None]
    scores: list[float]
    is_open: list[bool]


class _Collector:
    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def __enter__(self) -> _Collector:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def send(self, alert: Alert) -> None:
        self.alerts.append(alert)

    def reject(self, rejected: Rejected) -> None:
        pass

    def flush(self) -> None:
        pass


def replay_file(path: Path, alerts_per_day: float, ignore: Iterable[str] = (), seed: int = 0) -> Replay:
    """One file through a pipeline of its own."""
    replay = Replay([], [], [], [])

    def observe(message: Record | Rejected, verdict: Verdict) -> None:
        replay.times.append(message.time if isinstance(message, Record) else None)
        replay.scores.append(verdict.score)
        replay.is_open.append(verdict.is_open)

    sink = _Collector()
    with FileSource([path], ignore=ignore) as source:
        Worker(source, sink, Pipeline(Settings(alerts_per_day=alerts_per_day, seed=seed)), observe=observe).run()
    replay.alerts.extend(sink.alerts)
    return replay


def raised(alerts: Iterable[Alert], kind: str) -> list[Alert]:
    """The first message of each episode of a kind."""
    return [alert for alert in alerts if alert.state == "firing" and alert.kind == kind]
