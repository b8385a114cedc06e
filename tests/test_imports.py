"""Imports point one way, and a public name is a decision."""

import ast
from pathlib import Path

import scrnn_stream

CORE = (
    "_compile encoding frames tally rhythm channels records limits store masking",
    "_algebra least_squares precision alert episodes continuity simulate joining ranges segments ledger",
    "season settings",
    "places",
    "_simd _layout features picture extremes",
    "calibration inputs",
    "_kernels absorbing surprise targets",
    "network evidence readout",
    "fleet judging wording predictor guides mixing intervals",
    "machines course known symbols",
    "anomaly forecasting regression classification transformation events checkpoint protocols chart",
    "detector_fleet trail messages report keeper",
    *("casebook", "sensor_watch", "monitor", "register", "pipeline", "worker"),
)  # all other modules are commands: they may import anything, and the core none of them
LAYER = {module: number for number, layer in enumerate(CORE) for module in layer.split()}
ESTIMATORS = ("anomaly", "forecasting", "regression", "classification", "transformation", "events")
ONLY_FOR = {"river": (*ESTIMATORS, "frames"), "kafka": (), "connectors": (), "rich": (), "fsspec": ("store",)}


def test_each_module_of_the_core_imports_only_from_the_layers_below_it() -> None:
    for path in Path(scrnn_stream.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())) if path.stem in LAYER else ():
            base = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
                package, module, *_ = f"{base}{alias.name}.".split(".")
                assert package != "scrnn_stream" or LAYER.get(module, 99) < LAYER[path.stem], (path.stem, module)
                assert path.stem in ONLY_FOR.get(package, LAYER), f"{path.stem} imports {package}"


def test_the_public_names_are_these() -> None:
    assert scrnn_stream.__all__ == [
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
    assert all(hasattr(scrnn_stream, name) for name in scrnn_stream.__all__)
