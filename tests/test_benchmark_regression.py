"""The regression benchmark: what River's models are shown, and how the table is made of errors."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path

import pytest

from benchmarks import pictures
from benchmarks.regression import Lagged, LastValue, best_of_all, delayed_product, groups, main, numbers, run


class Shown:
    """A model that notes what it is shown."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def predict_one(self, x):
        self.rows.append(x)
        return 0.0

    def learn_one(self, x, _y):
        assert x == self.rows[-1]
        assert "y" not in x


def test_lags_are_of_records_that_were_learned_before() -> None:
    shown = Shown()
    lagged = Lagged(shown, 2)
    for t in (1.0, 2.0, 3.0, 4.0):
        lagged.predict_one({"a": t})
        lagged.learn_one({"a": t}, 10 * t)
    assert shown.rows[0] == {"a": 1.0}
    assert shown.rows[3] == {"a": 4.0, "a -1": 3.0, "y -1": 30.0, "a -2": 2.0, "y -2": 20.0}


def test_a_datetime_becomes_hour_and_weekday_and_text_is_left_out() -> None:
    assert numbers({"t": dt.datetime(2026, 11, 26, 5), 1: 2, "m": "x"}) == {"t hour": 5, "t weekday": 3, "1": 2.0}


def test_an_error_counts_from_the_hundredth_record_on() -> None:
    assert run(LastValue(), [({}, float(t % 2) if t < 100 else 5.0 + t) for t in range(200)])[0] == pytest.approx(
        (104 + 99) / 100
    )


def test_runs_with_faults_are_one_row_and_the_best_is_never_a_variant_of_ours() -> None:
    rows = {
        "SKAB calm, a": {"SCRNN": 1.0},
        "SKAB valve1/0.csv, a": {"SCRNN": 2.0},
        "SKAB other/1.csv, b": {"SCRNN": 3.0},
    }
    assert [len(row) for row in groups(rows).values()] == [1, 2]
    assert best_of_all({"SCRNN": 2.0, "no network": 1.0, "Bayes": 3.0}) == 2.0


def test_the_delayed_product_cannot_be_told_from_the_record() -> None:
    examples = list(delayed_product(500))
    assert len(examples) == 495
    assert set(examples[0][0]) == {"a", "b"}


def test_the_command_prints_a_table_and_keeps_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["regression", "--only", "SCRNN", "--json", str(tmp_path / "found.json")])
    main()
    assert "best or within 5 %, of 6" in capsys.readouterr().out
    errors = json.loads((tmp_path / "found.json").read_text())["errors"]
    assert errors["TrumpApproval"]["last value"] == 1.0
    assert errors["delayed product"]["SCRNN"] < 0.97


def test_a_drawing_holds_its_lines_and_its_axes() -> None:
    line = pictures.Line("one & two", [(0.0, 1.0), (100.0, 3.0)], pictures.BLUE)
    svg = pictures.Drawing("A title", "record", [line], (0, 4), (50, 100, "shaded")).svg()
    assert "one &amp; two" in svg
    assert 'points="64.0,250.5 880.0,119.5"' in svg
    assert ">20<" in svg
