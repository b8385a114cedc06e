"""Rows that are added, taken out, grown and kept."""

from __future__ import annotations

import threading

import msgspec
import numpy as np

from scrnn_stream import SCRNN
from scrnn_stream import places as at
from scrnn_stream.encoding import decode, encode
from scrnn_stream.machines import _ROOMS, Machines
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.simulate import simulate_fleet
from tests.watching import POLICY


def network(n_sensors: int) -> SCRNN:
    return SCRNN(n_sensors, n_sensors, n_hidden=4, n_context=3, seed=1)


def machines(n: int, n_sensors: int = 2) -> Machines:
    made = Machines(n_sensors, network(n_sensors), POLICY)
    made.add(n)
    return made


def learned(some: Machines, n: int, seed: int = 1) -> np.ndarray:
    """The scores of n records of each machine in turn."""
    rng, rows = np.random.default_rng(seed), np.tile(np.arange(len(some)), n)
    records = np.column_stack([rng.normal(size=(len(rows), some.n_sensors)), np.full(len(rows), np.nan)])
    scores, p_of_tails = np.empty(len(rows)), np.empty(len(rows))
    some.process(scores, p_of_tails, records, rows, True)
    return scores


def test_new_machines_know_nothing_and_leave_the_others_as_they_are() -> None:
    some = machines(2)
    fresh = encode(some.one(1).to_state())
    learned(some, 30)
    before = [encode(some.one(i).to_state()) for i in range(2)]
    some.add(3)
    assert [encode(some.one(i).to_state()) for i in range(2)] == before
    assert {encode(some.one(i).to_state()) for i in range(2, 5)} == {fresh}


def test_looking_changes_nothing() -> None:
    some = machines(1)
    learned(some, 30)
    before = encode(some.to_state())
    some.process(np.zeros(1), np.zeros(1), np.full((1, 3), 9.0), np.zeros(1, np.int64), False)
    assert encode(some.to_state()) == before


def test_a_machine_that_was_kept_goes_on_identically() -> None:
    original = machines(1)
    learned(original, 400)
    kept = Machines.from_state(decode(encode(original.to_state())), POLICY)
    np.testing.assert_array_equal(learned(kept, 100, seed=2), learned(original, 100, seed=2))
    assert encode(kept.to_state()) == encode(original.to_state())


def test_growth_keeps_clock_tails_table_and_network_and_empties_the_queue() -> None:
    old = machines(1)
    learned(old, 400)
    old_network = old.network_of(0)
    assert old_network is not None
    old_network.grow(3, 3)
    new = old.grown(3, old_network)
    np.testing.assert_array_equal(new.numbers[0, : at.SEASON], old.numbers[0, : at.SEASON])
    np.testing.assert_array_equal(new.table(0)[:, :2], old.table(0))
    np.testing.assert_array_equal(new.calm, old.calm)
    assert (old.counts[0, at.N_WAITING], new.counts[0, at.N_WAITING]) == (at.N_QUEUED, 0)
    np.testing.assert_array_equal(new.networks[0], old_network._network)
    assert np.isfinite(learned(new, 50)).all()


def test_nothing_is_remembered_in_scratch_space() -> None:
    """It is shared by all machines of a thread: whatever lies there, and be it not a number, changes nothing."""
    records = simulate_fleet(n_pumps=1, days=3, seed=1).records
    plain, poisoned = Pipeline(), Pipeline()
    expected = plain.process(records).alerts
    told = []
    for record in records:
        for rooms in _ROOMS._by_size.values():
            for room in rooms:
                room[:] = np.nan
        told += poisoned.process([record]).alerts
    assert encode({"alerts": list(map(msgspec.to_builtins, told))}) == encode(
        {"alerts": list(map(msgspec.to_builtins, expected))}
    )
    partition = records[0].position.partition
    assert encode(poisoned.to_state(partition)) == encode(plain.to_state(partition))


def test_each_thread_has_scratch_space_of_its_own() -> None:
    rooms = []
    thread = threading.Thread(target=lambda: rooms.append(_ROOMS.of((1, 1, 1))))
    thread.start()
    thread.join()
    assert rooms[0][0] is not _ROOMS.of((1, 1, 1))[0]
    assert _ROOMS.of((1, 1, 1))[0] is _ROOMS.of((1, 1, 1))[0]
