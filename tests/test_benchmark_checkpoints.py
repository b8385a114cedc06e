"""The benchmark of checkpoints measures what it says."""

from __future__ import annotations

from pathlib import Path

from benchmarks.checkpoints import Plant
from scrnn_stream.checkpoint import CheckpointStore


def test_what_is_written_follows_from_how_many_have_changed(tmp_path: Path) -> None:
    plant, store = Plant(4), CheckpointStore(tmp_path)
    store.open()
    plant.send(4)
    _, all_mb = plant.save(store)
    plant.send(1)
    _, one_mb = plant.save(store)
    assert 0 < one_mb < all_mb / 2
