"""What a person reads, and that no name from the wire does anything to them."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from connectors.letters import MOST_TITLE_CHARS, MOST_TOLD, compose, plain
from scrnn_stream.alert import SensorEvidence
from tests.telling import an_alert

EVIL = 'a\x1b[2J\r\nBcc: x@y\u202e@everyone<!channel><script>alert(1)</script>\ud800"'


def test_one_alert_is_told_with_its_values_and_since_when() -> None:
    letter = compose([an_alert(severity="critical")])
    assert letter.title == "[critical] pump-1: anomaly"
    assert letter.level == "critical"
    assert letter.body.splitlines() == [
        "[critical, firing] pump-1: flow reads 3",
        "  flow: reading 3, 1 to 2.5 is normal (60%)",
        "  since 2023-11-14T22:13:20Z, id pump-1/anomaly",
    ]


def test_what_is_not_known_is_not_told() -> None:
    missing = SensorEvidence(
        sensor="s", share=1.0, actual=math.nan, expected=math.nan, low=math.nan, high=math.nan, quantity="average"
    )
    body = compose([an_alert(begin=None, raised=None, sensors=(missing,))]).body
    assert "s: average is missing (100%)" in body
    assert "since" not in body
    assert "normal" not in body


def test_many_alerts_are_one_letter_that_says_how_many() -> None:
    alerts = [an_alert(f"m{k}") for k in range(MOST_TOLD + 5)] + [an_alert("old", state="resolved")]
    letter = compose(alerts, n_lost=3)
    assert letter.title == "26 alerts of 26 machines: 1 resolved, 25 warning"
    assert letter.level == "warning"
    assert letter.body.count("firing]") == MOST_TOLD
    assert "And 6 more" in letter.body
    assert "3 alerts before these are not told here" in letter.body


def test_what_began_and_ended_in_one_letter_is_told_once() -> None:
    letter = compose([an_alert(), an_alert(state="resolved")])
    assert letter.title == "[warning] pump-1: anomaly"
    assert letter.body.startswith("[warning, over already]")
    assert "until 2023-11-14T22:15:20Z" in letter.body


def test_an_end_is_good_news() -> None:
    letter = compose([an_alert(state="resolved", severity="critical")])
    assert letter.title == "[resolved] pump-1: anomaly"
    assert letter.level == "resolved"


def test_names_from_the_wire_turn_no_line_call_nobody_and_are_still_legible() -> None:
    evidence = SensorEvidence(sensor=EVIL, share=1.0, actual=1.0, expected=1.0, low=1.0, high=1.0)
    letter = compose([an_alert(EVIL, id="0", sensors=(evidence,))])
    for text in (letter.title, letter.body):
        assert text.isprintable() or text.replace("\n", "").replace("\u2060", "").isprintable()
        assert "\\x1b[2J\\x0d\\x0aBcc" in text
        assert "\\u202e" in text
        assert "@everyone" not in text
        assert "<!channel>" not in text
        text.encode()
    assert len(letter.body.splitlines()) == 3
    assert len(letter.title) < 2 * MOST_TITLE_CHARS


@given(st.text(), st.integers(10, 200))
def test_any_text_becomes_one_short_line(text: str, most: int) -> None:
    shown = plain(text, most)
    assert len(shown) <= most
    assert len(shown.splitlines()) <= 1
    shown.encode()
    if text.isascii() and text.isprintable() and len(text) <= most:
        assert shown == text
