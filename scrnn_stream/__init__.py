"""Learns each machine's normal behaviour from its sensor stream; raises an alert when the machine departs from it."""

from scrnn_stream.anomaly import Cause, SCRNNDetector
from scrnn_stream.detector_fleet import SCRNNDetectorFleet
from scrnn_stream.fleet import SCRNNFleet
from scrnn_stream.network import SCRNN

__all__ = ["SCRNN", "Cause", "SCRNNDetector", "SCRNNDetectorFleet", "SCRNNFleet"]
