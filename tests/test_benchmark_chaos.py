"""The chaos run's own judgement: what is lost, doubled or different is found."""

from __future__ import annotations

import json
from itertools import islice

from benchmarks.chaos_feed import SENSORS, messages
from benchmarks.chaos_verdict import Difference, Learned, compare, examples, name_of_alert, name_of_dead_letter
from connectors.codecs import decode_json
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.records import Partition, Position


def event(name: str, says: str = "") -> bytes:
    return json.dumps({"id": name, "says": says}).encode()


EXPECTED = {b"mill": [event("a"), event("b"), event("c")], b"saw": [event("d")]}


def test_what_is_as_it_should_be_makes_no_difference() -> None:
    difference = compare(EXPECTED, {key: list(values) for key, values in EXPECTED.items()}, name_of_alert)
    assert difference == Difference(n_expected=4)
    assert difference.is_none


def test_what_is_lost_doubled_different_added_or_misplaced_is_counted() -> None:
    def told(*mill: bytes) -> Difference:
        difference = compare(EXPECTED, {b"mill": mill, b"saw": EXPECTED[b"saw"]}, name_of_alert)
        assert not difference.is_none
        return difference

    a, b, c = EXPECTED[b"mill"]
    assert told(a, c) == Difference(4, lost=1)
    assert told(a, b, b, c) == Difference(4, doubled=1)
    assert told(a, event("b", "other"), c) == Difference(4, different=1)
    assert told(a, b, c, event("x")) == Difference(4, added=1)
    assert told(b, a, c) == Difference(4, misplaced=1)
    assert compare(EXPECTED, {}, name_of_alert) == Difference(4, lost=4)


def test_what_is_not_as_it_should_be_can_be_looked_into() -> None:
    a, _, c = EXPECTED[b"mill"]
    told = {b"mill": [a, event("b", "other"), event("x")], b"saw": EXPECTED[b"saw"]}
    lines = examples(EXPECTED, told, name_of_alert)
    assert [line.split()[0] for line in lines] == ["lost", "added", "different"]
    assert "other" in lines[2]
    assert c.decode() in lines[0]
    assert examples(EXPECTED, EXPECTED, name_of_alert) == []


def test_a_dead_letter_is_named_by_its_position() -> None:
    letter = json.dumps({"topic": "sensors", "partition": 1, "offset": 7, "reason": "why"}).encode()
    assert name_of_dead_letter(letter) == "sensors/1/7"


def learned(n_lost: int) -> Learned:
    partition, pipeline = Partition("sensors", 0), Pipeline()
    sent = [message for tick in islice(messages(2, seed=1), 60) for message in tick]
    records = [decode_json(m.value, Position(partition, i), key=m.key) for i, m in enumerate(sent)]
    outcome = pipeline.process(records[n_lost:])
    state = Learned.of([pipeline.to_state(partition)])
    assert state.readings + state.repetitions + len(outcome.rejected) == len(records) - n_lost
    return state


def test_a_reading_that_was_not_learned_shows_in_the_state_of_its_machine() -> None:
    assert learned(0).n_other_than(learned(0)) == 0
    assert learned(0).n_other_than(learned(1)) == 1


def test_the_feed_repeats_with_its_seed_and_breaks_every_machine() -> None:
    one, other = (list(islice(messages(2, seed=5), 1500)) for _ in range(2))
    assert one == other
    readings = [json.loads(m.value) for tick in one for m in tick if m.value.startswith(b'{"machine"')]
    assert {name for reading in readings for name in SENSORS if reading[name] is None} == {"vibration"}
    assert {reading["machine"] for reading in readings if reading["pressure"] == 12.0} == {"machine-0", "machine-1"}
