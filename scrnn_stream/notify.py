"""Notifications as the configuration asks for them, and `scrnn-stream notify`, which tries them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from connectors.alertmanager import Alertmanager
from connectors.alertmanager_client import AlertmanagerClient, postable
from connectors.courier import Courier
from connectors.letters import Letter, compose
from connectors.messenger import Messenger, MessengerProblem, hidden
from connectors.notifications import Channel, Interest, Notifications
from connectors.rounds import Undelivered
from scrnn_stream.alert import Alert
from scrnn_stream.configuration import configuration
from scrnn_stream.notify_options import NotifyOptions
from scrnn_stream.records import Partition, Position
from scrnn_stream.store import masked
from scrnn_stream.usage import UsageError

EXIT_UNTOLD = 1
TEST_LASTS_S = 120.0  # at an Alertmanager, which waits for others of a group before it tells


def notifications(options: NotifyOptions) -> Notifications | None:
    """None if nobody is to be told.

    Raises
    ------
    UsageError
        If a URL cannot be used, or Apprise is missing.
    """
    if not options:
        return None
    interest = Interest(options.min_severity, options.machines, options.kinds)
    try:
        return Notifications(list(_channels(options)), interest)
    except MessengerProblem as problem:
        raise UsageError(f"[notify] {problem}") from None


def _channels(options: NotifyOptions) -> Iterator[Channel]:
    for name, url in _named(options.urls):
        yield Courier(name, Messenger(url).deliver, group_s=options.group_within, per_hour=int(options.per_hour))
    for number, url in enumerate(options.alertmanager, 1):
        yield Alertmanager(url, f"alertmanager-{number}")


def _named(urls: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each with a name that can be shown: its place in the list, and its scheme."""
    for number, url in enumerate(urls, 1):
        yield f"{hidden(url).partition(':')[0].strip('*') or 'url'}-{number}", url


def try_out(options: argparse.Namespace) -> int:
    """Send a test to everybody who is to be told, and print what came of it."""
    asked = configuration(options).notify
    if not asked:
        raise UsageError(
            "nobody is to be told: name urls or alertmanager in [notify] of the file for --config, or in "
            "SCRNN_STREAM_NOTIFY_URLS and SCRNN_STREAM_NOTIFY_ALERTMANAGER"
        )
    told = [_told(name, where, test) for name, where, test in _tests(asked)]
    return 0 if all(told) else EXIT_UNTOLD


def _told(name: str, where: str, problem: str) -> bool:
    print(f"{name} ({where}): {problem or 'sent'}", flush=True)
    return not problem


def _tests(options: NotifyOptions) -> Iterator[tuple[str, str, str]]:
    """Name, what may be shown of the URL, and what went wrong: empty if nothing did."""
    alert = _test_alert()
    letter = compose([alert])._replace(title="Test of scrnn-stream: nothing is wrong")
    try:
        for name, url in _named(options.urls):
            yield name, hidden(url), _problem_of_letter(Messenger(url), letter)
        for number, url in enumerate(options.alertmanager, 1):
            name = f"alertmanager-{number}"
            yield name, masked(url), _problem_of_post(AlertmanagerClient(url, name), alert)
    except MessengerProblem as problem:
        raise UsageError(f"[notify] {problem}") from None


def _problem_of_letter(messenger: Messenger, letter: Letter) -> str:
    try:
        messenger.deliver(letter)
    except Undelivered as problem:
        return str(problem)
    return ""


def _problem_of_post(client: AlertmanagerClient, alert: Alert) -> str:
    try:
        is_taken = client.post([postable(alert, time.time(), time.time() + TEST_LASTS_S)])
    except Undelivered as problem:
        return str(problem)
    return "" if is_taken else "it refuses the alert; the log says why"


def _test_alert() -> Alert:
    now = time.time()
    return Alert(
        id="test",
        machine="test",
        kind="anomaly",
        state="firing",
        severity="warning",
        begin=now,
        raised=now,
        position=Position(Partition("test", 0), 0),
        score=0.0,
        p_value=1.0,
        message="a test of notifications: nothing is wrong, and who reads this will be told of alerts",
    )
