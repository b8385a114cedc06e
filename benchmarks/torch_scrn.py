"""The network in PyTorch's eager mode: the window run forward again at each sample, and autograd back through it."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor, nn

from scrnn_stream.network import SCRNN


class TorchNetwork(nn.Module):
    """What one would write in PyTorch for the same equations and sizes. One thread, no compilation.

    Simpler than ours in one point: what lies before the window has no gradient.
    """

    def __init__(self, network: SCRNN) -> None:
        super().__init__()
        torch.set_num_threads(1)
        D, H, C, Y = network.n_inputs, network.n_hidden, network.n_context, network.n_outputs
        self.B = nn.Parameter(torch.randn(C, D) / D**0.5)
        self.m = nn.Parameter(torch.linspace(0, 7, C))
        self.hidden = nn.Linear(H + C + D, H)
        self.readout = nn.Linear(H + C, Y)
        self.optimizer = torch.optim.RMSprop(self.parameters(), lr=network.lr)
        self.clip_gradient = network.clip_gradient
        self.h, self.s = torch.zeros(H), torch.zeros(C)
        # x_t, and h and s before it
        self.window: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=network.truncation_length)

    def step(self, h: Tensor, s: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """h_t and s_t."""
        keep = torch.sigmoid(self.m)
        s = keep * s + (1 - keep) * (self.B @ x)
        return torch.sigmoid(self.hidden(torch.cat((h, s, x)))), s

    def predict(self, x: Tensor) -> Tensor:
        """y_t at x, without moving time."""
        with torch.no_grad():
            return self.readout(torch.cat(self.step(self.h, self.s, x)))

    def learn(self, x: Tensor, target: Tensor) -> float:
        """Take x in and update."""
        self.window.append((x, self.h, self.s))
        h, s = self.window[0][1:]
        for x_t, _, _ in self.window:
            h, s = self.step(h, s, x_t)
        loss = 0.5 * nn.functional.mse_loss(self.readout(torch.cat((h, s))), target)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters(), self.clip_gradient)
        self.optimizer.step()
        self.h, self.s = h.detach(), s.detach()
        return loss.item()
