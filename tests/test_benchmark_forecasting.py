"""The benchmark of forecasts: its series, its rivals and how they are compared."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import forecasting
from benchmarks.forecast_rivals import RIVALS
from benchmarks.forecast_series import CHOSEN, Series, all_series
from benchmarks.forecasting import HORIZONS, LAST, OURS, Result, measure, rows

SHORT = Series("short", [float(t % 4) for t in range(60)], None, 4, CHOSEN)


def test_series_are_whole_and_long_enough_to_be_judged() -> None:
    series = all_series(None)
    assert len({one.name for one in series}) == len(series) == 14
    for one in series:
        assert all(math.isfinite(y) for y in one.y)
        assert one.season <= one.first < len(one.y) - max(HORIZONS)
        assert one.times is None or len(one.times) == len(one.y)


def test_simple_rivals_are_off_by_what_can_be_counted() -> None:
    assert measure(SHORT, "seasonal last value").mae == [0.0] * len(HORIZONS)
    last = measure(SHORT, LAST)
    assert last.mae[2:] == [0.0, 0.0, 0.0]  # a horizon of whole seasons
    assert last.mae[0] == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize("name", [name for name in RIVALS if not name.startswith("deep")])
def test_rivals_see_nothing_that_comes_later(name: str) -> None:
    told = []
    for n in (40, 60):
        rival = RIVALS[name](SHORT)
        for y in SHORT.y[:40]:
            rival.learn_one(y)
        told.append(rival.forecast(5))
        for y in SHORT.y[40:n]:
            rival.learn_one(y)
    np.testing.assert_array_equal(*told)


def test_ours_is_compared_with_the_best_rival_of_each_horizon_and_kept(tmp_path: Path) -> None:
    five = [1.0] * 5
    results = [
        Result("s", CHOSEN, OURS, [2.0, 1.0, 1.0, 1.0, 1.0], five, [0.9] * 5, 1.0),
        Result("s", CHOSEN, LAST, [1.0, 4.0, 4.0, 4.0, 4.0], five, [], 1.0),
        Result("s", CHOSEN, "mean", [math.inf, 2.0, 2.0, 2.0, 2.0], five, [], 1.0),
    ]
    found = rows(results, OURS, CHOSEN)
    assert found.ratio.tolist() == [[2.0, 0.5, 0.5, 0.5, 0.5]]
    assert found.summary()["best or within 5 %"] == 0.8
    file = tmp_path / "results.json"
    forecasting.write_json(file, {"results": [forecasting._plain(result) for result in results]})
    assert forecasting.read(file) == results
