"""Which alerts are told, and to whom."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from connectors.courier import Counts
from connectors.notifications import MOST_EPISODES, Interest, Notifications
from scrnn_stream.alert import Alert
from scrnn_stream.records import Partition
from tests.telling import PLANT, an_alert


class Heard:
    """A channel that remembers."""

    def __init__(self, name: str) -> None:
        self.name, self.counts = name, Counts()
        self.told: list[Alert] = []
        self.open: list[Alert] = []
        self.is_open = False

    def __enter__(self) -> Heard:
        self.is_open = True
        return self

    def __exit__(self, *exc: object) -> None:
        self.is_open = False

    def tell(self, alerts: Sequence[Alert]) -> None:
        self.told += alerts

    def take_up(self, partition: Partition, still_open: Sequence[Alert]) -> None:  # noqa: ARG002 - as a channel has it
        self.open = [*still_open]

    def give_up(self, partition: Partition) -> None:  # noqa: ARG002
        self.open = []


@pytest.mark.parametrize(
    ("interest", "admitted"),
    [
        (Interest(), "abcd"),
        (Interest(min_severity="critical"), "b"),
        (Interest(machines=["pump-*"]), "abc"),
        (Interest(machines=["pump-1", "saw"]), "abd"),
        (Interest(kinds=["silent"]), "cd"),
        (Interest("warning", ["saw"], ["silent"]), "d"),
    ],
)
def test_alerts_are_told_by_severity_machine_and_kind(interest: Interest, admitted: str) -> None:
    alerts = [
        an_alert("pump-1", id="a"),
        an_alert("pump-1", id="b", severity="critical"),
        an_alert("pump-2", "silent", id="c"),
        an_alert("saw", "silent", id="d"),
    ]
    assert "".join(alert.id for alert in alerts if interest.admits(alert)) == admitted


def test_the_end_is_told_of_what_was_told_and_of_what_became_severe() -> None:
    interest = Interest("critical")
    assert not interest.admits(an_alert())
    assert not interest.admits(an_alert(state="resolved"))
    assert interest.admits(an_alert(severity="critical"))
    assert interest.admits(an_alert(state="resolved"))  # told when it was critical
    assert not interest.admits(an_alert(state="resolved"))
    assert interest.admits(an_alert(state="resolved", severity="critical"))  # never told before


def test_what_it_remembers_is_bounded() -> None:
    interest = Interest()
    for k in range(MOST_EPISODES + 10):
        interest.admits(an_alert(id=str(k)))
    assert len(interest._told) == MOST_EPISODES


def test_every_channel_is_told_and_opened_and_closed() -> None:
    one, two = Heard("one"), Heard("two")
    notifications = Notifications([one, two], Interest("critical"))
    with notifications:
        assert one.is_open
        assert two.is_open
        notifications.tell([an_alert("a"), an_alert("b", severity="critical")])
        notifications.take_up(PLANT, [an_alert("c"), an_alert("d", severity="critical")])
        assert [alert.machine for alert in two.open] == ["d"]
        notifications.tell([an_alert("d", state="resolved")])
        notifications.give_up(PLANT)
    assert [alert.machine for alert in one.told] == [alert.machine for alert in two.told] == ["b", "d"]
    assert one.open == two.open == []
    assert not one.is_open
    assert not two.is_open
    assert notifications.counts == {"one": one.counts, "two": two.counts}
