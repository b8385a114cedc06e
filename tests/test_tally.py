"""Tally: honest whatever the model says, and kept."""

from __future__ import annotations

import numpy as np
import pytest

from scrnn_stream.encoding import decode, encode
from scrnn_stream.tally import Tally


def fed(exponent: float = 1.0, n: int = 5000) -> tuple[Tally, list[float]]:
    """Values of a model that claims p^exponent where p would be right, and what became of them."""
    tally, made = Tally(), []
    for p in np.random.default_rng(1).random(n).tolist():
        made.append(tally.probability(p**exponent))
        tally.learn(p**exponent)
    return tally, made


@pytest.mark.parametrize("exponent", [0.5, 1.0, 3.0])
def test_whatever_a_model_claims_what_is_made_of_it_is_as_rare_as_it_says(exponent: float) -> None:
    _, made = fed(exponent)
    late = np.array(made[1000:])
    assert 0.05 < (late <= 0.1).mean() < 0.13
    assert (late <= 0.01).mean() < 0.02


def test_before_anything_came_everything_is_usual() -> None:
    assert Tally().probability(1e-9) == 1.0


def test_what_never_came_is_one_of_all() -> None:
    tally, _ = fed(n=99)
    assert tally.probability(0.0) == 0.01
    assert tally.probability(1.0) == 1.0


def test_a_kept_one_goes_on_the_same_and_junk_is_refused() -> None:
    tally, restored = fed()[0], Tally()
    restored.restore(decode(encode(tally.to_state())))
    assert restored.probability(0.03) == tally.probability(0.03)
    for counts in (np.zeros(3, np.int64), -np.ones(200, np.int64)):
        with pytest.raises(ValueError, match="counts must be 200 and at least 0"):
            restored.restore({"counts": counts})
