"""River's own anomaly detectors, with their defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from river import anomaly, preprocessing

from benchmarks.contender import Contender, Reading


class RiverPeer(Contender):
    """A detector of whole records, alone or at the end of a pipeline."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def score(self, x: Reading) -> float:
        self.x = x
        return float(self.model.score_one(x))

    def learn(self) -> None:
        self.model.learn_one(self.x)


class EachSensor(Contender):
    """Detectors of one value, one for each sensor; the sensor that stands out most has the score of the record.

    They may look at the record before: River gives features and a value apart to such detectors, and the last readings
    are what is known when the next one comes.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make
        self.models: dict[str, Any] = {}
        self.before: Reading = {}
        self.x: Reading = {}

    def score(self, x: Reading) -> float:
        self.before, self.x = self.x, x
        scores = (model.score_one(self.before, x[name]) for name, model in self.models.items())
        return float(max(scores, default=0.0))

    def learn(self) -> None:
        if not self.models and self.before:  # some cannot score before they have learned
            self.models = {name: self.make() for name in self.x}
        for name, model in self.models.items():
            model.learn_one(self.before, self.x[name])


def half_space_trees(seed: int) -> RiverPeer:
    """Behind the scaler that its documentation asks for."""
    return RiverPeer(preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=seed))


def loda(seed: int) -> RiverPeer:
    return RiverPeer(anomaly.LODA(seed=seed))


def standard_absolute_deviation() -> EachSensor:
    return EachSensor(anomaly.StandardAbsoluteDeviation)


def gaussian_scorer() -> EachSensor:
    return EachSensor(anomaly.GaussianScorer)


def predictive() -> EachSensor:
    """Its default model is a regression; the last readings are its features."""
    return EachSensor(anomaly.PredictiveAnomalyDetection)
