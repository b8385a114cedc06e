"""`scrnn-stream demo`: real pipe flow and a simulated pump fleet through a real broker and the real service.

An embedded Kafka broker is started, both streams are played into `sensors`, `scrnn-stream run` watches in a process of
its own, and the alerts are shown as they arrive on `alerts`. The verdict holds them against what is known.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from river.datasets import WaterFlow

from connectors.broker import EmbeddedBroker
from connectors.codecs import decode_alert, encode_record
from connectors.kafka import create_topics
from scrnn_stream.alert import Alert
from scrnn_stream.records import Partition, Position, Record
from scrnn_stream.rehearsal import prepare
from scrnn_stream.report import write_report
from scrnn_stream.settings import Settings
from scrnn_stream.show import alert_line, clock
from scrnn_stream.simulate import Fault, Fleet, simulate_fleet
from scrnn_stream.usage import UsageError, writable
from scrnn_stream.verdict import Catch, Judgement, judge

ALERTS_PER_DAY = 0.05
TOPIC, ALERTS_TOPIC, GROUP = "sensors", "alerts", "demo"
PUMPS, WATER = 0, 1  # partitions: the two streams are played at different speeds and have a time each
WATER_MAIN = "water-main"
PATIENCE_S = 300.0
WATER_FLOW_EVENTS = (  # read off the series: hours below three quarters of the usual, and the hour that led there
    ("low flow", 1648105200.0, 1648166400.0),
    ("low flow", 1648533600.0, 1648576800.0),
    ("low flow", 1651064400.0, 1651114800.0),
)


def demo(options: argparse.Namespace) -> int:
    """Play, watch, show, judge."""
    console = Console()
    writable(options.report, "--report")
    budget = _budget(options)
    prepare(console.print)
    fleet = simulate_fleet(days=options.days, seed=options.seed)
    water = list(_water_flow())
    n_messages = len(fleet.records) + len(water)
    console.print(f"[bold]{len(water)} hours of real pipe flow and {options.days:g} days of 5 simulated pumps[/bold]")
    began = time.monotonic()
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker())
        create_topics(broker.address, {TOPIC: 2, ALERTS_TOPIC: 1, "dead-letters": 1})
        console.print(
            f"Kafka broker on {broker.address}; topics {TOPIC}, {ALERTS_TOPIC}, dead-letters", highlight=False
        )
        service = stack.enter_context(_service(broker.address, budget))
        _play(broker.address, fleet, water)
        alerts = _watch(console, broker.address, service, n_messages)
    console.print(f"{n_messages} records in {time.monotonic() - began:.0f} s\n", highlight=False)
    _tell(console, fleet, alerts, options.days, budget)
    index = write_report(alerts, options.report, title="Alerts of the demo")
    console.print(f"Alert cards: {index}", highlight=False, soft_wrap=True)
    return 0


def _budget(options: argparse.Namespace) -> float:
    if options.alerts_per_day is None and options.alerts_per_week is None:
        return ALERTS_PER_DAY
    return Settings(options.alerts_per_day, options.alerts_per_week).budget_per_day


# -- the streams ------------------------------------------------------------------------------------------------------


def _water_flow() -> Iterator[Record]:
    """River's WaterFlow: hourly flow through a pipeline branch, litres a second, March to May 2022."""
    for offset, (x, flow) in enumerate(WaterFlow()):  # type: ignore[no-untyped-call]
        yield Record(Position(Partition(TOPIC, WATER), offset), WATER_MAIN, x["Time"].timestamp(), {"flow": flow})


def _play(address: str, fleet: Fleet, water: list[Record]) -> None:
    """Put all records into the topic; they carry their own time, the messages are of today."""
    producer = KafkaProducer(bootstrap_servers=address, linger_ms=20, batch_size=1 << 18, acks="all")
    for partition, records in ((WATER, water), (PUMPS, fleet.records)):
        for record in records:
            producer.send(TOPIC, encode_record(record), key=record.machine.encode(), partition=partition)
    producer.flush()
    producer.close()


# -- the service ------------------------------------------------------------------------------------------------------


