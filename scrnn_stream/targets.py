"""What a network is to tell: a number, one of many labels, or the next record. In its units, and back."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scrnn_stream.features import as_reading
from scrnn_stream.inputs import Inputs, Scale, as_key, checked_scale, is_missing
from scrnn_stream.places import SCALE_MEAN

Array = NDArray[Any]


class Target(Protocol):
    """What the predictor needs of a target."""

    loss: str

    def __len__(self) -> int:
        """Outputs that the network needs for it."""

    def admit(self, y: Any) -> None:
        """Make room for a value."""

    def vector(self, y: Any, last: Any) -> Array:
        """A value as the network is shown it, float64 (n,); NaN where it is missing."""

    def follow(self, y: Any, last: Any) -> None:
        """Move the scale, after learning."""

    def told(self, outputs: Array | None, last: Any) -> Any:
        """What the outputs mean; None for those of a network that is not there yet."""

    def recalled(self, y: Any) -> Any:
        """What is remembered of a value, or of what was told, until the next record; None if it is missing."""

    def to_state(self) -> dict[str, Any]:
        """All there is, as plain data."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become the target whose state this is."""


class Number:
    """A number, told by its change since the last one. NaN, None and what is no number are missing.

    A change has no level that a drifting series would carry off. Of ten streams (six sensors of SKAB; TrumpApproval,
    ChickWeights, WaterFlow and Friedman of River) eight were told as well as by their levels, to 3 %, and two better
    by a quarter and more.
    """

    loss = "squared"

    def __init__(self) -> None:
        self.scale = Scale()

    def __len__(self) -> int:
        return 1

    def admit(self, y: Any) -> None:
        pass

    def vector(self, y: Any, last: float | None) -> Array:
        return self.scale.scaled(_change(y, last))

    def follow(self, y: Any, last: float | None) -> None:
        self.scale.follow(_change(y, last))
        self.scale.table[SCALE_MEAN] = 0.0  # that of a random walk is chance

    def told(self, outputs: Array | None, last: float | None) -> float:
        """In the target's unit; 0 as long as there was none, then the last one until something better is known."""
        z = 0.0 if outputs is None or last is None else float(outputs[0])
        return (last or 0.0) + self.scale.unscaled(z if math.isfinite(z) else 0.0)

    def recalled(self, y: Any) -> float | None:
        number = as_reading(y)
        return None if math.isnan(number) else number

    def to_state(self) -> dict[str, Any]:
        return {"table": self.scale.table.copy()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.scale.table = checked_scale(state["table"], 1)


class Labels:
    """One of many labels, each with an output of its own from when it was first seen. None and NaN are missing."""

    loss = "softmax"

    def __init__(self) -> None:
        self.labels: list[Hashable] = []
        self._place: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def admit(self, y: Any) -> None:
        y = plain(y)
        if y not in self._place and not is_missing(y):
            self._place[y] = len(self.labels)
            self.labels.append(y)

    def vector(self, y: Any, last: Any) -> Array:  # noqa: ARG002
        y = plain(y)
        out = np.full(len(self), math.nan if is_missing(y) else 0.0)
        if not is_missing(y):
            out[self._place[y]] = 1.0
        return out

    def follow(self, y: Any, last: Any) -> None:
        pass

    def told(self, outputs: Array | None, last: Any) -> dict[Hashable, float]:  # noqa: ARG002
        """The probability of each label seen so far; they add up to 1."""
        p = np.ones(len(self)) if outputs is None else np.asarray(outputs, np.float64)
        p = p if np.isfinite(p).all() else np.ones(len(self))
        return dict(zip(self.labels, (p / p.sum()).tolist(), strict=True))

    def recalled(self, y: Any) -> str | None:
        """A category, be it a number."""
        if isinstance(y, dict):  # probabilities: the likeliest
            y = max(y, key=y.__getitem__, default=None)
        return None if is_missing(y) else str(plain(y))

    def to_state(self) -> dict[str, Any]:
        return {"labels": list(self.labels)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.labels, self._place = [], {}
        for label in state["labels"]:
            self.admit(as_key(label))
        if len(self) != len(state["labels"]):
            raise ValueError(f"labels must be different, got {state['labels']}")


class Record:
    """A record as the inputs see it, who are also its scale: the predictor's own inputs."""

    loss = "squared"

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs

    def __len__(self) -> int:
        return len(self.inputs)

    def admit(self, y: Mapping[Any, Any]) -> None:
        self.inputs.admit(y)

    def vector(self, y: Mapping[Any, Any], last: Any) -> Array:  # noqa: ARG002
        return self.inputs.read(y)

    def follow(self, y: Mapping[Any, Any], last: Any) -> None:
        pass

    def told(self, outputs: Array | None, last: Any) -> Array:  # noqa: ARG002
        return np.zeros(len(self)) if outputs is None else outputs

    def recalled(self, y: Mapping[Any, Any]) -> None:  # noqa: ARG002
        return None

    def to_state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass


def _change(y: Any, last: float | None) -> Array:
    return np.array([math.nan if last is None else as_reading(y) - last])


def plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
