"""The dashboard and the rules ask for metrics that the service has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.panels import Panel, Series, drawn
from connectors.alertmanager import Alertmanager
from connectors.notifications import Notifications
from scrnn_stream.checkpoint import CheckpointStore
from scrnn_stream.metrics import Metrics
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.records import Partition
from scrnn_stream.worker import Worker
from tests.monitoring import readings, recorded

MONITORING = Path(__file__).parents[1] / "docs" / "monitoring"
METRIC = re.compile(r"scrnn_stream_\w+")
MATCHER = re.compile(r"(scrnn_stream_\w+)\{([^}]*)\}")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Of each sample that the service shows, by name."""
    source: Any = SimpleNamespace(behind=lambda: {Partition("t", 0): 7})
    worker = Worker(source, source, Pipeline(), CheckpointStore(tmp_path_factory.mktemp("store")))
    worker._next[Partition("t", 0)] = 50
    worker.keeper.kept[Partition("t", 0)] = 0.0
    worker.counts.told["anomaly", "firing"] += 1
    worker._process(recorded(readings(50)))
    metrics = Metrics(worker, source, notified=Notifications([Alertmanager("http://127.0.0.1:9093")]))
    metrics.tell()
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    return {sample.name: {"instance", *sample.labels} for family in families for sample in family.samples}


def expressions() -> list[str]:
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    rules = re.findall(r"^ +expr: (.+)$", (MONITORING / "rules.yml").read_text(), re.MULTILINE)
    return [target["expr"] for panel in panels for target in panel["targets"]] + rules


def test_each_metric_that_is_asked_for_is_there(labels: dict[str, set[str]]) -> None:
    asked = {name for expression in expressions() for name in METRIC.findall(expression)}
    assert len(asked) > 15
    assert asked <= labels.keys()


def test_each_metric_that_is_there_is_shown_or_watched(labels: dict[str, set[str]]) -> None:
    asked = {name for expression in expressions() for name in METRIC.findall(expression)}
    beside = {name for name in labels if name.endswith(("_created", "_sum", "_count"))}
    assert labels.keys() - asked - beside == set()


def test_labels_that_are_asked_for_are_there(labels: dict[str, set[str]]) -> None:
    for expression in expressions():
        for name, matchers in MATCHER.findall(expression):
            assert {re.split("[=!~]", matcher)[0] for matcher in matchers.split(",")} <= labels[name]
        for by in re.findall(r"by \(([^)]*)\)", expression):
            known = set.union(*(labels[name] for name in METRIC.findall(expression)))
            assert set(by.replace(" ", "").split(",")) <= known


def test_what_was_answered_is_drawn_panel_by_panel() -> None:
    line = Series("a <b>", [(0.0, 1.0), (1.0, 3.0)])
    svg = drawn([Panel("Time & more", "s", ["x"], [line]), Panel("Nothing", "", ["y"], [])])
    texts = [text.text for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert {"Time & more", "a <b>", "3.15 s", "Nothing", "no data"} <= set(texts)