@contextmanager
def _service(address: str, alerts_per_day: float) -> Iterator[subprocess.Popen[bytes]]:
    """`scrnn-stream run` as a process of its own, ended with SIGTERM."""
    with tempfile.TemporaryDirectory(prefix="scrnn-stream-demo-") as directory:
        command = [sys.executable, "-m", "scrnn_stream", "--log-level", "warning", "run"]
        command += ["--brokers", address, "--topic", TOPIC]
        command += ["--alerts-topic", ALERTS_TOPIC, "--dead-letter-topic", "dead-letters", "--group", GROUP]
        command += ["--alerts-per-day", str(alerts_per_day), "--checkpoints", directory, "--checkpoint-every", "5"]
        command += ["--delivery", "at-least-once"]  # the embedded broker has no transactions
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _watch(console: Console, address: str, service: subprocess.Popen[bytes], n_messages: int) -> list[Alert]:
    """Show alerts as they come, until the service has committed every message."""
    alerts: list[Alert] = []
    consumer = KafkaConsumer(ALERTS_TOPIC, bootstrap_servers=address, auto_offset_reset="earliest", group_id=None)
    progress_of = KafkaConsumer(bootstrap_servers=address, group_id=GROUP, enable_auto_commit=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(*columns, console=console, disable=not console.is_terminal)
    with progress:
        task = progress.add_task("learning", total=n_messages)
        deadline = time.monotonic() + PATIENCE_S
        done = False
        while True:
            fresh = _read(consumer)
            for alert in fresh:
                alerts.append(alert)
                progress.console.print(alert_line(alert), highlight=False, soft_wrap=True)
            if done and not fresh:
                break
            done = _committed(progress_of, progress, task) >= n_messages
            if service.poll() is not None:
                raise UsageError(f"the service ended early with exit code {service.returncode}; its message is above")
            if time.monotonic() > deadline:
                raise UsageError(f"the service has not finished within {PATIENCE_S:g} s; is the machine very busy?")
    consumer.close()
    progress_of.close()
    return alerts


def _read(consumer: Any) -> list[Alert]:
    return [decode_alert(m.value) for batch in consumer.poll(timeout_ms=500).values() for m in batch]


def _committed(consumer: Any, progress: Progress, task: TaskID) -> int:
    n_done = sum(consumer.committed(TopicPartition(TOPIC, partition)) or 0 for partition in (PUMPS, WATER))
    progress.update(task, completed=n_done)
    return n_done


# -- the verdict ------------------------------------------------------------------------------------------------------


def _tell(console: Console, fleet: Fleet, alerts: list[Alert], days: float, alerts_per_day: float) -> None:
    pumps = judge(fleet.faults, [alert for alert in alerts if alert.machine != WATER_MAIN])
    silences_are_real = [alert for alert in alerts if alert.machine == WATER_MAIN and alert.kind != "silent"]
    water = judge(_water_faults(), silences_are_real)
    console.print(_table("Verdict: injected faults of the pump fleet", pumps.catches))
    _tell_false(console, "pumps", pumps, alerts_per_day * days * len({r.machine for r in fleet.records}))
    console.print(_table("Verdict: low moments of the real pipe flow", water.catches))
    console.print(
        "[dim]The first two lie in the first ten days, while the model is still learning and raises nothing.[/dim]"
    )
    _tell_false(console, WATER_MAIN, water, alerts_per_day * 57.5)
    console.print(f"[bold]{pumps.n_caught} of {len(pumps.catches)} injected faults caught[/bold]\n")


def _water_faults() -> list[Fault]:
    return [Fault(WATER_MAIN, kind, ("flow",), begin, end, 1.0) for kind, begin, end in WATER_FLOW_EVENTS]  # type: ignore[arg-type]


def _table(title: str, catches: list[Catch]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("fault", "began", "caught by", "delay", "leading sensor"):
        table.add_column(column, overflow="fold")
    for catch in catches:
        fault, alert = catch
        delay = f"{catch.delay_s / 3600:.1f} h" if catch.delay_s is not None else "-"
        leading = alert.sensors[0].sensor if alert is not None and alert.sensors else "-"
        caught = alert.kind if alert is not None else "[red]missed[/red]"
        what = f"{fault.machine}: {fault.kind.replace('_', ' ')}"
        if len(fault.sensors) == 1:
            what += f" ({fault.sensors[0]})"
        table.add_row(what, clock(fault.begin)[5:], caught, delay, leading)
    return table


def _tell_false(console: Console, who: str, judgement: Judgement, budget: float) -> None:
    console.print(
        f"{who}: {len(judgement.false_alerts)} false alerts; the budget allows {budget:.1f}\n", highlight=False
    )
