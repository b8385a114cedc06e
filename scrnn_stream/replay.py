"""`scrnn-stream replay`: the pipeline over recorded files."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from connectors.files import FileSource, JsonLinesSink, ScoresWriter
from scrnn_stream.alert import Alert
from scrnn_stream.configuration import configuration
from scrnn_stream.monitor import Verdict
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.records import Rebuilt, Record, Rejected
from scrnn_stream.rehearsal import prepare
from scrnn_stream.report import write_report
from scrnn_stream.show import alert_line, budget_line, learning_line
from scrnn_stream.usage import writable
from scrnn_stream.worker import Worker


class _Screen:
    """A sink that prints each alert and passes it on."""

    def __init__(self, console: Console, file: JsonLinesSink | None, keep: bool) -> None:
        self.console, self.file, self.keep = console, file, keep
        self.alerts: list[Alert] = []
        self.n_by_kind: dict[str, int] = {}
        self.n_rejected = 0

    def __enter__(self) -> _Screen:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def send(self, alert: Alert) -> None:
        if self.keep:
            self.alerts.append(alert)
        if alert.state == "firing" and alert.n_told == 1:
            self.n_by_kind[alert.kind] = self.n_by_kind.get(alert.kind, 0) + 1
        self.console.print(alert_line(alert), highlight=False, soft_wrap=True)
        if self.file is not None:
            self.file.send(alert)

    def announce(self, rebuilt: Rebuilt) -> None:
        """Files lose no state."""

    def reject(self, rejected: Rejected) -> None:
        self.n_rejected += 1
        if self.n_rejected <= 5:
            self.console.print(
                f"[dim]refused {rejected.position}: {rejected.reason}[/dim]", highlight=False, soft_wrap=True
            )

    def flush(self) -> None:
        if self.file is not None:
            self.file.flush()


def replay(options: argparse.Namespace) -> int:
    """Replay the files in `options.files`; alerts on the screen, scores, alerts and cards where asked for."""
    console = Console(stderr=True)
    if options.report is not None:
        writable(options.report, "--report")
    config = configuration(options)
    pipeline = Pipeline(config.settings)
    with ExitStack() as stack:
        source = FileSource(
            options.files,
            key_column=options.key,
            time_column=options.time,
            ignore=options.ignore,
            layout=config.layout,
        )
        stack.enter_context(source)
        file = stack.enter_context(JsonLinesSink(options.alerts)) if options.alerts else None
        scores = stack.enter_context(ScoresWriter(options.scores)) if options.scores else None
        prepare(console.print)
        progress = stack.enter_context(_progress(console, source))
        screen = _Screen(progress.console, file, keep=options.report is not None)

        def observe(message: Record | Rejected, verdict: Verdict) -> None:
            if scores is not None:
                record = message if isinstance(message, Record) else None
                scores.write(
                    record.time if record else None, record.machine if record else "", verdict.score, verdict.is_open
                )

        worker = Worker(source, screen, pipeline, observe=observe)
        counts = worker.run(lambda: _advance(progress, source, pipeline))
    _summarise(console, pipeline, screen, counts.n_records)
    if options.report is not None:
        note = budget_line(pipeline.budget).capitalize()
        index = write_report(screen.alerts, options.report, title="Alerts of the replay", note=f"{note}.")
        console.print(f"cards: {index}", highlight=False, soft_wrap=True)
    return 0


def _progress(console: Console, source: FileSource) -> Progress:
    columns: tuple[Any, ...] = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    progress = Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal)
    progress.add_task("learning", total=source.total_bytes)
    return progress


def _advance(progress: Progress, source: FileSource, pipeline: Pipeline) -> bool:
    n_ready = sum(monitor.state == "ready" for monitor in pipeline.monitors)
    state = f"{n_ready} of {pipeline.n_machines} machines ready"
    progress.update(progress.task_ids[0], completed=source.bytes_read, description=state)
    return False


def _summarise(console: Console, pipeline: Pipeline, screen: _Screen, n_rows: int) -> None:
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(screen.n_by_kind.items())) or "none"
    console.print(
        f"{n_rows} rows of {pipeline.n_machines} machines; alerts: {kinds}; refused {screen.n_rejected}, "
        f"exact repetitions dropped {pipeline.n_duplicates}",
        highlight=False,
        soft_wrap=True,
    )
    for line in (budget_line(pipeline.budget), learning_line(pipeline.monitors), _unheard(pipeline)):
        if line:
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def _unheard(pipeline: Pipeline) -> str:
    """Sensors that the user set limits for and no machine sent: most likely misspelt."""
    heard = {monitor.machine: set(monitor.detector.sensors) for monitor in pipeline.monitors}
    unheard = pipeline.settings.limits.unheard(heard)
    return f"limits for sensors that never came: {', '.join(unheard)}" if unheard else ""
