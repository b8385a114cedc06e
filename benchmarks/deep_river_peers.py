"""The autoencoder of deep-river's documentation (`pip install deep-river`, which wants a River before 0.26)."""

from __future__ import annotations

import torch
from deep_river.anomaly import Autoencoder
from river import preprocessing
from torch import Tensor, nn

from benchmarks.contender import Reading
from benchmarks.river_peers import RiverPeer

N_LATENT, RATE = 3, 0.005


class Module(nn.Module):
    """Three numbers to say all sensors with."""

    def __init__(self, n_sensors: int) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(n_sensors, N_LATENT), nn.Linear(N_LATENT, n_sensors)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(nn.functional.leaky_relu(self.encoder(x))))


class DeepRiverPeer(RiverPeer):
    """Built at the first record, which tells how many sensors there are."""

    def __init__(self, seed: int) -> None:
        super().__init__(None)
        self.seed = seed

    def score(self, x: Reading) -> float:
        if self.model is None:
            torch.manual_seed(self.seed)
            network = Autoencoder(Module(len(x)), lr=RATE, seed=self.seed)
            self.model = preprocessing.MinMaxScaler() | network
        return super().score(x)


def autoencoder(seed: int) -> DeepRiverPeer:
    torch.set_num_threads(1)
    return DeepRiverPeer(seed)
