"""Open alerts at an Alertmanager: against its documented schema, and a real one where it is installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.alertmanager import GIVE_UP_S, HOLD_S, N_MISSED, RESEND_S, Alertmanager
from connectors.messenger import MessengerProblem
from connectors.rounds import Undelivered
from scrnn_stream.records import Partition
from tests.telling import BEGIN, PATIENCE_S, PLANT, Listener, an_alert, listening

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
Posted = list[tuple[str, str, str]]


class Clock:
    """Monotonic and Unix time, moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return BEGIN + 1000 + self.now


@pytest.fixture
def server() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def manager(server: Listener, clock: Clock) -> Alertmanager:
    return Alertmanager(f"http://{server.address}/am/", "am", clock=clock, wall=clock.wall)


def posted(server: Listener, clock: Clock) -> Posted:
    """Machine, severity and state of each alert of the next post, which must be as the API has it."""
    alerts = server.next()
    assert server.paths.get() == "/am/api/v2/alerts"
    for alert in alerts:
        check_schema(alert)
    wall = clock.wall()
    return [
        (
            alert["labels"]["machine"],
            alert["labels"]["severity"],
            "firing" if seconds(alert["endsAt"]) > wall else "resolved",
        )
        for alert in alerts
    ]


def check_schema(alert: dict[str, Any]) -> None:
    """`postableAlert` of api/v2/openapi.yaml in github.com/prometheus/alertmanager, and what its server checks."""
    assert alert.keys() <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
    assert alert["labels"]
    for labels in (alert["labels"], alert.get("annotations", {})):
        for name, text in labels.items():
            assert LABEL.fullmatch(name)
            assert isinstance(text, str)
            assert text
    assert seconds(alert["startsAt"]) <= seconds(alert["endsAt"])


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_an_alert_is_told_with_labels_values_and_since_when(
    manager: Alertmanager, server: Listener, clock: Clock
) -> None:
    manager.tell([an_alert()])
    manager.go()
    (told,) = server.next()
    check_schema(told)
    assert told["labels"] == {
        "alertname": "MachineAnomaly",
        "machine": "pump-1",
        "kind": "anomaly",
        "severity": "warning",
        "topic": "plant",
        "partition": "0",
    }
    assert told["annotations"]["summary"] == "pump-1: flow reads 3"
    assert told["annotations"]["values"] == "flow: reading 3, 1 to 2.5 is normal (60%)"
    assert told["annotations"]["since"] == told["startsAt"] == "2023-11-14T22:13:20Z"
    assert seconds(told["endsAt"]) == clock.wall() + N_MISSED * RESEND_S
    assert manager.counts.n_sent == 1


def test_an_open_alert_is_told_again_before_it_would_end_by_itself(
    manager: Alertmanager, server: Listener, clock: Clock
) -> None:
    manager.tell([an_alert()])
    for _ in range(3):
        assert manager.due() <= clock.now
        manager.go()
        assert posted(server, clock) == [("pump-1", "warning", "firing")]
        assert manager.due() == clock.now + RESEND_S
        clock.now += RESEND_S
    assert manager.counts.n_sent == 1  # the others are no news


def test_its_end_is_told_once(manager: Alertmanager, server: Listener, clock: Clock) -> None:
    manager.tell([an_alert()])
    manager.go()
    clock.now = 2 * HOLD_S
    manager.tell([an_alert(state="resolved", severity="critical")])  # as severe as its worst moment: the same alert
    manager.go()
    assert posted(server, clock)[0][2] == "firing"
    server.paths.get_nowait()
    ((_, severity, state),) = [
        (a["labels"]["machine"], a["labels"]["severity"], "resolved" if seconds(a["endsAt"]) <= clock.wall() else "")
        for a in server.next()
    ]
    assert (severity, state) == ("warning", "resolved")
    assert manager.due() == float("inf")


def test_what_ends_at_once_is_firing_for_a_while_so_that_somebody_hears_of_it(
    manager: Alertmanager, server: Listener, clock: Clock
) -> None:
    manager.tell([an_alert(), an_alert(state="resolved")])
    manager.go()
    assert posted(server, clock) == [("pump-1", "warning", "firing")]
    assert manager.due() == HOLD_S
    clock.now = HOLD_S
    manager.go()
    assert posted(server, clock) == [("pump-1", "warning", "resolved")]


def test_one_that_became_critical_takes_the_place_of_the_warning(
    manager: Alertmanager, server: Listener, clock: Clock
) -> None:
    manager.tell([an_alert()])
    manager.go()
    posted(server, clock)
    clock.now = 1.0
    manager.tell([an_alert(severity="critical", n_told=2)])
    manager.go()
    assert sorted(posted(server, clock)) == [("pump-1", "critical", "firing"), ("pump-1", "warning", "resolved")]


def test_what_cannot_be_posted_is_posted_later_as_it_is_by_then(
    manager: Alertmanager, server: Listener, clock: Clock
) -> None:
    server.status = 503
    manager.tell([an_alert("a"), an_alert("b")])
    with pytest.raises(Undelivered, match="503"):
        manager.go()
    manager.failed(Undelivered(""), 1, 1.0)
    posted(server, clock)
    server.status = 200
    manager.tell([an_alert("c")])
    manager.go()
    assert sorted(machine for machine, _, _ in posted(server, clock)) == ["a", "b", "c"]
    assert (manager.counts.n_sent, manager.counts.n_failed) == (3, 1)


