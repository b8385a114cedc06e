"""SCRNNRegressor: frames, missing values, keeping. Learning itself is tested with the predictor."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from river import datasets, evaluate, linear_model, metrics, preprocessing

from scrnn_stream import SCRNNRegressor
from scrnn_stream.encoding import decode, encode

ROWS = [
    {"a": math.sin(t / 3), "b": None if t % 9 == 0 else math.cos(t / 5), "mode": "xy"[t // 20 % 2]} for t in range(120)
]
TARGETS = [math.sin((t - 2) / 3) + (t // 20 % 2) for t in range(120)]
FRAMES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], list[float]]]] = {
    "pandas": (pd.DataFrame, lambda y: pd.Series(y, name="level"), lambda series: series.to_list()),
    "polars": (pl.DataFrame, lambda y: pl.Series("level", y), lambda series: series.to_list()),
    "pyarrow": (pa.Table.from_pylist, lambda y: pa.chunked_array([y]), lambda series: series.to_pylist()),
}


def fed(n: int = len(ROWS)) -> SCRNNRegressor:
    model = SCRNNRegressor(n_hidden=8, n_context=4, seed=1)
    for x, y in zip(ROWS[:n], TARGETS[:n], strict=True):
        model.learn_one(x, y)
    return model


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_are_rows_that_follow_each_other_to_learn_and_alternatives_to_predict(kind: str) -> None:
    frame, series, values = FRAMES[kind]
    model = SCRNNRegressor(n_hidden=8, n_context=4, seed=1)
    model.learn_many(frame(ROWS[:70]), series(TARGETS[:70]))
    model.learn_many(frame(ROWS[70:]), series(TARGETS[70:]))
    one = fed()
    assert values(model.predict_many(frame(ROWS[:5]))) == [one.predict_one(x) for x in ROWS[:5]]


@pytest.mark.parametrize("kind", FRAMES)
def test_predictions_come_in_the_library_of_the_frame(kind: str) -> None:
    frame, series, _ = FRAMES[kind]
    told = fed().predict_many(frame(ROWS[:3]))
    assert isinstance(told, type(series(TARGETS[:3])))


def test_predictions_keep_the_index_of_pandas_and_the_name_of_the_target() -> None:
    model = fed(0)
    model.learn_many(pd.DataFrame(ROWS), pd.Series(TARGETS, name="level"))
    told = model.predict_many(pd.DataFrame(ROWS[:2], index=["first", "second"]))
    assert told.name == "level"
    assert told.index.tolist() == ["first", "second"]


def test_a_frame_without_rows_is_no_news() -> None:
    model = fed(50)
    before = encode(model.to_state())
    model.learn_many(pd.DataFrame(ROWS[:0]), pd.Series([], dtype=float))
    assert model.predict_many(pd.DataFrame(ROWS[:0])).tolist() == []
    assert encode(model.to_state()) == before


def test_a_series_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="y must have one value for each row of X, got 3 for 4"):
        fed(0).learn_many(pd.DataFrame(ROWS[:4]), pd.Series(TARGETS[:3]))


def test_a_kept_regressor_goes_on_the_same() -> None:
    model, restored = fed(60), fed(0)
    restored.restore(decode(encode(model.to_state())))
    for x, y in zip(ROWS[60:], TARGETS[60:], strict=True):
        assert restored.predict_one(x) == model.predict_one(x)
        model.learn_one(x, y)
        restored.learn_one(x, y)


def test_a_mutated_learning_rate_takes_effect() -> None:
    one, other = fed(60), fed(60)
    other.mutate({"lr": 0.01})
    for x, y in zip(ROWS[60:], TARGETS[60:], strict=True):
        one.learn_one(x, y)
        other.learn_one(x, y)
    assert one.predict_one(ROWS[0]) != other.predict_one(ROWS[0])


def test_missing_targets_and_junk_do_no_harm() -> None:
    model = fed()
    for y in (None, math.nan, "junk", math.inf):
        model.learn_one({"a": math.inf, "b": [], "mode": None, "t": dt.date(2026, 1, 1)}, y)
    assert math.isfinite(model.predict_one({}))


def test_it_beats_the_last_value_and_a_line_on_a_delayed_echo() -> None:
    rng = np.random.default_rng(4)
    valve = np.convolve(rng.normal(0, 1, 3100), np.ones(8), "valid").tolist()
    data = [({"valve": valve[t]}, valve[t - 12] + float(rng.normal(0, 0.1))) for t in range(12, 3012)]
    line = preprocessing.StandardScaler() | linear_model.LinearRegression()
    scrnn = evaluate.progressive_val_score(data, SCRNNRegressor(seed=1), metrics.MAE()).get()
    last = np.mean([abs(now - before) for (_, now), (_, before) in zip(data[1:], data, strict=False)])
    assert scrnn < 0.85 * min(last, evaluate.progressive_val_score(data, line, metrics.MAE()).get())


def test_a_stream_that_wanders_is_told_no_worse_than_by_its_last_value() -> None:
    data = [(x, y) for x, y in datasets.TrumpApproval()]
    last = np.mean([abs(now - before) for (_, now), (_, before) in zip(data[1:], data, strict=False)])
    model, errors = SCRNNRegressor(seed=1), []
    for x, y in data:
        errors.append(abs(model.predict_one(x) - y))
        model.learn_one(x, y)
    assert np.mean(errors[1:]) < 1.1 * last
