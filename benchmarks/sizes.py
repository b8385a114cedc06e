"""Numbers of parameters, and the number of units that makes two networks equally large."""

from __future__ import annotations

from collections.abc import Callable


def scrnn(n_inputs: int, n_outputs: int, n_hidden: int, n_context: int) -> int:
    """A, R, P, B, U, V, both biases and one decay for each context unit."""
    into = n_hidden * (n_inputs + n_hidden + n_context + 1) + n_context * (n_inputs + 1)
    return into + n_outputs * (n_hidden + n_context + 1)


def closest(wanted: int, n_parameters: Callable[[int], int]) -> int:
    """The number of units, below 1000, whose number of parameters is nearest to the wanted one."""
    return min(range(1, 1000), key=lambda n: abs(n_parameters(n) - wanted))
