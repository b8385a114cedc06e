"""The learning loop of the estimators: what it tells, when it learns, how it grows and how it is kept."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scrnn_stream.encoding import decode, encode
from scrnn_stream.inputs import Inputs
from scrnn_stream.predictor import Predictor
from scrnn_stream.targets import Labels, Number, Record

SIZES = {"n_hidden": 8, "n_context": 6, "truncation_length": 5, "seed": 3}


def of_number() -> Predictor:
    return Predictor(Number(), **SIZES)


def of_labels() -> Predictor:
    return Predictor(Labels(), lr=0.01, **SIZES)


def of_record() -> Predictor:
    inputs = Inputs()
    return Predictor(Record(inputs), inputs, recalls=False, **SIZES)


def stream(n: int, seed: int = 5) -> list[tuple[dict[str, Any], float]]:
    rng = np.random.default_rng(seed)
    angles = np.cumsum(rng.normal(0.2, 0.02, n))
    noise = rng.normal(0, 0.05, n)
    return [
        ({"crank": math.cos(a), "mode": "ab"[t // 50 % 2]}, 20 + 3 * math.sin(a) * (1 + t // 50 % 2) + e)
        for t, (a, e) in enumerate(zip(angles.tolist(), noise.tolist(), strict=True))
    ]


def fed(predictor: Predictor, n: int) -> Predictor:
    for x, y in stream(n):
        predictor.learn(x, target_of(predictor, x, y))
    return predictor


def target_of(predictor: Predictor, x: dict[str, Any], y: float) -> Any:
    if isinstance(predictor.target, Number):
        return y
    return x if isinstance(predictor.target, Record) else "high" if y > 20 else "low"


MAKERS = pytest.mark.parametrize("make", [of_number, of_labels, of_record])


def test_a_number_is_told_better_than_by_its_last_value_and_a_line() -> None:
    predictor, errors, last_errors, last = of_number(), [], [], 0.0
    for x, y in stream(3000):
        errors.append(abs(predictor.predict(x) - y))
        last_errors.append(abs(last - y))
        predictor.learn(x, y)
        last = y
    assert np.mean(errors[-500:]) < 0.3 * np.mean(last_errors[-500:])


def test_a_number_without_a_network_yet_is_0_and_a_walk_is_its_last_value() -> None:
    predictor = of_number()
    assert predictor.predict({"a": 1.0}) == 0.0
    predictor.learn({"a": 1.0}, 1e6)
    assert predictor.predict({"a": 1.0}) == 1e6


def test_a_label_that_follows_another_by_three_is_told() -> None:
    predictor, rng = of_labels(), np.random.default_rng(2)
    symbols = rng.choice(list("abc"), 4000).tolist()
    hits = []
    for t in range(3, len(symbols)):
        x, y = {"symbol": symbols[t]}, {"a": 1, "b": 2, "c": 3}[symbols[t - 1]]
        p = predictor.predict(x)
        assert not p or math.isclose(sum(p.values()), 1)
        hits.append(max(p, key=p.__getitem__, default=None) == y)
        predictor.learn(x, y)
    assert set(predictor.predict({"symbol": "a"})) == {1, 2, 3}
    assert np.mean(hits[-500:]) > 0.9


def test_a_label_that_comes_late_gets_a_probability_without_a_break() -> None:
    predictor = fed(of_labels(), 300)
    x = {"crank": 1.0, "mode": "a"}
    before = predictor.predict(x)
    predictor.learn(x, "new")
    after = predictor.predict(x)
    assert set(after) == set(before) | {"new"}
    assert sum(after.values()) == pytest.approx(1)


def test_the_next_record_is_told() -> None:
    predictor, errors, steps = of_record(), [], []
    records = [x for x, _ in stream(2000)]
    for now, after in itertools.pairwise(records):
        if len(told := predictor.predict(now)):
            errors.append(np.nanmean(np.abs(told - predictor.inputs.read(after))))
            steps.append(np.nanmean(np.abs(predictor.inputs.read(now) - predictor.inputs.read(after))))
        predictor.learn(now, after)
    assert np.mean(errors[-300:]) < 0.7 * np.mean(steps[-300:])


@MAKERS
def test_only_learn_changes_anything(make: Callable[[], Predictor]) -> None:
    predictor = fed(make(), 200)
    before = encode(predictor.to_state())
    x = {"crank": math.nan, "mode": "never", "new": 3.0}
    predictor.predict(x)
    predictor.run([x, {}, x])
    predictor.state_features()
    predictor.state_features(x, x)
    assert encode(predictor.to_state()) == before


@MAKERS
@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda predictor: pickle.loads(pickle.dumps(predictor))],
    ids=["deep copy", "pickle"],
)
def test_a_copy_goes_on_the_same_and_alone(make: Callable[[], Predictor], copied: Callable[[Any], Any]) -> None:
    predictor = fed(make(), 120)
    twin = copied(predictor)
    for x, y in stream(200)[120:]:
        assert np.array_equal(told(twin, x), told(predictor, x))
        predictor.learn(x, target_of(predictor, x, y))
        twin.learn(x, target_of(predictor, x, y))
    before = encode(twin.to_state())
    predictor.learn({"crank": 5.0}, target_of(predictor, {"crank": 5.0}, 1.0))
    assert encode(twin.to_state()) == before


def told(predictor: Predictor, x: dict[str, Any]) -> Any:
    out = predictor.predict(x)
    return list(out.values()) if isinstance(out, dict) else out


@MAKERS
def test_a_kept_predictor_goes_on_the_same(make: Callable[[], Predictor]) -> None:
    predictor, restored = fed(make(), 120), make()
    restored.restore(decode(encode(predictor.to_state())))
    for x, y in stream(200)[120:]:
        assert np.array_equal(told(restored, x), told(predictor, x))
        predictor.learn(x | {"late": y}, target_of(predictor, x, y))
        restored.learn(x | {"late": y}, target_of(predictor, x, y))
    assert encode(restored.to_state()) == encode(predictor.to_state())


@MAKERS
def test_a_fresh_predictor_can_be_kept(make: Callable[[], Predictor]) -> None:
    restored = make()
    restored.restore(decode(encode(make().to_state())))
    assert encode(fed(restored, 30).to_state()) == encode(fed(make(), 30).to_state())


def test_a_state_whose_parts_do_not_fit_is_refused() -> None:
    state = fed(of_number(), 30).to_state()
    with pytest.raises(ValueError, match="inputs and outputs"):
        of_number().restore(state | {"inputs": Inputs().to_state()})
    with pytest.raises(ValueError, match="readout must be"):
        of_number().restore(state | {"readout": np.zeros(3)})


def test_running_ahead_is_learning_what_is_told_without_the_learning() -> None:
    predictor = fed(of_number(), 500)
    xs = [x for x, _ in stream(510)[500:]]
    ahead, walked = predictor.run(xs), []
    twin = copy.deepcopy(predictor)
    for x in xs:
        walked.append(twin.predict(x))
        assert twin.network is not None
        twin.network.advance(twin.inputs.read(twin._with_last(x, twin._last)))
        twin._last = walked[-1]
    assert ahead == walked


def test_the_state_ahead_is_the_state_that_comes() -> None:
    predictor = fed(of_record(), 200)
    x = stream(201)[200][0]
    ahead = predictor.state_features(x)
    predictor.network.lr = 1e-30  # type: ignore[union-attr]  # so that no weight moves
    predictor.learn(x, x)
    np.testing.assert_allclose(np.concatenate(predictor.state_features()), np.concatenate(ahead), atol=1e-6)


@pytest.mark.parametrize("make", [of_number, of_labels])
@pytest.mark.parametrize("missing", [None, math.nan])
def test_a_missing_target_moves_time_and_no_weight(make: Callable[[], Predictor], missing: Any) -> None:
    predictor = fed(make(), 100)
    assert predictor.network is not None
    n_learned, context, weights = predictor.network.n_learned, predictor.network.context, predictor._readout.copy()
    told_before = predictor.target.to_state()
    predictor.learn({"crank": 0.3}, missing)
    assert predictor.network.n_learned == n_learned
    assert (predictor.network.context != context).any()
    assert np.array_equal(predictor._readout, weights)
    assert encode(predictor.target.to_state()) == encode(told_before)


def test_what_was_expected_stands_for_a_missing_target() -> None:
    predictor, twin = fed(of_number(), 500), fed(of_number(), 500)
    xs = [x for x, _ in stream(508)[500:]]
    ahead = predictor.run(xs)
    for x, expected in zip(xs, ahead, strict=True):
        assert twin.predict(x) == pytest.approx(expected, abs=0.2)  # of 12; scales move
        twin.learn(x, None)


def test_the_learning_rate_may_change_at_any_time() -> None:
    one, other = fed(of_number(), 100), fed(of_number(), 100)
    for x, y in stream(200)[100:]:
        one.learn(x, y, lr=1e-9)
        other.learn(x, y, lr=0.01)
    assert one.predict(x) != other.predict(x)
    assert one.network is not None
    assert one.network.lr == 1e-9


def test_bad_arguments_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="n_hidden must be at least 0, got -1"):
        Predictor(Number(), n_hidden=-1)


def test_a_predictor_that_sees_nothing_tells_what_it_can() -> None:
    labels, record = Predictor(Labels(), recalls=False, **SIZES), of_record()
    labels.learn({}, "a")
    labels.learn({}, "b")
    assert labels.predict({}) == {"a": 0.5, "b": 0.5}
    assert record.predict({}).shape == (0,)
    assert [part.shape for part in record.state_features()] == [(8,), (6,)]
