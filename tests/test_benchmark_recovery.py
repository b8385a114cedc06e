"""What a recovery took adds up, whatever its stages were."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from benchmarks.recovery import recovery
from benchmarks.recovery_stages import CONNECTED, FIRST, IMPORTED, LOADED, RESTORED
from benchmarks.walk_through import DEAD_LETTERS, show

KILLED_AT = 100.0
STAGES = [
    {"stage": IMPORTED, "at": 101.0, "took_s": 0.0},
    {"stage": CONNECTED, "at": 101.5, "took_s": 0.5},
    {"stage": RESTORED, "at": 102.5, "took_s": 0.5},
    {"stage": LOADED, "at": 102.5, "took_s": 0.75},
    {"stage": RESTORED, "at": 103.0, "took_s": 0.25},
    {"stage": LOADED, "at": 103.0, "took_s": 0.5},
    {"stage": FIRST, "at": 105.0, "took_s": 0.125},
]


def test_the_stages_of_a_recovery_add_up_to_all_of_it() -> None:
    found = recovery(STAGES, KILLED_AT, since_checkpoint_s=9.0, n_to_replay=9000, back_s=8.0)
    assert found.imports_s == 1.0
    assert found.join_s == 0.25
    assert (found.load_s, found.restore_s, found.first_s) == (0.5, 0.75, 0.125)
    assert sum(found[2:-1]) == pytest.approx(found.back_s)


def test_the_reader_of_the_walk_names_a_dead_letter_by_its_place() -> None:
    letter = {"topic": "sensors", "partition": 1, "offset": 7, "reason": "message is empty"}
    console = Console(width=100)
    with console.capture() as shown:
        assert show(console, DEAD_LETTERS, json.dumps(letter).encode()) == "sensors/1/7"
    assert shown.get() == "dead letter from sensors/1/7: message is empty\n"
