"""How far a long replay is, told to a terminal or to the log."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from scrnn_stream.progress import TELL_EVERY_S, ReplayProgress


def tell(console: Console, steps: dict[float, int]) -> None:
    now = [0.0]
    with ReplayProgress(console, lambda: now[0]) as progress:
        progress.tell(0, 0)
        for now[0], n_done in steps.items():
            progress.tell(n_done, 1000)


def test_the_log_says_now_and_then_how_much_is_done_and_what_time_is_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="scrnn_stream.progress")
    tell(Console(file=io.StringIO()), {0.0: 100, 29.0: 290, TELL_EVERY_S: 300, 31.0: 310, 120.0: 1000, 200.0: 1000})
    assert caplog.messages == [
        "replayed 30% of 1000 messages, about 1 min 45 s left",
        "the replay is over after 2 min: alerts go out again",
    ]


def test_a_short_replay_is_not_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="scrnn_stream.progress")
    tell(Console(file=io.StringIO()), {0.0: 100, 10.0: 1000})
    assert caplog.messages == []


def test_a_terminal_sees_a_bar_and_the_log_no_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="scrnn_stream.progress")
    screen = io.StringIO()
    tell(Console(file=screen, force_terminal=True, width=80), {0.0: 100, 60.0: 500, 120.0: 1000})
    assert "replaying" in screen.getvalue()
    assert caplog.messages == []
