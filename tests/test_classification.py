"""SCRNNClassifier: labels that come late, probabilities, memory, frames, keeping."""

from __future__ import annotations

import copy
import math
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from river import compose, evaluate, metrics, preprocessing

from scrnn_stream import SCRNNClassifier
from scrnn_stream.encoding import decode, encode

ROWS = [{"level": math.sin(t / 4), "mode": "xy"[t // 30 % 2]} for t in range(120)]
LABELS = [("rising" if math.cos(t / 4) > 0 else "falling") if t < 90 else "new" for t in range(120)]


def fed(n: int = len(ROWS)) -> SCRNNClassifier:
    model = SCRNNClassifier(n_hidden=8, n_context=4, seed=1)
    for x, y in zip(ROWS[:n], LABELS[:n], strict=True):
        model.learn_one(x, y)
    return model


def test_before_anything_is_known_nothing_is_told() -> None:
    model = SCRNNClassifier(seed=1)
    assert model.predict_proba_one({"a": 1}) == {}
    assert model.predict_one({"a": 1}) is None


def test_a_label_that_comes_late_is_told_from_then_on_and_all_add_up_to_1() -> None:
    model = fed(0)
    for x, y in zip(ROWS, LABELS, strict=True):
        model.learn_one(x, y)
        told = model.predict_proba_one(x)
        assert y in told
        assert sum(told.values()) == pytest.approx(1)
        assert min(told.values()) >= 0
    assert model.predict_one(ROWS[-1]) == "new"


@pytest.mark.parametrize("labels", [(False, True), (0, 1, 2), (np.str_("a"), np.str_("b"))])
def test_labels_are_told_as_they_came(labels: tuple[Any, ...]) -> None:
    model = SCRNNClassifier(n_hidden=4, n_context=2, seed=1)
    for t in range(40):
        model.learn_one({"t": t % len(labels)}, labels[t % len(labels)])
    assert set(model.predict_proba_one({"t": 0})) == set(labels)
    assert model.predict_one({"t": 1}) in labels


def test_it_learns_what_only_the_past_tells() -> None:
    random_ = random.Random(3)
    bits = [random_.random() < 0.5 for _ in range(6000)]
    data = [({"bit": bit}, before) for bit, before in zip(bits[4:], bits, strict=False)]
    model, right = SCRNNClassifier(seed=1), []
    for x, y in data:
        right.append(model.predict_one(x) == y)
        model.learn_one(x, y)
    assert np.mean(right[-1000:]) > 0.95


def test_a_cause_is_remembered_for_a_hundred_events() -> None:
    """One of three causes decides on the alarm 100 events later; nothing in between tells. A guess is right by 1/3."""
    random_ = random.Random(2)
    model, right = SCRNNClassifier(seed=1), []
    for _ in range(400):
        cause = random_.choice("ABC")
        model.learn_one({"event": "noise 0"}, f"cause {cause}")
        before = f"cause {cause}"
        for _ in range(100):
            event = f"noise {random_.randrange(3)}"
            model.learn_one({"event": before}, event)
            before = event
        told = model.predict_proba_one({"event": before})
        right.append(max("ABC", key=lambda alarm: told.get(f"alarm {alarm}", 0.0)) == cause)
        model.learn_one({"event": before}, f"alarm {cause}")
    assert np.mean(right[-100:]) > 0.8


def test_without_features_the_next_label_is_told_from_the_labels() -> None:
    model = SCRNNClassifier(n_hidden=8, n_context=4, seed=1)
    for _ in range(300):
        for label in ("fill", "heat", "drain"):
            model.learn_one({}, label)
    assert model.predict_one({}) == "fill"


def test_a_missing_label_moves_time_and_no_weight() -> None:
    model = fed()
    network = model._predictor.network
    assert network is not None
    n = network.n_learned
    before = model.predict_proba_one(ROWS[0])
    for missing in (None, math.nan):
        model.learn_one(ROWS[3], missing)
    assert network.n_learned == n
    assert model.predict_proba_one(ROWS[0]) != before


@pytest.mark.parametrize("told", [lambda m: m.predict_one({"new": "a"}), lambda m: m.predict_many(pd.DataFrame(ROWS))])
def test_only_learning_changes_anything(told: Callable[[SCRNNClassifier], Any]) -> None:
    model = fed()
    before = encode(model.to_state())
    told(model)
    assert encode(model.to_state()) == before


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_goes_on_the_same_and_alone(copied: Callable[[SCRNNClassifier], SCRNNClassifier]) -> None:
    model = fed(100)
    other = copied(model)
    for x, y in zip(ROWS[100:], LABELS[100:], strict=True):
        assert other.predict_proba_one(x) == model.predict_proba_one(x)
        for one in (model, other):
            one.learn_one(x, y)
    other.learn_one(ROWS[0], "other")
    assert "other" not in model.predict_proba_one(ROWS[0])


def test_a_kept_classifier_goes_on_the_same_and_a_clone_is_new() -> None:
    model, restored = fed(60), fed(0)
    restored.restore(decode(encode(model.to_state())))
    for x, y in zip(ROWS[60:], LABELS[60:], strict=True):
        assert restored.predict_proba_one(x) == model.predict_proba_one(x)
        model.learn_one(x, y)
        restored.learn_one(x, y)
    assert model.clone().predict_proba_one(ROWS[0]) == {}


@pytest.mark.parametrize(("frame", "series"), [(pd.DataFrame, pd.Series), (pl.DataFrame, pl.Series)])
def test_frames_are_rows_that_follow_each_other_to_learn_and_alternatives_to_predict(
    frame: Callable[..., Any], series: Callable[..., Any]
) -> None:
    model = fed(0)
    model.learn_many(frame(ROWS[:70]), series(LABELS[:70]))
    model.learn_many(frame(ROWS[70:]), series(LABELS[70:]))
    one = fed()
    assert list(model.predict_many(frame(ROWS[:5]))) == [one.predict_one(x) for x in ROWS[:5]]
    told = model.predict_proba_many(frame(ROWS[:5]))
    assert {label: list(told[label]) for label in told.columns} == {
        label: [one.predict_proba_one(x)[label] for x in ROWS[:5]] for label in ("rising", "falling", "new")
    }


def test_a_mutated_rate_takes_effect() -> None:
    one, other = fed(60), fed(60)
    other.mutate({"lr": 0.05})
    for model in (one, other):
        model.learn_one(ROWS[60], LABELS[60])
    assert one.predict_proba_one(ROWS[0]) != other.predict_proba_one(ROWS[0])


def test_it_stands_behind_scalers_and_in_progressive_validation() -> None:
    data = [({"level": x["level"]}, y == "rising") for x, y in zip(ROWS * 10, LABELS * 10, strict=True)]
    model = compose.Select("level") | preprocessing.StandardScaler() | SCRNNClassifier(seed=1)
    assert evaluate.progressive_val_score(data, model, metrics.Accuracy()).get() > 0.8
