"""Learns each machine's normal behaviour from its sensor stream; raises an alert when the machine departs from it."""

from scrnn_stream.anomaly import Cause, SCRNNDetector
from scrnn_stream.classification import SCRNNClassifier
from scrnn_stream.detector_fleet import SCRNNDetectorFleet
from scrnn_stream.events import SCRNNEventDetector, Surprise
from scrnn_stream.fleet import SCRNNFleet
from scrnn_stream.forecasting import SCRNNForecaster
from scrnn_stream.network import SCRNN
from scrnn_stream.regression import SCRNNRegressor
from scrnn_stream.transformation import SCRNNFeatures

__all__ = [
    "SCRNN",
    "Cause",
    "SCRNNClassifier",
    "SCRNNDetector",
    "SCRNNDetectorFleet",
    "SCRNNEventDetector",
    "SCRNNFeatures",
    "SCRNNFleet",
    "SCRNNForecaster",
    "SCRNNRegressor",
    "Surprise",
]
