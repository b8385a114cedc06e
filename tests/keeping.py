"""What tests of checkpoints share: machines of which nothing but their state matters."""

from __future__ import annotations

from typing import Any

from scrnn_stream.checkpoint import CheckpointStore
from scrnn_stream.records import Partition
from scrnn_stream.segments import Place


class Thing:
    """A machine with a number for a state, and as many bytes as asked."""

    def __init__(self, number: int, n_bytes: int = 0) -> None:
        self.ballast = bytes(n_bytes)
        self.place: Place | None = None
        self.is_evicted = False
        self.change(number)

    def change(self, number: int) -> None:
        self.number, self.place = number, None
        self.tree: dict[str, Any] = {"number": number, "ballast": self.ballast}

    def to_state(self) -> dict[str, Any] | None:
        return None if self.is_evicted else self.tree

    def outline(self) -> list[Any]:
        return [self.number]


def things(n: int, n_bytes: int = 0) -> dict[str, Thing]:
    return {f"m{k}": Thing(k, n_bytes) for k in range(n)}


def files(store: CheckpointStore, suffix: str = "") -> list[str]:
    """Names in a store that is a directory."""
    assert store.directory is not None
    return sorted(path.name for path in store.directory.glob(f"*{suffix}"))


def numbers(store: CheckpointStore, partition: Partition, at_most: int) -> list[int] | None:
    """The states of the newest checkpoint that can be read."""
    found = store.load(partition, at_most)
    return None if found is None else [tree["number"] for tree in found[1]["monitors"]]
