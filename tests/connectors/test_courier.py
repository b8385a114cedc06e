"""Letters are gathered, bounded, tried again, and nobody waits for them."""

from __future__ import annotations

import logging
import math
import threading
from queue import Queue

import pytest

from connectors.courier import HOUR_S, Courier
from connectors.letters import Letter
from connectors.rounds import LONGEST_PAUSE_S, Undelivered
from tests.telling import PATIENCE_S, an_alert


class Post:
    """Takes letters, or fails so many times."""

    def __init__(self, n_failures: float = 0) -> None:
        self.letters: Queue[Letter] = Queue()
        self.n_failures = n_failures
        self.n_tries = 0

    def __call__(self, letter: Letter) -> None:
        self.n_tries += 1
        if self.n_tries <= self.n_failures:
            raise Undelivered("nobody is there")
        self.letters.put(letter)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_alerts_that_come_close_to_each_other_go_in_one_letter() -> None:
    clock, post = Clock(), Post()
    courier = Courier("c", post, group_s=10.0, clock=clock)
    assert courier.due() == math.inf
    courier.tell([an_alert("a")])
    clock.now = 5.0
    courier.tell([an_alert("b")])
    assert courier.due() == 10.0
    courier.go()
    assert "2 alerts" in post.letters.get().title
    assert courier.due() == math.inf
    assert courier.counts.n_sent == 2


def test_what_comes_beyond_the_letters_of_an_hour_waits_and_is_told_together() -> None:
    clock, post = Clock(), Post()
    courier = Courier("c", post, group_s=0.0, per_hour=2, clock=clock)
    for machine in "ab":
        courier.tell([an_alert(machine)])
        courier.go()
        clock.now += 60
    courier.tell([an_alert("c"), an_alert("d")])
    assert courier.due() == HOUR_S
    courier.hurry()
    assert courier.due() == -math.inf


def test_the_oldest_go_where_too_many_wait_and_the_next_letter_says_so(caplog: pytest.LogCaptureFixture) -> None:
    post = Post()
    courier = Courier("chat-1", post, most_waiting=2, clock=Clock())
    for k in range(5):
        courier.tell([an_alert(f"m{k}")])
    assert caplog.messages == ["notify chat-1: 1 alerts are not told there: too many wait"]  # and no more for a minute
    courier.go()
    body = post.letters.get().body
    assert "m3" in body
    assert "m4" in body
    assert "m2" not in body
    assert "3 alerts before these are not told here" in body
    assert (courier.counts.n_sent, courier.counts.n_dropped) == (2, 3)


def test_a_letter_is_given_up_after_so_many_attempts(caplog: pytest.LogCaptureFixture) -> None:
    courier = Courier("c", Post(math.inf), n_tries=3, clock=Clock())
    courier.tell([an_alert()])
    for n in (1, 2, 3):
        assert courier.due() <= 10.0
        with pytest.raises(Undelivered):
            courier.go()
        courier.failed(Undelivered("nobody is there"), n, 1.0)
    assert courier.due() == math.inf
    assert (courier.counts.n_failed, courier.counts.n_dropped) == (3, 1)
    assert "3 attempts failed, the last with: nobody is there" in caplog.messages[-1]


def test_it_tries_again_from_its_own_thread_until_it_is_through() -> None:
    post = Post(n_failures=3)
    with Courier("c", post, group_s=0.0, first_pause_s=0.001) as courier:
        courier.tell([an_alert()])
        assert post.letters.get(timeout=PATIENCE_S).title == "[warning] pump-1: anomaly"
    assert (courier.counts.n_sent, courier.counts.n_failed, courier.counts.n_dropped) == (1, 3, 0)


def test_at_the_end_what_waits_is_sent_at_once() -> None:
    post = Post()
    with Courier("c", post, group_s=1000.0) as courier:
        courier.tell([an_alert()])
    assert post.letters.get_nowait()


def test_at_the_end_a_letter_that_fails_is_tried_once_more_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    post = Post(math.inf)
    with Courier("c", post, group_s=0.0, first_pause_s=LONGEST_PAUSE_S) as courier:
        courier.tell([an_alert()])
    assert 1 <= post.n_tries <= 2
    assert courier.counts.n_dropped == 1
    assert "it ends here" in caplog.messages[-1]


def test_who_hangs_holds_up_nobody() -> None:
    begun, release = threading.Event(), threading.Event()

    def hang(letter: Letter) -> None:  # noqa: ARG001 - a letter that never arrives
        begun.set()
        release.wait(PATIENCE_S)

    with Courier("c", hang, group_s=0.0, most_waiting=10) as courier:
        courier.tell([an_alert()])
        assert begun.wait(PATIENCE_S)
        courier.tell([an_alert(f"m{k}") for k in range(100)])  # returns though nothing is taken
        assert courier.counts.n_dropped == 90
        release.set()


def test_an_error_that_nobody_foresaw_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    letters: Queue[Letter] = Queue()
    problems = [ZeroDivisionError("a bug of a library")]

    def deliver(letter: Letter) -> None:
        if problems:
            raise problems.pop()
        letters.put(letter)

    with caplog.at_level(logging.ERROR), Courier("c", deliver, group_s=0.0, first_pause_s=0.001) as courier:
        courier.tell([an_alert()])
        assert letters.get(timeout=PATIENCE_S)
    assert "failed in a way that was not foreseen" in caplog.text
