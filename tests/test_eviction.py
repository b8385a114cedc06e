"""Idle machines leave memory and come back: nothing that is told or learned shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scrnn_stream.checkpoint import CheckpointStore
from scrnn_stream.encoding import encode
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.records import Partition, Position, Record
from scrnn_stream.register import Outline
from scrnn_stream.segments import Place
from scrnn_stream.store import StoreProblem
from scrnn_stream.worker import Worker
from tests.test_pipeline import bits
from tests.test_worker import A, B, Broker, Journal, Killed, worker

START = 1.7e9
N_MOST = 5


def shifts(partition: Partition, n_machines: int, seed: int, spell: int = 130) -> list[Record]:
    """Machines that work by turns, some three at a time: each falls silent, and most come back.

    Readings come now and then twice, and once in a spell a sensor leaps.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[float, str, dict[str, float]]] = []
    for machine in range(n_machines):
        for turn in range(1 + (machine % 4 > 0)):
            begin = START + 60 * spell * (machine / 3 + turn * n_machines / 3) + machine
            leaps_at = rng.integers(spell // 2, spell)
            for minute in range(spell):
                values = {"a": float(rng.normal()), "b": float(rng.normal()) + 40 * (leaps_at <= minute < leaps_at + 8)}
                row = (begin + 60 * minute, f"{partition.topic}-{partition.number}-{machine}", values)
                rows += [row] * (1 + (rng.random() < 0.03))
    rows.sort(key=lambda row: row[0])
    return [Record(Position(partition, n), name, time, values) for n, (time, name, values) in enumerate(rows)]


def watch(broker: Broker, path: Path | None, journal: Journal | None = None, **options: Any) -> Worker:
    """A worker with the real pipeline that writes a checkpoint after each batch."""
    options = {"pipeline": Pipeline(), "size": 40, "checkpoint_every_s": 1.0, **options}
    return worker(broker, path, journal, **options)


def states(pipeline: Pipeline, *partitions: Partition) -> list[bytes]:
    return [encode(pipeline.to_state(partition)) for partition in partitions]


@pytest.mark.parametrize("seed", [1, 2])
def test_with_and_without_eviction_all_that_is_told_and_learned_is_the_same_to_the_last_bit(
    seed: int, tmp_path: Path
) -> None:
    logs = shifts(A, 20, seed), shifts(B, 12, seed + 100)
    undisturbed, evicting = Broker(*map(list, logs)), Broker(*map(list, logs))
    one = watch(undisturbed, None)
    one.run()
    other = watch(evicting, tmp_path, max_machines=N_MOST)
    in_memory: list[int] = []
    other.run(stop=lambda: in_memory.append(other.pipeline.n_in_memory))  # type: ignore[func-returns-value]
    assert {alert.kind for alert in undisturbed.alerts} >= {"silent"}
    assert sum(alert.kind == "silent" for alert in undisturbed.alerts) > 40
    assert max(in_memory) < 16 < other.pipeline.n_machines == 32
    assert other.pipeline.n_in_memory == N_MOST
    assert bits(evicting.alerts) == bits(undisturbed.alerts)
    assert other.counts == one.counts
    assert other.pipeline.budget == one.pipeline.budget
    assert other.pipeline.n_duplicates == one.pipeline.n_duplicates > 0
    assert list(other.pipeline.outlines) == list(one.pipeline.outlines)
    assert states(other.pipeline, A, B) == states(one.pipeline, A, B)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return shifts(A, 8, 5, spell=110)


@pytest.fixture(scope="module")
def undisturbed(records: list[Record]) -> tuple[Broker, list[bytes]]:
    broker = Broker(list(records))
    watching = watch(broker, None)
    watching.run()
    assert len(broker.alerts) > 12
    return broker, states(watching.pipeline, A)


def test_killed_at_any_step_it_goes_on_with_what_it_had_evicted(
    records: list[Record], undisturbed: tuple[Broker, list[bytes]], tmp_path: Path
) -> None:
    expected, learned = undisturbed
    for kill_after in range(0, 1000, 29):
        broker, path = Broker(list(records)), tmp_path / str(kill_after)
        watching = watch(broker, path, Journal(kill_after), max_machines=2)
        try:
            watching.run()
        except Killed:
            watching = watch(broker, path, max_machines=2)
            watching.run()
        else:
            break
        assert watching.pipeline.n_in_memory == 2
        assert set(broker.told) == set(expected.told)
        assert states(watching.pipeline, A) == learned
    assert kill_after > 100


def test_at_the_start_as_many_are_loaded_as_may_stay_those_heard_last_and_all_are_verified(
    records: list[Record], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker(list(records))
    watch(broker, tmp_path).run()
    again = watch(broker, tmp_path, max_machines=3)
    again.run(stop=lambda: bool(again._next))
    assert (again.pipeline.n_in_memory, again.pipeline.n_machines) == (3, 8)
    last = sorted(again.pipeline.outlines, key=lambda outline: outline.heard_at)[-3:]
    assert {monitor.machine for monitor in again.pipeline.monitors} == {outline.machine for outline in last}
    for segment in tmp_path.glob("*.seg"):
        segment.write_bytes(segment.read_bytes()[:-1])
    spoilt = watch(broker, tmp_path, max_machines=3)
    spoilt.run(stop=lambda: bool(spoilt._next))
    assert caplog.text.count("is passed over") == 2
    assert spoilt._next == {A: 0}


def evicted(records: list[Record], tmp_path: Path) -> tuple[Pipeline, CheckpointStore]:
    """All of whose machines have left memory."""
    pipeline, store = Pipeline(), CheckpointStore(tmp_path)
    pipeline.fetch = lambda _, place: store.fetch(place)
    pipeline.process(records)
    store.save(A, len(records), *pipeline.to_keep(A))
    pipeline.evict(0)
    assert pipeline.n_in_memory == 0
    return pipeline, store


def test_an_evicted_machine_falls_silent_in_the_second_in_which_it_would_have(
    records: list[Record], tmp_path: Path
) -> None:
    first = [record for record in records if record.machine == records[0].machine][:110]
    here, (there, _) = Pipeline(), evicted(first, tmp_path)
    here.process(first)
    assert there.check_idle(A, 500.0) == here.check_idle(A, 500.0) == ([], None)
    assert there.n_in_memory == 0
    (alert,) = there.check_idle(A, 5000.0).alerts
    assert bits([alert]) == bits(here.check_idle(A, 5000.0).alerts)
    assert (alert.kind, there.n_in_memory) == ("silent", 1)
    there.evict(0)
    assert there.n_in_memory == 1  # the store does not know yet that this was told


def test_a_machine_that_has_changed_since_it_was_written_stays_in_memory(records: list[Record], tmp_path: Path) -> None:
    pipeline, store = evicted(records, tmp_path)
    last = records[-1]
    pipeline.process([Record(Position(A, len(records)), last.machine, (last.time or 0) + 60, {"a": 1.0, "b": 1.0})])
    pipeline.evict(0)
    assert [monitor.machine for monitor in pipeline.monitors] == [last.machine]
    store.save(A, len(records) + 1, *pipeline.to_keep(A))
    pipeline.evict(0)
    assert pipeline.n_in_memory == 0


def test_a_repetition_brings_its_machine_back_and_does_not_change_it(records: list[Record], tmp_path: Path) -> None:
    pipeline, _ = evicted(records, tmp_path)
    n = pipeline.n_duplicates
    pipeline.process([records[-1]])
    assert (pipeline.n_in_memory, pipeline.n_duplicates) == (1, n + 1)
    pipeline.evict(0)
    assert pipeline.n_in_memory == 0


def test_a_machine_without_a_state_that_can_be_read_ends_the_work_and_is_not_learned_anew(
    records: list[Record], undisturbed: tuple[Broker, list[bytes]], tmp_path: Path
) -> None:
    broker = Broker(list(records))
    watching = watch(broker, tmp_path, max_machines=1)
    pipeline = watching.pipeline

    def fetch(machine: str, place: Place) -> dict[str, Any]:
        raise StoreProblem(f"the state of {machine} cannot be read: {place.segment}")

    pipeline.fetch = fetch
    with pytest.raises(StoreProblem, match="cannot be read"):
        watching.run()
    assert 0 < broker.committed[A] < len(records)
    again = watch(broker, tmp_path, max_machines=1)
    again.run()
    assert set(broker.told) == set(undisturbed[0].told)
    assert states(again.pipeline, A) == undisturbed[1]


@pytest.mark.parametrize("swapped", [True, False])
def test_the_state_of_another_machine_or_program_is_never_taken(
    swapped: bool, records: list[Record], tmp_path: Path
) -> None:
    pipeline, _ = evicted(records, tmp_path)
    machine = records[0].machine
    of_another = next(monitor for monitor in pipeline.outlines if monitor.machine != machine).machine
    state = pipeline.monitor(A, of_another).to_state() if swapped else {"machine": machine, "of": "another program"}
    pipeline.fetch = lambda *_: state
    with pytest.raises(StoreProblem, match=rf"^the state of '{machine}' is of another program: .+ start again: "):
        pipeline.monitor(A, machine)
    assert pipeline.n_in_memory == swapped


def test_while_checkpoints_cannot_be_written_none_is_evicted(records: list[Record], tmp_path: Path) -> None:
    path = tmp_path / "full"
    path.write_bytes(b"a file in place of the directory")
    watching = watch(Broker(list(records)), path, max_machines=1)
    watching.run()
    assert watching.pipeline.n_in_memory == watching.pipeline.n_machines == 8


def test_which_episodes_are_open_is_known_of_evicted_machines_too_and_after_a_restart(
    records: list[Record], tmp_path: Path
) -> None:
    pipeline, store = evicted(records, tmp_path)
    still_open = pipeline.still_open(A)
    assert {alert.kind for alert in still_open} == {"silent"}
    assert all(evidence.trail_time == () for alert in still_open for evidence in alert.sensors)
    again = Pipeline()
    assert store.take_up(A, len(records), lambda kept: again.recover(A, kept, 0)) == len(records)
    assert again.n_in_memory == 0
    assert bits(again.still_open(A)) == bits(still_open)
    assert bits(pipeline.still_open(A)) == bits(still_open)


def test_an_outline_of_before_knows_no_open_episodes(records: list[Record]) -> None:
    pipeline = Pipeline()
    pipeline.process(records[:300])
    _, entries = pipeline.to_keep(A)
    for name, entry in entries.items():
        assert Outline.from_state(name, entry.outline()[:-1]) == entry.known._replace(still_open=())
