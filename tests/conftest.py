"""River's own checks read `datasets.CreditCard`, a download of 150 MB: here it is a generator with the same names."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from river import datasets
from river.datasets.base import BINARY_CLF, SyntheticDataset


class CreditCard(SyntheticDataset):
    """Payments of 30 features. One in fifty is a fraud and lies far off in some of them."""

    def __init__(self) -> None:
        super().__init__(n_features=30, task=BINARY_CLF)

    def __iter__(self) -> Iterator[tuple[dict[str, float], int]]:
        rng = np.random.default_rng(42)
        spreads = np.linspace(2.0, 0.3, 28)
        for second in itertools.count():
            fraud = rng.random() < 0.02
            components = rng.normal(0, spreads) + fraud * spreads * rng.choice([-6.0, 0.0, 6.0], 28)
            x = {"Time": float(second // 2)} | {f"V{k}": float(v) for k, v in enumerate(components, 1)}
            yield x | {"Amount": round(float(rng.lognormal(3 + fraud)), 2)}, int(fraud)


datasets.CreditCard = CreditCard  # before River collects its checks
