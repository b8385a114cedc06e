"""What a checkpoint costs: CPU, memory on top, and bytes, after all machines have changed and after one in a hundred.

python -m benchmarks.checkpoints [--machines 300]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

from scrnn_stream.checkpoint import CheckpointStore
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.records import Partition, Position, Record

HERE = Partition("sensors", 0)
N_SENSORS, N_WARM = 8, 60
START = 1.7e9


class Plant:
    """Machines of noise that send a record a minute, and a pipeline that watches them."""

    def __init__(self, n_machines: int) -> None:
        self.names = [f"m{k}" for k in range(n_machines)]
        self.pipeline, self.offset, self.minute = Pipeline(), 0, 0
        self._rng = np.random.default_rng(0)

    def send(self, n_machines: int) -> None:
        """A record of each of the first machines."""
        for name in self.names[:n_machines]:
            values = {f"s{k}": value for k, value in enumerate(self._rng.normal(size=N_SENSORS).tolist())}
            time_s = START + 60.0 * self.minute
            self.pipeline.process([Record(Position(HERE, self.offset), name, time_s, values)])
            self.offset += 1
        self.minute += 1

    def save(self, store: CheckpointStore) -> tuple[float, float]:
        """Milliseconds of CPU, and the bytes written in MB."""
        before, begin = _names(store), time.process_time()
        store.save(HERE, self.offset, *self.pipeline.to_keep(HERE))
        took_ms = (time.process_time() - begin) * 1000
        return took_ms, sum(path.stat().st_size for path in _names(store) - before) / 1e6


def _names(store: CheckpointStore) -> set[Path]:
    assert store.directory is not None
    return set(store.directory.iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=300)
    n = parser.parse_args().machines
    plant = Plant(n)
    for _ in range(N_WARM):
        plant.send(n)
    with tempfile.TemporaryDirectory() as path:
        store = CheckpointStore(path)
        for n_changed in (n, n, max(1, n // 100), max(1, n // 100)):
            plant.send(n_changed)
            took_ms, mb = plant.save(store)
            print(f"{n_changed} of {n} machines changed: {took_ms:.0f} ms of CPU, {mb:.1f} MB written")
        plant.send(n)
        tracemalloc.start()
        plant.save(store)
        print(f"memory on top: {tracemalloc.get_traced_memory()[1] / 1e6:.0f} MB")
        tracemalloc.stop()
        plant.pipeline.fetch = lambda _, place: store.fetch(place)
        plant.pipeline.evict(0)
        begin = time.process_time()
        for name in plant.names:
            plant.pipeline.monitor(HERE, name)
        print(f"a machine is brought back in {(time.process_time() - begin) / n * 1000:.1f} ms of CPU")


if __name__ == "__main__":
    main()
