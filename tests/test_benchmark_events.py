"""The benchmark of events: logs whose probabilities are known, baselines that are what they say, and its tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from river import naive_bayes

from benchmarks import events
from benchmarks.event_logs import LENGTH, LOGS, P_BY_CAUSE, disturbed, plant
from benchmarks.event_models import MODELS, Counting, NaiveBayes, all_told
from benchmarks.ngrams import Bigram


@pytest.mark.parametrize("kind", LOGS)
def test_the_probabilities_of_a_log_are_those_it_is_drawn_from(kind: str) -> None:
    """So often as it is said the alarm that the cause leads to comes, and so often a message comes again."""
    log = LOGS[kind](40_000, 50, seed=1)
    assert abs((log.p[log.is_determined] > 0.5).mean() - P_BY_CAUSE) < 0.03
    message = log.names.index("message 11")  # a rare one
    again = (log.events[1:] == message) & (log.events[:-1] == message)
    assert abs(again.sum() / (log.events[:-1] == message).sum() - log.p[1:][again].mean()) < 0.05
    assert log.p.min() > 0
    assert log.p.max() <= 1 + 1e-12


def test_a_cause_lies_between_one_and_two_lags_before_its_alarms() -> None:
    lag = 60
    log = plant(6000, lag, seed=2)
    last_set: dict[str, int] = {}
    for t, event in enumerate(log.events):
        word, unit = log.names[event].split(".")[0].split(" ")[:2]
        if word == "set":
            last_set[unit] = t
        if log.is_determined[t] and unit in last_set and t > 2 * lag:
            assert lag < t - last_set[unit] <= 2 * lag + 2
    assert 0 < log.is_first.sum() < log.is_determined.sum()


def test_faults_replace_alarms_of_a_unit_and_events_of_sequences() -> None:
    log = plant(20_000, 50, seed=1)
    faulty = disturbed(log, seed=1)
    changed = faulty.log.events != log.events
    np.testing.assert_array_equal(changed, faulty.is_wrong_alarm | faulty.is_out_of_order)
    trip = log.names.index("trip 0.0")
    for t in np.flatnonzero(changed):
        was, now = log.events[t], faulty.log.events[t]
        if faulty.is_wrong_alarm[t]:
            assert log.names[was].split(".")[0] == log.names[now].split(".")[0]
        else:
            assert (was - trip) % LENGTH == (now - trip) % LENGTH > 0
    assert faulty.is_wrong_alarm.sum() > 50
    assert faulty.is_out_of_order.sum() > 20


def test_naive_bayes_is_that_of_river() -> None:
    log, ours, theirs, before = plant(300, 20, seed=1), NaiveBayes(100, 2), naive_bayes.MultinomialNB(), list[int]()
    for event in log.events.tolist():
        x = {f"{lag} {e}": 1 for lag, e in enumerate(reversed(before))}
        if len(before) == 2:
            told = ours.told()
            assert told == pytest.approx(dict(theirs.predict_proba_one(x)))
            theirs.learn_one(x, event)
        ours.learn(event)
        before = [*before, event][-2:]


def test_an_n_gram_of_two_is_the_bigram() -> None:
    words, ours, bigram = plant(400, 20, seed=1).events.tolist(), Counting(100, 2), Bigram(100)
    for t, word in enumerate(words):
        p = ours.told()
        assert p.sum() == pytest.approx(1)
        if t > 0:
            smoothed = bigram.probability(words[t - 1], word)
            assert p[word] == pytest.approx(smoothed, abs=0.1)  # below the unigram they differ: by one count each
            bigram.learn(words[t - 1], word)
        ours.learn(word)


@pytest.mark.parametrize("name", ["3-gram", "bayes-1", "blind", "scrnn"])
def test_every_model_shares_out_the_whole_probability_before_it_learns(name: str) -> None:
    log = plant(250, 20, seed=1)
    p = all_told(MODELS[name].make(100, range(32), 1), log.events, 100)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    assert p.min() > 0
    other = log.events.copy()
    other[200:] = 0
    np.testing.assert_array_equal(all_told(MODELS[name].make(100, range(32), 1), other, 100)[:201], p[:201])


def test_the_tables_are_told_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "events.json"
    arguments = ["--events", "2000", "--seeds", "1", "--lags", "50,200", "--only", "2-gram,scrnn", "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", ["events", *arguments, "--json", str(kept)])
    events.main()
    told = capsys.readouterr().out
    assert "plant: perplexity by lag" in told
    assert "entropy rate" in told
    results = json.loads(kept.read_text())["results"]
    assert {row["kind"] for row in results} == {"plant", "upset", "faults"}
    assert all(row["all"] > row["entropy rate"] for row in results if row["kind"] == "plant")
