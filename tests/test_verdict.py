"""Alerts against known faults."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from scrnn_stream.alert import Alert
from scrnn_stream.records import Partition, Position
from scrnn_stream.simulate import Fault
from scrnn_stream.verdict import judge

FAULT = Fault("pump-1", "stuck", ("flow",), 1000.0, 5000.0, 1.0)
ALERT = Alert(
    id="a", machine="pump-1", kind="stuck", state="firing", severity="warning", begin=1000.0, raised=1100.0,
    position=Position(Partition("pumps", 0), 7), score=0.0, p_value=1.0, message="flow is stuck",
)  # fmt: skip


def test_a_fault_is_caught_by_the_first_alert_raised_while_it_lasts() -> None:
    later = msgspec.structs.replace(ALERT, id="b", raised=1200.0)
    judgement = judge([FAULT, replace(FAULT, machine="pump-2")], [ALERT, later])
    assert [catch.alert for catch in judgement.catches] == [ALERT, None]
    assert judgement.catches[0].delay_s == 100.0
    assert judgement.n_caught == 1
    assert judgement.false_alerts == []


def test_an_episode_that_is_told_again_is_one_false_alert_and_news_of_the_model_is_none() -> None:
    elsewhere = msgspec.structs.replace(ALERT, machine="pump-3")
    again = msgspec.structs.replace(elsewhere, n_told=2)
    news = msgspec.structs.replace(elsewhere, kind="regime_changed")
    assert judge([FAULT], [elsewhere, again, news]).false_alerts == [elsewhere]
