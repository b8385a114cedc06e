"""When checkpoints are written, and what is said while they cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scrnn_stream.checkpoint import CheckpointStore, Keepable
from scrnn_stream.keeper import FETCH_PATIENCE_S, WAITS_S, WARN_EVERY_S, Keeper
from scrnn_stream.records import Partition
from scrnn_stream.segments import Place
from scrnn_stream.store import StoreProblem
from tests.keeping import Thing

A, B = Partition("plant", 0), Partition("plant", 1)


class Flaky(CheckpointStore):
    """Fails while it is told to, and takes its time for that."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.now = 0.0
        self.fails, self.takes_s = False, 0.0
        self.tried: list[Partition] = []

    def save(self, partition: Partition, offset: int, stream: dict[str, Any], machines: Mapping[str, Keepable]) -> None:
        self.tried.append(partition)
        self._fail("No space left on device")
        super().save(partition, offset, stream, machines)

    def fetch(self, place: Place) -> dict[str, Any]:
        self._fail("Input/output error")
        return super().fetch(place)

    def _fail(self, reason: str) -> None:
        if self.fails:
            self.now += self.takes_s
            raise StoreProblem(f"/models: {reason}")


@pytest.fixture
def store(tmp_path: Path) -> Flaky:
    return Flaky(tmp_path)


@pytest.fixture
def keeper(store: Flaky) -> Keeper:
    def sleep(seconds: float) -> None:
        store.now += seconds

    return Keeper(store, 30.0, lambda: store.now, sleep)


def keep(keeper: Keeper) -> bool:
    return keeper.keep((partition, 10, ({}, {})) for partition in (A, B))


def test_a_failure_is_told_at_first_and_then_now_and_then_and_so_is_its_end(
    store: Flaky, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    store.fails = True
    for store.now in (30.0, 60.0, 90.0, 30.0 + WARN_EVERY_S):
        assert keeper.is_due
        keep(keeper)
        assert not keeper.is_due
    assert len(caplog.messages) == 2
    assert "No space left on device; alerts go on" in caplog.messages[0]
    store.fails = False
    store.now += 30.0
    assert not keeper.keep(())
    assert len(caplog.messages) == 2  # nothing was written
    keep(keeper)
    keep(keeper)
    assert caplog.messages[2:] == ["checkpoints are written again, after 630 s without"]


def test_each_partition_is_tried_so_long_as_failures_are_quick(store: Flaky, keeper: Keeper) -> None:
    store.fails = True
    assert not keep(keeper)
    assert store.tried == [A, B]
    assert not keeper.kept
    store.fails = False
    assert keep(keeper)
    assert keeper.kept.keys() == {A, B}


def test_a_store_that_fails_slowly_takes_a_tenth_of_the_time_at_most(store: Flaky, keeper: Keeper) -> None:
    store.fails, store.takes_s, store.now = True, 60.0, 30.0
    keep(keeper)
    assert store.tried == [A]
    store.now = 90.0 + 539.0
    assert not keeper.is_due
    store.now = 90.0 + 540.0
    assert keeper.is_due


# -- the state of one machine -----------------------------------------------------------------------------------------


@pytest.fixture
def place(store: Flaky) -> Place:
    machine = Thing(7)
    store.save(A, 10, {}, {"m": machine})
    assert machine.place is not None
    return machine.place


def test_a_state_is_fetched_at_the_next_attempt_if_the_first_fails(
    store: Flaky, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    def sleep(seconds: float) -> None:
        store.now, store.fails = store.now + seconds, False

    store.fails = True
    assert Keeper(store, 30.0, lambda: store.now, sleep).fetch("m", place)["number"] == 7
    assert caplog.messages == ["the state of m cannot be read: /models: Input/output error; trying again in 0.2 s"]


@pytest.mark.parametrize(("takes_s", "n_tried"), [(0.0, len(WAITS_S) + 1), (FETCH_PATIENCE_S / 1.5, 2)])
def test_a_state_that_cannot_be_read_ends_the_work_with_one_line_after_some_attempts(
    takes_s: float, n_tried: int, store: Flaky, keeper: Keeper, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    store.fails, store.takes_s = True, takes_s
    with pytest.raises(StoreProblem) as raised:
        keeper.fetch("pump-4", place)
    assert len(caplog.messages) == n_tried - 1
    told = (
        "the state of pump-4 cannot be read: /models: Input/output error; nothing is lost: start again when it can be"
    )
    assert str(raised.value) == told
