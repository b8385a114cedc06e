"""`[notify]`: what it may hold, how it is tried out, and that its secrets are shown nowhere."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest

from scrnn_stream.cli import main
from scrnn_stream.configuration import configuration
from scrnn_stream.effective import lines
from scrnn_stream.metrics import Metrics
from scrnn_stream.notify import notifications
from scrnn_stream.notify_options import NotifyOptions
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.usage import UsageError
from scrnn_stream.worker import Worker
from tests.telling import Listener, an_alert, listening

FILE = """
[notify]
urls = ["slack://hunter2/b/c", "json://a:hunter2@host/hunter2"]
alertmanager = ["http://a:hunter2@host:9093"]
min_severity = "critical"
machines = ["pump-*"]
per_hour = 7
"""


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as one:
        yield one


def asked(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> NotifyOptions:
    path = tmp_path / "scrnn.toml"
    path.write_text(text, encoding="utf-8")
    return configuration(argparse.Namespace(config=path), environ or {}).notify


def test_the_table_is_read_and_the_environment_goes_before_it(tmp_path: Path) -> None:
    environ = {
        "SCRNN_STREAM_NOTIFY_URLS": "json://a,b  mailto://c",
        "SCRNN_STREAM_NOTIFY_KINDS": "silent, stuck",
        "SCRNN_STREAM_NOTIFY_GROUP_WITHIN": "2.5",
    }
    options = asked(tmp_path, FILE, environ)
    assert options == NotifyOptions(
        ("json://a,b", "mailto://c"),
        ("http://a:hunter2@host:9093",),
        "critical",
        ("pump-*",),
        ("silent", "stuck"),
        2.5,
        7,
    )


def test_nobody_is_told_unless_somebody_is_named(tmp_path: Path) -> None:
    assert notifications(asked(tmp_path, "")) is None
    assert notifications(asked(tmp_path, "[notify]\nper_hour = 3")) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("url = []", r"\[notify\] has an unknown key 'url'; did you mean 'urls'\?"),
        ('urls = "json://hunter2"', "urls must be a list of texts"),
        ("urls = [1]", "urls must be a list of texts"),
        ('min_severity = "bad"', "min_severity must be warning or critical, got 'bad'"),
        ('kinds = ["silnt"]', "kinds has 'silnt'; did you mean 'silent'"),
        ("per_hour = 0", "per_hour must be a number above 0"),
        ("per_hour = 1.5", "per_hour must be a whole number"),
        ("group_within = nan", "group_within must be a number above 0"),
    ],
)
def test_what_is_wrong_in_it_is_told_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as problem:
        asked(tmp_path, f"[notify]\n{text}")
    assert "hunter2" not in str(problem.value)


def test_what_is_wrong_in_the_environment_is_told_by_its_variable(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="SCRNN_STREAM_NOTIFY_PER_HOUR per_hour must be a number"):
        asked(tmp_path, "", {"SCRNN_STREAM_NOTIFY_PER_HOUR": "many"})
    with pytest.raises(UsageError, match="SCRNN_STREAM_NOTIFY_URL has an unknown key 'url'"):
        asked(tmp_path, "", {"SCRNN_STREAM_NOTIFY_URL": "json://a"})


@pytest.mark.parametrize("table", ['urls = ["slack://hunter2"]', 'alertmanager = ["hunter2:9093"]'])
def test_a_url_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path, table: str) -> None:
    with pytest.raises(UsageError, match=r"^\[notify\] .*is no URL") as problem:
        notifications(asked(tmp_path, f"[notify]\n{table}"))
    assert "hunter2" not in str(problem.value)


def test_what_is_in_effect_is_shown_without_secrets_and_with_who_said_so(tmp_path: Path) -> None:
    path = tmp_path / "scrnn.toml"
    path.write_text(FILE)
    text = "\n".join(lines(configuration(argparse.Namespace(config=path), {"SCRNN_STREAM_NOTIFY_PER_HOUR": "9"})))
    assert "hunter2" not in text
    table = tomllib.loads(text)["notify"]
    assert table["urls"] == ["slack://***", "json://***"]
    assert table["alertmanager"] == ["http://***@host:9093"]
    assert table["per_hour"] == 9
    assert "# environment" in next(line for line in text.splitlines() if line.startswith("per_hour"))


def test_a_test_reaches_everybody_and_tells_who_was_not_reached(
    tmp_path: Path, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening() as gone:
        nobody = gone.address
    path = tmp_path / "scrnn.toml"
    urls = [f"json://a:hunter2@{listener.address}/x", f"json://a:hunter2@{nobody}"]
    path.write_text(f'[notify]\nurls = {urls}\nalertmanager = ["http://a:hunter2@{listener.address}"]\n')
    assert main(["notify", "--config", str(path)]) == 1
    told = capsys.readouterr()
    assert "hunter2" not in told.out + told.err
    one, two, three = told.out.splitlines()
    assert one == "json-1 (json://***): sent"
    assert two.startswith("json-2 (json://***): A Connection error occurred")
    assert three == f"alertmanager-1 (http://***@{listener.address}): sent"
    assert listener.next()["title"] == "Test of scrnn-stream: nothing is wrong"
    assert listener.next()[0]["labels"]["machine"] == "test"
    path.write_text(f'[notify]\nurls = ["{urls[0]}"]\n')
    assert main(["notify", "--config", str(path)]) == 0


def test_a_test_for_nobody_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notify"]) == 2
    assert "name urls or alertmanager in [notify]" in capsys.readouterr().err


def test_the_log_never_quotes_a_url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "scrnn.toml"
    path.write_text('[notify]\nurls = ["nonsense://hunter2"]\n')
    assert main(["--log-level", "debug", "notify", "--config", str(path)]) == 2
    told = capsys.readouterr()
    assert "hunter2" not in told.out + told.err


def test_a_prometheus_hears_what_became_of_them(tmp_path: Path, listener: Listener) -> None:
    table = f'[notify]\nurls = ["json://{listener.address}"]\ngroup_within = 0.01\n'
    told = notifications(asked(tmp_path, table))
    assert told is not None
    source = type("Source", (), {"behind": lambda _: {}})()
    metrics = Metrics(Worker(source, source, Pipeline()), source, notified=told)
    with told:
        told.tell([an_alert(), an_alert("b")])
        assert "2 alerts of 2 machines" in listener.next()["title"]
    metrics.tell()
    page = generate_latest(metrics.registry).decode()
    assert 'scrnn_stream_notifications_total{channel="json-1",outcome="sent"} 2.0' in page
    assert 'scrnn_stream_notifications_total{channel="json-1",outcome="dropped"} 0.0' in page
