"""River's conformance suite, every check of it, for each estimator alone and behind a scaler."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from river import base, checks, datasets, linear_model, preprocessing

from scrnn_stream import (
    SCRNNClassifier,
    SCRNNDetector,
    SCRNNEventDetector,
    SCRNNFeatures,
    SCRNNForecaster,
    SCRNNRegressor,
)

ALONE: list[base.Estimator] = [
    SCRNNDetector(seed=1),
    SCRNNRegressor(seed=1),
    SCRNNFeatures(seed=1),
    SCRNNClassifier(seed=1),
    SCRNNEventDetector(seed=1),
    SCRNNForecaster(seed=1),
]
# a forecaster is not there: River's checks call it as (y, x), and River's pipelines take (x, y)
SCALED: list[base.Estimator] = [preprocessing.StandardScaler() | estimator for estimator in ALONE[:-1]]
UNSEEDED: list[base.Estimator] = [type(estimator)() for estimator in ALONE]  # of these River checks that seeds are kept
ESTIMATORS = {
    f"{type(estimator).__name__} {kind}": estimator
    for kind, estimators in (("alone", ALONE), ("unseeded", UNSEEDED))
    for estimator in estimators
} | {f"{type(alone).__name__} behind a scaler": scaled for alone, scaled in zip(ALONE, SCALED, strict=False)}

OF_BATCHES = "check_learn_many_matches_learn_one"  # behind a scaler no model passes it, see the last test


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{name}-{check.__name__}-{number}")
        for name, estimator in ESTIMATORS.items()
        for number, check in enumerate(checks.yield_checks(estimator))
        if ("unseeded" not in name or "seed" in check.__name__)
        and ("scaler" not in name or check.__name__ != OF_BATCHES)
    ],
)
def test_every_estimator_passes_every_check_of_river(
    estimator: base.Estimator, check: Callable[[base.Estimator], None]
) -> None:
    assert check.__name__ not in estimator._unit_test_skips()
    check(estimator.clone())


@pytest.mark.parametrize(
    ("estimator", "kind", "check"),
    [
        (SCRNNDetector, base.AnomalyDetector, "check_roc_auc"),
        (SCRNNRegressor, base.MiniBatchRegressor, OF_BATCHES),
        (SCRNNClassifier, base.MiniBatchClassifier, "check_classifier_tracks_seen_labels"),
        (SCRNNEventDetector, base.AnomalyDetector, "check_roc_auc"),
        (SCRNNFeatures, base.Transformer, "check_transform_one"),
    ],
)
def test_river_checks_each_as_what_it_is(estimator: type[base.Estimator], kind: type, check: str) -> None:
    (alone,) = [one for one in ALONE if isinstance(one, estimator)]
    assert isinstance(alone, kind)
    assert {check, "check_seeding_is_idempotent"} <= {check.__name__ for check in checks.yield_checks(estimator())}


def test_behind_a_scaler_a_batch_is_scaled_as_a_whole_whatever_the_model() -> None:
    scaler = preprocessing.StandardScaler()
    (check,) = [check for check in checks.yield_checks(SCALED[1]) if check.__name__ == OF_BATCHES]
    with pytest.raises(AssertionError):
        check(scaler | linear_model.BayesianLinearRegression())  # River's own model
    data = list(datasets.TrumpApproval().take(60))
    X, y = pd.DataFrame([x for x, _ in data]), pd.Series([y for _, y in data])
    one, many = SCRNNRegressor(seed=1), scaler.clone() | SCRNNRegressor(seed=1)
    many.learn_many(X, y)
    scaler.learn_many(X)
    for x, target in zip(scaler.transform_many(X).to_dict("records"), y, strict=True):
        one.learn_one(x, target)
    x = data[-1][0]
    assert many.predict_one(x) == one.predict_one(scaler.transform_one(x))
