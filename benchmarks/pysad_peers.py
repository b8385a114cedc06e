"""Detectors of PySAD, with their defaults (`pip install pysad`; no dependency of this project)."""

from __future__ import annotations

import numpy as np
from pysad.core.base_model import BaseModel
from pysad.models import LODA, KitNet, RobustRandomCutForest, xStream

from benchmarks.contender import Contender, Reading


class PysadPeer(Contender):
    """A model of PySAD."""

    def __init__(self, model: BaseModel) -> None:
        self.model = model

    def score(self, x: Reading) -> float:
        self.x = np.array(list(x.values()), float)
        return float(self.model.score_partial(self.x))

    def learn(self) -> None:
        self.model.fit_partial(self.x)


def loda(seed: int) -> PysadPeer:
    return PysadPeer(LODA(random_state=seed))


def kitnet(seed: int) -> PysadPeer:
    return PysadPeer(KitNet(random_state=seed))


def xstream(seed: int) -> PysadPeer:
    return PysadPeer(xStream(random_state=seed))


def random_cut_forest(seed: int) -> PysadPeer:
    return PysadPeer(RobustRandomCutForest(random_state=seed))
