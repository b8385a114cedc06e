"""Every example runs, and prints its point."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
TIMEOUT_S = 120
POINTS = {  # a line that the program prints
    "quickstart.py": r"to blame: vibration",
    "river_pipeline.py": r"ROC AUC of the scores: 0\.[89]\d\d",
    "regression.py": r"the model +0\.\d\d",
    "features.py": r"features \| logistic regression +[89]\d%",
    "next_event.py": r"SCRNNClassifier +of each 50 stops told rightly: .* (9\d|100)%",
    "event_log.py": r"fault: tank A fills, score 0\.\d\d; expected tank B fills \((9\d|100)%\)",
    "replay_file.py": r"\S+ firing   stuck   pump-1: flow has repeated one reading for \d+ records; .*",
    "kafka_worker.py": r"firing   warning  pump-1: flow has repeated one reading for \d+ records; .*",
    "forecast.py": r"2[0-4] of 24 months lie in their 90 % interval; the forecast is off by [3-9]\.\d% on average",
}


@pytest.mark.parametrize("name", POINTS)
def test_the_example_prints_its_point(name: str) -> None:
    run = subprocess.run(
        [sys.executable, EXAMPLES / name], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert run.returncode == 0, run.stderr
    assert any(re.fullmatch(POINTS[name], line) for line in run.stdout.splitlines()), run.stdout


def test_every_example_is_tested_short_and_listed() -> None:
    programs = sorted(EXAMPLES.glob("*.py"))
    assert [program.name for program in programs] == sorted(POINTS)
    for program in programs:
        assert len(program.read_text().splitlines()) <= 60, program.name
        assert program.name in (EXAMPLES / "README.md").read_text()
