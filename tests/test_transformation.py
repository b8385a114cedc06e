"""SCRNNFeatures: the same features before and after a record is learned, and models that profit."""

from __future__ import annotations

import copy
import datetime as dt
import math
import random
from typing import Any

import pytest
from river import linear_model, metrics, preprocessing

from scrnn_stream import SCRNNFeatures
from scrnn_stream.encoding import decode, encode

SIZES = {"n_hidden": 4, "n_context": 6, "seed": 2}


def records(n: int) -> list[dict[Any, Any]]:
    draw = random.Random(3)
    return [{"a": math.sin(t / 4) + draw.gauss(0, 0.2), "mode": "xy"[t // 30 % 2], ("t", 1): t % 3} for t in range(n)]


def fed(n: int, **arguments: Any) -> SCRNNFeatures:
    features = SCRNNFeatures(**(SIZES | arguments))
    for x in records(n):
        features.learn_one(x)
    return features


def test_there_is_one_feature_for_each_unit_from_the_first_record_on() -> None:
    names = [f"context_{i}" for i in range(6)] + [f"hidden_{i}" for i in range(4)]
    assert list(fed(0).transform_one({"a": 1.0})) == list(fed(50).transform_one({"a": 1.0})) == names


def test_a_record_has_the_same_features_before_and_after_it_is_learned() -> None:
    features = fed(300, lr=1e-9)
    for x in records(320)[300:]:
        before = features.transform_one(x)
        features.learn_one(x)
        assert list(features.transform_one(dict(x)).values()) == pytest.approx(
            list(before.values()), abs=0.2
        )  # scales move


def test_transforming_changes_nothing() -> None:
    features = fed(60)
    before = encode(features.to_state())
    features.transform_one({"a": 1.0, "new": 3.0, "t": dt.date(2026, 1, 1)})
    features.transform_one(records(60)[-1])
    assert encode(features.to_state()) == before


def test_features_need_no_scaler_and_are_never_too_long_for_gradient_descent() -> None:
    features = SCRNNFeatures(seed=1)
    for x in records(500):
        features.learn_one(x)
        row = features.transform_one(x)
        assert 0.01 * sum(value**2 for value in row.values()) < 2
    features.learn_one({"a": 1e9})
    assert 0.01 * sum(value**2 for value in features.transform_one({"a": -1e9}).values()) < 2


def test_a_record_with_arrays_and_nan_is_known_again() -> None:
    features = fed(50)
    x = {"a": math.nan, "b": [1.0, 2.0], "mode": "x"}
    features.learn_one(x)
    assert features._is_last(copy.deepcopy(x))
    assert not features._is_last({"a": 0.0, "mode": "x"})


def test_the_features_end_with_what_the_caller_does_to_a_learned_record() -> None:
    features, x = fed(50), {"a": 1.0}
    features.learn_one(x)
    before = features.transform_one({"a": 1.0})
    x["a"] = 5.0
    assert features.transform_one({"a": 1.0}) == before


def test_kept_features_go_on_the_same() -> None:
    features, restored = fed(60), SCRNNFeatures(**SIZES)
    restored.restore(decode(encode(features.to_state())))
    for x in records(100)[60:]:
        assert restored.transform_one(x) == features.transform_one(x)
        features.learn_one(x)
        restored.learn_one(x)


def test_a_fresh_transformer_can_be_kept() -> None:
    restored = SCRNNFeatures(**SIZES)
    restored.restore(decode(encode(SCRNNFeatures(**SIZES).to_state())))
    assert restored.transform_one({"a": 1.0}) == fed(0).transform_one({"a": 1.0})


def test_a_model_without_memory_learns_with_them_what_it_could_not_know() -> None:
    draw, since, accuracy = random.Random(5), 99, {}
    stream = []
    for _ in range(3000):
        since = 0 if draw.random() < 1 / 40 else since + 1
        stream.append(({"pulse": since == 0, "noise": draw.gauss(0, 1)}, since < 25))
    models = {
        "alone": preprocessing.StandardScaler() | linear_model.LogisticRegression(),
        "features": SCRNNFeatures(seed=1) | linear_model.LogisticRegression(),
        "both": SCRNNFeatures(seed=1) + preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    }
    for name, model in models.items():
        metric = metrics.Accuracy()
        for t, (x, y) in enumerate(stream):
            if t > 1000:
                metric.update(y, model.predict_one(x))
            model.learn_one(x, y)
        accuracy[name] = metric.get()
    assert accuracy["alone"] < 0.65
    assert min(accuracy["features"], accuracy["both"]) > 0.85
