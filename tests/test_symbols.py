"""Symbols: rare values stand out; a kept one goes on the same. The rate of learning falls."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scrnn_stream.encoding import decode, encode
from scrnn_stream.symbols import MOST_WEIGHT, Symbols, rate


def fed() -> Symbols:
    symbols = Symbols(n_values=3)
    for t in range(100):
        symbols.learn({"event": "common", "flow": float(t % 7)} | ({"mode": "rare"} if t == 50 else {}))
    return symbols


def test_a_value_shows_by_its_frequency_and_numbers_as_ever() -> None:
    symbols = fed()
    row = symbols.read({"event": "common", "flow": 3, "mode": "rare"})
    z = dict(zip((column.name for column in symbols.columns), row, strict=True))
    assert z["event"] == pytest.approx(1 / math.sqrt(100.5 / 101))
    assert z["mode"] == pytest.approx(1 / math.sqrt(1.5 / 101))
    assert abs(z["flow"]) < 1


def test_what_is_absent_is_0_and_the_rarest_is_limited() -> None:
    symbols = Symbols()
    symbols.learn({"event": "once"})
    for _ in range(2000):
        symbols.learn({"event": "often"})
    assert symbols.read({}).tolist() == [0, 0]
    assert symbols.read({"event": "once"}).tolist() == [MOST_WEIGHT, 0]


def test_values_that_find_no_room_share_a_weight() -> None:
    symbols = Symbols(n_values=2)
    for event in "abcdefgh":
        symbols.learn({"event": event})
    assert symbols.read({"event": "h"}).tolist() == symbols.read({"event": "c"}).tolist()
    assert symbols.read({"event": "h"})[2] == pytest.approx(1 / math.sqrt(6.5 / 9))


def test_a_kept_one_goes_on_the_same() -> None:
    symbols, restored = fed(), Symbols()
    restored.restore(decode(encode(symbols.to_state())))
    for one in (symbols, restored):
        one.learn({"event": "new", "flow": 2.0})
    x = {"event": "new", "flow": 1.0, "mode": "rare"}
    np.testing.assert_array_equal(restored.read(x), symbols.read(x))


@pytest.mark.parametrize("seen", [np.zeros(1), np.array([101.0, 1, 1]), np.array([-1.0, 1, 1]), np.full(3, np.nan)])
def test_counts_that_do_not_fit_are_refused(seen: np.ndarray) -> None:
    with pytest.raises(ValueError, match="seen must be 3 counts up to 100"):
        Symbols().restore(fed().to_state() | {"seen": seen})


def test_the_rate_falls_to_a_tenth_by_the_square_root_of_time() -> None:
    assert [round(rate(0.01, n), 4) for n in (0, 6000, 10**9)] == [0.01, 0.005, 0.001]
