"""The detector with other parameters, a run of its own each."""

from __future__ import annotations

from typing import Any

from scrnn_stream import SCRNN, SCRNNDetector

AS_SHIPPED = "as shipped"
NEXT_TO_NOTHING = 1e-12  # a rate of 0 is refused


class FixedDecay(SCRNNDetector):
    """Context units whose decays stay where they start."""

    def _new_network(self, n_sensors: int) -> SCRNN:
        return SCRNN.from_state(super()._new_network(n_sensors).to_state() | {"learn_decay": False})


CHANGES: dict[str, tuple[type[SCRNNDetector], dict[str, Any]]] = {
    AS_SHIPPED: (SCRNNDetector, {}),
    "drawn units": (SCRNNDetector, {"lr": NEXT_TO_NOTHING}),
    "next to no units": (SCRNNDetector, {"n_hidden": 1, "n_context": 0}),
    "no context units": (SCRNNDetector, {"n_context": 0}),
    "fixed decays": (FixedDecay, {}),
    "truncation at 1": (SCRNNDetector, {"truncation_length": 1}),
    "half the sizes": (SCRNNDetector, {"n_hidden": 16, "n_context": 8}),
    "double the sizes": (SCRNNDetector, {"n_hidden": 64, "n_context": 32}),
}


def fresh(change: str, seed: int) -> SCRNNDetector:
    """A detector that has seen nothing."""
    make, parameters = CHANGES[change]
    return make(time_key="timestamp", seed=seed, **parameters)
