"""The command: what it writes, and one line that says what to do where it cannot."""

from __future__ import annotations

import csv
import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from scrnn_stream.cli import main
from scrnn_stream.logs import _Log

ROWS = 900


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """One sensor, one reading a minute, ten times as high from row 800 on; row 5 cannot be read."""
    readings = 20 + np.random.default_rng(1).normal(size=ROWS) + 200 * (np.arange(ROWS) >= 800)
    lines = [f"2026-01-05 {t // 60:02}:{t % 60:02}:00;{x:.3f}" for t, x in enumerate(readings)]
    lines[5] = "2026-01-05 00:05:00;hot"
    path = tmp_path / "pump.csv"
    path.write_text("\n".join(["timestamp;flow", *lines]), encoding="utf-8")
    return path


def test_replay_writes_a_row_for_each_row_the_alerts_and_their_cards(recording: Path, tmp_path: Path) -> None:
    scores, alerts, cards = tmp_path / "scores.csv", tmp_path / "alerts.jsonl", tmp_path / "cards"
    outputs = ["--scores", str(scores), "--alerts", str(alerts), "--report", str(cards)]
    assert main(["replay", str(recording), *outputs]) == 0
    rows = list(csv.DictReader(scores.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == ROWS
    assert rows[5]["anomaly_score"] == "nan"
    assert {row["alert"] for row in rows[700:800]} == {"0"}
    assert rows[810]["alert"] == "1"
    told = [json.loads(line) for line in alerts.read_text(encoding="utf-8").splitlines()]
    assert told[-1]["data"]["begin"] == datetime(2026, 1, 5, 13, 20, tzinfo=UTC).timestamp()
    assert (cards / "index.html").exists()


def test_replay_ends_with_what_was_asked_and_achieved(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cards, config = tmp_path / "cards", tmp_path / "scrnn.toml"
    config.write_text("alerts_per_week = 3.5\n[sensors.flow]\nhigh = 100\n[sensors.fluw]\nhigh = 1\n", encoding="utf-8")
    assert main(["replay", str(recording), "--config", str(config), "--report", str(cards)]) == 0
    told = capsys.readouterr().err
    assert "alerts: 1 anomaly, 1 out_of_range" in told
    assert "budget: 0.5 a day asked of each machine; 1 raised in 0.4" in told
    assert "limits for sensors that never came: sensors.fluw" in told
    assert "still learning" not in told
    assert "Budget: 0.5 a day asked" in (cards / "index.html").read_text(encoding="utf-8")


def test_replay_says_who_is_still_learning_at_the_end(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording.write_text("\n".join(recording.read_text(encoding="utf-8").splitlines()[:100]), encoding="utf-8")
    assert main(["replay", str(recording)]) == 0
    assert "1 still learning" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["replay", "nowhere.csv"], "nowhere.csv"),
        (["replay", "{recording}", "--time", "when"], "when"),
        (["replay", "{recording}", "--report", "{recording}"], "--report"),
        (["replay", "{recording}", "--report", "{recording}/cards"], "--report"),
        (["replay", "{recording}", "--alerts-per-day", "0"], "--alerts-per-day"),
        (["replay", "{recording}", "--alerts-per-day", "1", "--alerts-per-week", "1"], "--alerts-per-week"),
        (["replay", "{recording}", "--accept-after", "0"], "accept_after"),
        (["replay", "{recording}", "--config", "nowhere.toml"], "nowhere.toml"),
        (["run", "--config", "nowhere.toml"], "nowhere.toml"),
        (["run", "--brokers", "127.0.0.1:1", "--checkpoints", "{recording}/state"], "--checkpoints"),
        (["run", "--checkpoints", "s4://bucket/models"], "unknown protocol 's4'"),
        (["run", "--checkpoints", "{recording}.state", "--warmup", "7 moons"], "--warmup"),
        (["run", "--max-machines", "2.5"], "whole number"),
        (["run", "--stop-within", "soon"], "must be a number above 0, got 'soon'"),
        (["run", "--topics", "x"], "--topics"),
        (["forecast"], "forecast"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line_with_exit_code_2(
    arguments: list[str], words: str, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = main([argument.format(recording=recording) for argument in arguments])
    except SystemExit as exit:
        code = exit.code
    assert code == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert words in told[0]


def test_a_driver_says_nothing_below_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    for name, level in (("s3fs", logging.DEBUG), ("s3fs", logging.WARNING), ("scrnn_stream.worker", logging.DEBUG)):
        _Log().handle(logging.LogRecord(name, level, "", 0, f"{name} at {level}", None, None))
    assert capsys.readouterr().err.splitlines() == ["s3fs at 30", "scrnn_stream.worker at 10"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "registry"], "give --registry URL"),
        (["--registry", "http://127.0.0.1:1"], "give --format registry, too"),
        (["--format", "registry", "--registry", "me:secret@registry"], "must be a URL such as"),
        (
            ["--format", "registry", "--registry", "http://me:secret@127.0.0.1:1/x?secret"],
            "127.0.0.1:1/x does not answer",
        ),
    ],
)
def test_a_registry_that_cannot_be_used_is_told_in_one_line(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--checkpoints", str(tmp_path), *options]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert "secret" not in said
