"""When checkpoints are written, and what is said while they cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scrnn_stream.checkpoint import CheckpointStore, StoreProblem
from scrnn_stream.keeper import WARN_EVERY_S, Keeper
from scrnn_stream.records import Partition

A, B = Partition("plant", 0), Partition("plant", 1)


class Flaky(CheckpointStore):
    """Fails while it is told to, and takes its time for that."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.now = 0.0
        self.fails, self.takes_s = False, 0.0
        self.tried: list[Partition] = []

    def save(self, partition: Partition, offset: int, state: dict[str, Any]) -> None:
        self.tried.append(partition)
        if self.fails:
            self.now += self.takes_s
            raise StoreProblem("/models: No space left on device")
        super().save(partition, offset, state)


@pytest.fixture
def store(tmp_path: Path) -> Flaky:
    return Flaky(tmp_path)


@pytest.fixture
def keeper(store: Flaky) -> Keeper:
    return Keeper(store, 30.0, lambda: store.now)


def keep(keeper: Keeper) -> None:
    keeper.keep((partition, 10, {}) for partition in (A, B))


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
    keeper.keep(())
    assert len(caplog.messages) == 2  # nothing was written
    keep(keeper)
    keep(keeper)
    assert caplog.messages[2:] == ["checkpoints are written again, after 630 s without"]


def test_each_partition_is_tried_so_long_as_failures_are_quick(store: Flaky, keeper: Keeper) -> None:
    store.fails = True
    keep(keeper)
    assert store.tried == [A, B]
    assert keeper.kept == set()
    store.fails = False
    keep(keeper)
    assert keeper.kept == {A, B}


def test_a_store_that_fails_slowly_takes_a_tenth_of_the_time_at_most(store: Flaky, keeper: Keeper) -> None:
    store.fails, store.takes_s, store.now = True, 60.0, 30.0
    keep(keeper)
    assert store.tried == [A]
    store.now = 90.0 + 539.0
    assert not keeper.is_due
    store.now = 90.0 + 540.0
    assert keeper.is_due
