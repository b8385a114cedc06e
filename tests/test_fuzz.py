"""A short run of what `make fuzz` does a million times: nothing that comes in may break a promise."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings

from benchmarks.fuzz import RUNS
from benchmarks.fuzz_messages import lines_of_messages
from benchmarks.fuzz_targets import TARGETS

N_INPUTS = {"stream": 60, "command": 60, "rows": 300, "state": 150, "config": 300}
MARKS = b'{}[]",:0123456789eE.+-nul\n\\ \x00\xff'


def mangled(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, cut, doubled or put in."""
    kept = bytearray(data)
    for _ in range(chance.randint(0, 6)):
        at, what = chance.randrange(len(kept) + 1), chance.randrange(4)
        if what == 0:
            kept[at : at + 1] = bytes([chance.randrange(256)])
        elif what == 1:
            kept[at:at] = bytes([chance.choice(MARKS)])
        elif what == 2:
            del kept[at : at + chance.randint(1, 8)]
        else:
            begin = chance.randrange(len(kept) + 1)
            kept[at:at] = kept[begin : begin + 20]
    return bytes(kept)


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_that_are_nearly_right_break_no_promise(name: str) -> None:
    target, chance = TARGETS[name], random.Random(7)
    for seed in (*target.seeds, *target.words):
        target.run(seed)
    for _ in range(N_INPUTS.get(name, 1000)):
        target.run(mangled(chance.choice(target.seeds), chance))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(lines_of_messages)
def test_every_message_of_a_stream_is_learned_or_in_the_dead_letters(data: bytes) -> None:
    TARGETS["stream"].run(data)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="Atheris has no wheel for this system")
def test_the_fuzzer_is_guided_by_branches_and_says_how_many_inputs_it_tried() -> None:
    command = [sys.executable, "-m", "benchmarks.fuzz", "checkpoint", "--runs", "3000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("| checkpoint")).split("|")
    inputs, branches, kept = (int(row[k].replace(",", "")) for k in (2, 4, 5))
    assert inputs == 3000
    assert branches > 60
    assert kept > len(TARGETS["checkpoint"].seeds)


def test_each_way_in_has_its_number_of_inputs() -> None:
    assert RUNS.keys() == TARGETS.keys()
    assert sum(RUNS.values()) >= 1_000_000
