"""River's conformance suite, every check of it, for the detector alone and behind a scaler."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from river import base, checks, compose, preprocessing

from scrnn_stream import SCRNNDetector

ESTIMATORS = [SCRNNDetector(seed=1), preprocessing.StandardScaler() | SCRNNDetector(seed=1)]


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{type(estimator).__name__}-{check.__name__}-{number}")
        for estimator in ESTIMATORS
        for number, check in enumerate(checks.yield_checks(estimator))
    ],
)
def test_the_detector_passes_every_check_of_river(
    estimator: SCRNNDetector | compose.Pipeline, check: Callable[..., None]
) -> None:
    assert check.__name__ not in estimator._unit_test_skips()
    check(estimator.clone())


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_river_checks_it_as_an_anomaly_detector(estimator: SCRNNDetector | compose.Pipeline) -> None:
    assert isinstance(estimator, base.AnomalyDetector)
    assert "check_roc_auc" in {check.__name__ for check in checks.yield_checks(estimator)}
