"""SCRNNEventDetector: improbable events, events never seen, what was expected, calm scores, keeping."""

from __future__ import annotations

import copy
import math
import pickle
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from river import anomaly

from scrnn_stream import SCRNNEventDetector
from scrnn_stream.encoding import decode, encode
from scrnn_stream.events import OTHERS

NOISE = [f"message {i}" for i in range(6)]


def log(n: int, seed: int = 1) -> Iterator[str]:
    """A sequence of three comes between messages of any kind."""
    random_, events = random.Random(seed), []
    while len(events) < n:
        events += (
            random_.choices(NOISE, k=random_.randrange(1, 4)) if random_.random() < 0.5 else ["trip", "shut", "stop"]
        )
    return iter(events[:n])


def fed(n: int = 3000, **arguments: Any) -> SCRNNEventDetector:
    detector = SCRNNEventDetector(**{"n_hidden": 16, "n_context": 16, "seed": 1, **arguments})
    for event in log(n):
        detector.learn_one({"event": event})
    return detector


@pytest.fixture(scope="module")
def learned() -> SCRNNEventDetector:
    """After whole sequences, of which it has seen hundreds."""
    detector = fed()
    for event in ("trip", "shut", "stop"):
        detector.learn_one({"event": event})
    return detector


def after(detector: SCRNNEventDetector, *events: str) -> SCRNNEventDetector:
    detector = copy.deepcopy(detector)
    for event in events:
        detector.learn_one({"event": event})
    return detector


def test_an_event_out_of_order_scores_and_what_follows_as_ever_does_not(learned: SCRNNEventDetector) -> None:
    detector = after(learned, "trip")
    assert detector.score_one({"event": "stop"}) > 0.4
    assert detector.score_one({"event": "shut"}) < 0.1


def test_where_all_are_as_likely_none_scores(learned: SCRNNEventDetector) -> None:
    detector = after(learned, "message 1", "message 2")
    assert max(detector.score_one({"event": event}) for event in NOISE) < 0.35


def test_the_explanation_tells_what_was_expected(learned: SCRNNEventDetector) -> None:
    surprise = after(learned, "trip").explain_one({"event": "stop"})
    assert surprise.event == "stop"
    assert surprise.p < surprise.p_value < 0.02
    assert next(iter(surprise.instead)) == "shut"
    assert surprise.instead["shut"] > 0.9
    assert len(surprise.instead) == 5
    assert sum(surprise.instead.values()) < 1


def test_an_event_never_seen_is_as_probable_as_new_ones_are(learned: SCRNNEventDetector) -> None:
    few = fed(4).explain_one({"event": "fire"})
    many = learned.explain_one({"event": "fire"})
    assert many.p == 1 / (2 + 3003)
    assert many.p_value >= 1 / (1 + 3003)
    assert few.p > 0.3
    assert learned.score_one({"event": "fire"}) > 0.5


def test_as_often_as_a_score_says_calm_events_are_beyond_it() -> None:
    detector, p_values = SCRNNEventDetector(seed=1), []
    for event in log(8000, seed=5):
        p_values.append(detector.explain_one({"event": event}).p_value)
        detector.learn_one({"event": event})
    late = np.array(p_values[2000:])
    assert (late <= 0.1).mean() < 0.12
    assert (late <= 0.01).mean() < 0.013


def test_a_record_without_an_event_moves_time_and_scores_0(learned: SCRNNEventDetector) -> None:
    detector = copy.deepcopy(learned)
    for x in ({}, {"event": None}, {"event": math.nan}, {"event": []}, {"other": "trip"}):
        assert detector.score_one(x) == 0.0
        assert detector.explain_one(x).event is None
        detector.learn_one(x)
    assert detector._n_seen == learned._n_seen


def test_numbers_are_symbols_and_the_feature_may_have_any_name() -> None:
    detector = SCRNNEventDetector(event=0, n_hidden=8, n_context=4, seed=1)
    for t in range(600):
        detector.learn_one({0: np.int64(100 + t % 3)})
    assert detector.explain_one({0: 101}).instead.keys() == {100, 101, 102}
    assert detector.score_one({0: 100}) < 0.1 < 0.3 < detector.score_one({0: 102})


def test_a_time_gap_helps_to_tell_the_event() -> None:
    detector = SCRNNEventDetector(n_hidden=16, n_context=4, seed=1)
    random_ = random.Random(1)
    for _ in range(3000):
        is_late = random_.random() < 0.5
        detector.learn_one({"event": "timeout" if is_late else "answer", "gap": 9.0 if is_late else 1.0})
    assert detector.score_one({"event": "answer", "gap": 1.0}) < 0.1
    assert detector.score_one({"event": "answer", "gap": 9.0}) > 0.3


def test_events_without_room_count_as_one() -> None:
    detector = SCRNNEventDetector(n_events=3, n_hidden=4, n_context=2, seed=1)
    for t in range(50):
        detector.learn_one({"event": f"event {t}"})
    assert detector.explain_one({"event": "event 49"}).event == OTHERS
    assert len(detector._counts) == 4
    with pytest.raises(ValueError, match="n_events must be at least 1, got 0"):
        SCRNNEventDetector(n_events=0)


def test_only_learning_changes_anything(learned: SCRNNEventDetector) -> None:
    before = encode(learned.to_state())
    learned.score_one({"event": "never seen", "gap": 3})
    learned.explain_one({"event": "trip"})
    assert encode(learned.to_state()) == before


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda detector: pickle.loads(pickle.dumps(detector)),
        lambda detector: detector.clone(include_attributes=True),
    ],
)
def test_a_copy_goes_on_the_same_and_alone(copied: Callable[[SCRNNEventDetector], SCRNNEventDetector]) -> None:
    detector = fed(300)
    other = copied(detector)
    for event in log(100, seed=2):
        assert other.explain_one({"event": event}) == detector.explain_one({"event": event})
        for one in (detector, other):
            one.learn_one({"event": event})
    other.learn_one({"event": "fire"})
    assert detector._n_seen + 1 == other._n_seen


def test_a_kept_detector_goes_on_the_same_and_a_clone_is_new() -> None:
    detector, restored = fed(300), fed(0)
    detector.learn_one({"event": 7})
    restored.restore(decode(encode(detector.to_state())))
    for event in log(100, seed=2):
        assert restored.explain_one({"event": event}) == detector.explain_one({"event": event})
        detector.learn_one({"event": event})
        restored.learn_one({"event": event})
    assert detector.clone().explain_one({"event": 7}).instead == {}


def test_counts_that_cannot_be_are_refused() -> None:
    state = fed(10).to_state()
    with pytest.raises(ValueError, match="counts must be at least 1"):
        fed(0).restore(state | {"counts": [["trip", 0]]})


def test_rows_of_a_frame_follow_each_other() -> None:
    many = SCRNNEventDetector(n_hidden=16, n_context=16, seed=1)
    many.learn_many(pd.DataFrame({"event": list(log(200))}))
    assert many.explain_one({"event": "trip"}) == fed(200).explain_one({"event": "trip"})


def test_a_quantile_filter_flags_the_event_out_of_order() -> None:
    model = SCRNNEventDetector(n_hidden=16, n_context=16, seed=1)
    flags = anomaly.QuantileFilter(model, q=0.99, protect_anomaly_detector=False)
    for event in (*log(3000), "trip", "shut", "stop", "trip"):
        flags.learn_one({"event": event})
    assert flags.classify(flags.score_one({"event": "stop"}))
    assert not flags.classify(flags.score_one({"event": "shut"}))