def test_what_came_and_went_while_it_could_not_be_reached_is_given_up(
    manager: Alertmanager, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    manager.tell([an_alert("a"), an_alert("a", state="resolved"), an_alert("b")])
    clock.now = GIVE_UP_S + 1
    manager.failed(Undelivered(""), 1, 1.0)
    assert manager.counts.n_dropped == 1
    assert "1 alerts began and ended" in caplog.messages[0]
    assert [told.alert.machine for told in manager._told.values()] == ["b"]


def test_what_it_refuses_is_told_and_does_not_hold_up_the_others(
    manager: Alertmanager, server: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    server.status, server.said = 400, b"bad \x1b[31m label"
    manager.tell([an_alert()])
    manager.go()
    assert manager.counts.n_dropped == 1
    assert "it refuses alerts: 400 bad \\x1b[31m label" in caplog.messages[0]
    assert manager.due() == RESEND_S


def test_who_takes_a_partition_up_tells_what_is_open_and_who_gives_it_up_is_silent(
    manager: Alertmanager, server: Listener, clock: Clock
) -> None:
    other = an_alert("b", position=an_alert().position._replace(partition=Partition("plant", 1)))
    manager.tell([an_alert("gone"), other])
    manager.take_up(PLANT, [an_alert("a")])
    manager.go()
    assert [machine for machine, _, _ in posted(server, clock)] == ["b", "a"]
    manager.give_up(PLANT)
    clock.now = RESEND_S
    manager.go()
    assert [machine for machine, _, _ in posted(server, clock)] == ["b"]


def test_data_without_time_and_from_the_future_begins_now(
    manager: Alertmanager, server: Listener, clock: Clock
) -> None:
    manager.tell([an_alert("a", begin=None), an_alert("b", begin=clock.wall() + 3000)])
    manager.go()
    assert {seconds(alert["startsAt"]) for alert in server.next()} == {clock.wall()}


def test_so_many_open_alerts_are_the_most(server: Listener, caplog: pytest.LogCaptureFixture) -> None:
    manager = Alertmanager(f"http://{server.address}", most_open=2)
    manager.tell([an_alert(f"m{k}") for k in range(5)])
    assert manager.counts.n_dropped == 3
    assert len(caplog.messages) == 1


def test_names_from_the_wire_are_legible_in_labels(manager: Alertmanager, server: Listener, clock: Clock) -> None:
    manager.tell([an_alert("a\x00\n\ud800\u202e")])
    manager.go()
    assert posted(server, clock) == [("a\\x00\\x0a\\ud800\\u202e", "warning", "firing")]


def test_user_and_password_go_in_a_header(server: Listener) -> None:
    manager = Alertmanager(f"http://op%40plant:secret@{server.address}")
    manager.tell([an_alert()])
    manager.go()
    assert server.headers.get()["Authorization"] == "Basic b3BAcGxhbnQ6c2VjcmV0"


@pytest.mark.parametrize("url", ["", "127.0.0.1:9093", "file:///etc/passwd", "http://", "http://a:x", "http://a?b=c"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(MessengerProblem, match=r"alertmanager is no URL such as"):
        Alertmanager(url)


def test_what_does_not_answer_in_http_is_tried_again() -> None:
    with listening() as gone:
        manager = Alertmanager(f"http://{gone.address}")
    manager.tell([an_alert()])
    with pytest.raises(Undelivered, match="refused"):
        manager.go()


# -- a real one -------------------------------------------------------------------------------------------------------

BINARY = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


@pytest.mark.skipif(BINARY is None, reason="no Alertmanager is installed; Debian has prometheus-alertmanager")
def test_a_real_one_tells_of_beginning_and_end(tmp_path: Path) -> None:
    assert BINARY is not None
    with listening() as hook, _alertmanager(BINARY, tmp_path, hook) as url:
        with Alertmanager(url, resend_s=0.5, hold_s=1.0, first_pause_s=0.05) as manager:
            manager.tell([an_alert("a\x1b<b>"), an_alert("short"), an_alert("short", state="resolved")])
            told = [(a["status"], a["labels"]["machine"]) for a in hook.next()["alerts"]]
            assert sorted(told) == [("firing", "a\\x1b<b>"), ("firing", "short")]
            assert {"status": "resolved", "machine": "short"} in _until(hook, "resolved")
            manager.tell([an_alert("a\x1b<b>", state="resolved")])
            assert {"status": "resolved", "machine": "a\\x1b<b>"} in _until(hook, "resolved")
        assert manager.counts.n_dropped == 0


def _until(hook: Listener, status: str) -> list[dict[str, str]]:
    """The alerts of the next notification in which one has this status."""
    while True:
        alerts = [{"status": a["status"], "machine": a["labels"]["machine"]} for a in hook.next()["alerts"]]
        if any(alert["status"] == status for alert in alerts):
            return alerts


class _alertmanager:
    """A process on a free port, that tells the hook of each change within a second."""

    def __init__(self, binary: str, directory: Path, hook: Listener) -> None:
        config = {
            "route": {"receiver": "hook", "group_wait": "500ms", "group_interval": "1s", "repeat_interval": "1h"},
            "receivers": [{"name": "hook", "webhook_configs": [{"url": f"http://{hook.address}/"}]}],
        }
        (directory / "am.yml").write_text(json.dumps(config))  # YAML holds JSON
        self.command = [
            binary,
            f"--config.file={directory / 'am.yml'}",
            f"--storage.path={directory / 'data'}",
            "--web.listen-address=127.0.0.1:0",
            "--cluster.listen-address=",
        ]

    def __enter__(self) -> str:
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        for line in self.process.stderr:  # it says where it listens
            if match := re.search(r"Listening on.*address=(127\.0\.0\.1:\d+)", line, re.IGNORECASE):
                url = f"http://{match[1]}"
                with urllib.request.urlopen(f"{url}/-/ready", timeout=PATIENCE_S):
                    return url
        raise AssertionError("it does not start")

    def __exit__(self, *exc: object) -> None:
        self.process.terminate()
        self.process.communicate()
