"""Checkpoints: manifests and segments, whatever happened to their files."""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from scrnn_stream.checkpoint import MOST_SMALL, N_KEPT, Checkpoint, CheckpointStore
from scrnn_stream.encoding import HEADER, MAGIC, VERSION, EncodingError, decode, encode
from scrnn_stream.records import Partition
from scrnn_stream.store import StoreProblem
from tests.keeping import Thing, files, numbers, things

HERE = Partition("plant/sensors @1", 3)


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "group" / "a")


def filled(store: CheckpointStore, *offsets: int, partition: Partition = HERE) -> CheckpointStore:
    """With checkpoints of one machine, whose state is the offset."""
    for offset in offsets:
        store.save(partition, offset, {"time": 1.0}, {"m": Thing(offset)})
    return store


def only(store: CheckpointStore, suffix: str) -> Path:
    assert store.directory is not None
    (path,) = store.directory.glob(f"*{suffix}")
    return path


def at(store: CheckpointStore, offset: int) -> Path:
    return only(store, f"@{offset}.ckpt")


# -- manifests --------------------------------------------------------------------------------------------------------


def test_nothing_is_created_before_the_first_save(store: CheckpointStore) -> None:
    assert store.load(HERE, at_most=10**9) is None
    assert store.directory is not None
    assert not store.directory.exists()


def test_a_saved_state_is_loaded(store: CheckpointStore) -> None:
    machine = Thing(1)
    machine.tree = {"numbers": [1, 0.1], "array": np.arange(3.0)}
    store.save(HERE, 7, {"time": 0.1}, {"m": machine})
    offset, tree = store.load(HERE, at_most=7) or (0, {})
    assert (offset, tree["time"], tree["monitors"][0]["numbers"]) == (7, 0.1, [1, 0.1])
    np.testing.assert_array_equal(tree["monitors"][0]["array"], np.arange(3.0))


def test_what_lies_beyond_a_new_state_is_of_another_log(store: CheckpointStore) -> None:
    filled(store, 49_000, 50_000, 100)
    assert len(files(store, ".ckpt")) == len(files(store, ".seg")) == 1
    assert numbers(store, HERE, 60_000) == [100]


def test_two_generations_are_kept_by_offset_not_by_name(store: CheckpointStore) -> None:
    filled(store, 8, 9, 10, 100)
    assert len(files(store, ".ckpt")) == len(files(store, ".seg")) == N_KEPT == 2
    assert numbers(store, HERE, 10**9) == [100]
    assert numbers(store, HERE, 99) == [10]


def test_the_newest_at_or_below_an_offset_is_loaded(store: CheckpointStore) -> None:
    filled(store, 10, 20)
    assert [numbers(store, HERE, n) for n in (9, 10, 19, 20, 21)] == [None, [10], [10], [20], [20]]


def test_partitions_and_topics_do_not_mix(store: CheckpointStore) -> None:
    others = [Partition("plant", 3), Partition(HERE.topic, 33), Partition("plant/sensors @1-3", 1), Partition("a*", 3)]
    filled(store, 5)
    for number, other in enumerate(others):
        assert store.load(other, 10**9) is None
        filled(store, 50 + number, 60 + number, 70 + number, partition=other)
    assert numbers(store, HERE, 10**9) == [5]
    assert numbers(store, others[-1], 10**9) == [73]


@pytest.mark.parametrize(
    "damage",
    [b"", b"nonsense", encode({"a": 1})[:-1], encode({"a": 1}), HEADER.pack(MAGIC, VERSION - 1, bytes(32))],
    ids=["empty", "foreign", "truncated", "no manifest", "of before"],
)
def test_a_damaged_generation_is_passed_over_and_told(
    damage: bytes, store: CheckpointStore, caplog: pytest.LogCaptureFixture
) -> None:
    filled(store, 10, 20)
    at(store, 20).write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        assert numbers(store, HERE, 30) == [10]
    assert len(caplog.messages) == 1
    assert at(store, 20).name in caplog.text


def test_a_manifest_that_names_foreign_files_is_passed_over(store: CheckpointStore) -> None:
    filled(store, 10)
    at(store, 10).write_bytes(encode({"stream": {}, "segments": {"../x": 1}, "machines": {"m": (0, 0, 1, [])}}))
    assert store.load(HERE, at_most=30) is None


@pytest.mark.parametrize("error", [AttributeError, KeyError, TypeError, RecursionError, MemoryError, ZeroDivisionError])
def test_whatever_a_foreign_state_raises_it_is_passed_over_and_told(
    error: type[Exception], store: CheckpointStore, caplog: pytest.LogCaptureFixture
) -> None:
    filled(store, 10, 20)
    taken: list[int] = []

    def take(checkpoint: Checkpoint) -> None:
        if checkpoint.offset == 20:
            raise error("what a decoder stumbles over")
        taken.append(checkpoint.offset)

    assert store.take_up(HERE, 30, take) == 10
    assert taken == [10]
    (told,) = caplog.messages
    assert "@20.ckpt of another program is passed over: " in told


@pytest.mark.parametrize(
    "manifest",
    [
        {"stream": [], "segments": {}, "machines": {}},
        {"stream": {}, "segments": {}, "machines": {"m": (5, 0, 1, [])}},
        {"stream": {}, "segments": {}, "machines": {"m": (-1, -9, -9, [])}},
        {"stream": {}, "segments": {}, "machines": {}, "group": 7},
        {"machines": {}},
    ],
)
def test_a_manifest_that_lies_is_passed_over(manifest: dict[str, Any], store: CheckpointStore) -> None:
    filled(store, 10, 20)
    at(store, 20).write_bytes(encode(manifest))
    assert numbers(store, HERE, 30) == [10]


# -- other groups -----------------------------------------------------------------------------------------------------


def of_group(store: CheckpointStore, group: str) -> CheckpointStore:
    return CheckpointStore(str(store.directory), group)


def test_the_checkpoint_of_another_group_is_passed_over_and_told_once(
    store: CheckpointStore, caplog: pytest.LogCaptureFixture
) -> None:
    filled(of_group(store, "b"), 20)
    ours = filled(of_group(store, "a"), 10)
    caplog.clear()
    assert numbers(of_group(store, "a"), HERE, 30) == [10]
    (told,) = caplog.messages
    assert "@20.ckpt is passed over: it is of group 'b', not 'a': " in told
    assert numbers(of_group(store, "b"), HERE, 30) == [20]
    assert numbers(CheckpointStore(str(ours.directory)), HERE, 30) == [20]  # whoever only looks takes all


def test_one_that_names_no_group_is_anyone_s(store: CheckpointStore) -> None:
    filled(store, 10)
    assert numbers(of_group(store, "a"), HERE, 30) == [10]


@pytest.mark.parametrize("looked_up", [True, False])
def test_nothing_of_another_group_is_removed(looked_up: bool, store: CheckpointStore) -> None:
    filled(of_group(store, "b"), 20, 30)
    theirs = files(store)
    ours = of_group(store, "a")
    if looked_up:  # as a rebuild does, which takes none
        ours.look_up(HERE)
    filled(ours, 5, 15, 25, 35)
    assert set(theirs) < set(files(store))
    assert numbers(of_group(store, "b"), HERE, 40) == [30]
    assert numbers(of_group(store, "a"), HERE, 40) == [35]
    filled(of_group(store, "b"), 40)
    filled(ours, 45)
    assert numbers(of_group(store, "b"), HERE, 40) == [40]


def test_a_directory_in_place_of_a_file_is_passed_over(store: CheckpointStore) -> None:
    filled(store, 10, 20)
    newest = at(store, 20)
    newest.unlink()
    newest.mkdir()
    assert numbers(store, HERE, 30) == [10]


def test_a_state_that_cannot_be_encoded_leaves_the_store_as_it_was(store: CheckpointStore) -> None:
    machine = Thing(1)
    machine.tree = {"a": object()}
    filled(store, 10, 20)
    before = files(store)
    with pytest.raises(NotImplementedError):
        store.save(HERE, 30, {}, {"m": machine})
    assert files(store) == before


# -- segments ---------------------------------------------------------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_damaged_or_missing_segment_makes_its_checkpoint_be_passed_over(
    damage: Callable[[Path], object], store: CheckpointStore, caplog: pytest.LogCaptureFixture
) -> None:
    machines = things(3, n_bytes=100)
    store.save(HERE, 10, {}, machines)
    machines["m1"].change(7)
    store.save(HERE, 20, {}, machines)
    damage(next(path for path in store.directory.glob("*@20-*.seg")))  # type: ignore[union-attr]
    assert numbers(store, HERE, 30) == [0, 1, 2]
    assert len(caplog.messages) == 1
    assert "@20.ckpt is passed over: " in caplog.text
    assert ".seg" in caplog.text or "No such file" in caplog.text


def test_only_what_has_changed_is_encoded_and_written(store: CheckpointStore) -> None:
    class Machine(Thing):
        n_encoded = 0

        def to_state(self) -> dict[str, Any] | None:
            self.n_encoded += 1
            return super().to_state()

    machines = {f"m{k}": Machine(k) for k in range(5)}
    store.save(HERE, 10, {}, machines)
    machines["m3"].change(33)
    store.save(HERE, 20, {}, machines)
    assert [machine.n_encoded for machine in machines.values()] == [1, 1, 1, 2, 1]
    assert numbers(store, HERE, 20) == [0, 1, 2, 33, 4]
    assert numbers(store, HERE, 19) == [0, 1, 2, 3, 4]
    store.save(HERE, 30, {}, machines)
    assert len(files(store, ".seg")) == 2
    assert numbers(CheckpointStore(str(store.directory)), HERE, 30) == [0, 1, 2, 33, 4]


def test_a_segment_is_of_bounded_size_unless_one_state_is_larger(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, segment_bytes=1000)
    store.save(HERE, 10, {}, things(9, n_bytes=200) | {"large": Thing(9, n_bytes=2000)})
    sizes = [path.stat().st_size for path in tmp_path.glob("*.seg")]
    assert sum(size > 1000 for size in sizes) == 1
    assert len(sizes) == 4
    assert numbers(store, HERE, 10) == list(range(10))


@pytest.mark.parametrize("are_evicted", [False, True])
def test_the_store_holds_at_most_twice_what_is_needed_for_each_generation(are_evicted: bool, tmp_path: Path) -> None:
    store, rng, machines = CheckpointStore(tmp_path, segment_bytes=4000), np.random.default_rng(1), things(40, 200)
    store.save(HERE, 0, {}, machines)
    one = len(encode(machines["m0"].tree))
    for offset in range(1, 60):
        for machine in machines.values():
            machine.is_evicted = are_evicted
        for k in rng.integers(40, size=3):
            machines[f"m{k}"].is_evicted = False
            machines[f"m{k}"].change(int(rng.integers(10**6)))
        store.save(HERE, offset, {}, machines)
        assert sum(path.stat().st_size for path in tmp_path.glob("*.seg")) <= N_KEPT * 2 * 41 * one
    assert numbers(store, HERE, 10**6) == [machine.number for machine in machines.values()]
    assert [store.fetch(machine.place)["number"] for machine in machines.values() if machine.place] == [
        machine.number for machine in machines.values()
    ]


def test_many_small_segments_are_written_together(store: CheckpointStore) -> None:
    machines = things(MOST_SMALL + 10)
    store.save(HERE, 0, {}, machines)
    for offset, machine in enumerate(machines.values(), 1):
        machine.change(offset)
        store.save(HERE, offset, {}, machines)
    assert len(files(store, ".seg")) < 20
    assert numbers(store, HERE, 10**6) == list(range(1, MOST_SMALL + 11))


def test_memory_for_a_checkpoint_is_bounded_by_a_segment_not_by_the_machines(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, segment_bytes=200_000)
    machines = things(100, n_bytes=50_000)
    tracemalloc.start()
    try:
        store.save(HERE, 10, {}, machines)
        for machine in machines.values():
            machine.is_evicted = True
        for name in list(machines)[::2]:
            machines[name].is_evicted = False
            machines[name].change(1)
            store.save(HERE, 20, {}, machines)
        store.take_up(HERE, 20, lambda checkpoint: [None for _ in checkpoint.states()].clear())
        assert tracemalloc.get_traced_memory()[1] < 1_000_000  # of five
    finally:
        tracemalloc.stop()


def test_an_evicted_machine_whose_segment_is_damaged_is_never_given_up_silently(store: CheckpointStore) -> None:
    machines = things(3)
    store.save(HERE, 10, {}, machines)
    flip(only(store, ".seg"))
    place = machines["m1"].place
    assert place is not None
    with pytest.raises(StoreProblem, match=r"\.seg: damaged or truncated"):
        store.fetch(place)
    machines["m0"].change(5)
    machines["m2"].change(5)
    machines["m1"].is_evicted = True
    with pytest.raises(StoreProblem, match="damaged or truncated"):
        store.save(HERE, 20, {}, machines)
    assert machines["m1"].place == place


# -- killed and failed writers ----------------------------------------------------------------------------------------


class Failing:
    """Steps of a store that fail from a certain one on, and name it."""

    def __init__(self, store: CheckpointStore, after: int, error: type[BaseException] = StoreProblem) -> None:
        self.n, self.after, self.error = 0, after, error
        for step in ("write", "remove"):
            setattr(store.files, step, self._counted(getattr(store.files, step)))

    def _counted(self, do: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: Any) -> None:
            self.n += 1
            if self.n > self.after:
                raise self.error("no")
            do(*arguments)

        return counted


@pytest.mark.parametrize("error", [StoreProblem, KeyboardInterrupt])
def test_after_a_writer_is_killed_or_fails_at_any_step_there_is_a_checkpoint_and_no_rest(
    error: type[BaseException], tmp_path: Path
) -> None:
    for after in itertools.count():
        path = tmp_path / str(after)
        store, machines = CheckpointStore(path, segment_bytes=700), things(8, n_bytes=200)
        store.save(HERE, 10, {}, machines)
        machines["m2"].change(22)
        store.save(HERE, 20, {}, machines)
        places = [machine.place for machine in machines.values()]
        for name in ("m0", "m1", "m4"):
            machines[name].change(99)
        failing = Failing(store, after, error)
        try:
            store.save(HERE, 30, {}, machines)
        except error:
            assert numbers(CheckpointStore(path), HERE, 30) in ([0, 1, 22, 3, 4, 5, 6, 7], [99, 99, 22, 3, 99, 5, 6, 7])
        else:
            break
        failing.after = 10**9
        if error is not StoreProblem:  # another process goes on
            store, machines = CheckpointStore(path, segment_bytes=700), things(8, n_bytes=200)
        elif machines["m0"].place is None:
            assert [m.place for m in machines.values()][5:] == places[5:]
        machines["m3"].change(33)
        for offset in (30, 40):
            store.save(HERE, offset, {}, machines)
        assert numbers(store, HERE, 40) == [machine.number for machine in machines.values()]
        needed = {m.place.segment for m in machines.values() if m.place}
        assert set(files(store, ".seg")) == needed
    assert after >= 4  # each write and each removal was the last one


def test_a_worker_that_was_replaced_meanwhile_writes_no_more(store: CheckpointStore) -> None:
    filled(store, 10)
    other = CheckpointStore(str(store.directory))
    assert numbers(other, HERE, 10) == [10]
    filled(other, 20)
    before = files(store)
    with pytest.raises(StoreProblem, match=r"another worker has written \S+@20\.ckpt meanwhile"):
        filled(store, 15)
    assert files(store) == before
    assert numbers(store, HERE, 30) == [20]  # it is given the partition back
    filled(store, 25)


def test_segments_that_another_worker_is_about_to_need_are_left(store: CheckpointStore) -> None:
    filled(store, 10)
    assert store.directory is not None
    theirs = store.directory / only(store, ".seg").name.replace("@10-", "@12-")
    theirs.write_bytes(b"of another")
    filled(store, 15, 20)
    assert theirs.exists()
    store.load(HERE, 30)  # now they are known, and nothing needs them
    filled(store, 30)
    assert not theirs.exists()


FILLING = """
    import resource, sys
    from scrnn_stream.checkpoint import CheckpointStore
    from scrnn_stream.records import Partition
    from scrnn_stream.store import StoreProblem
    from tests.keeping import Thing
    store, partition = CheckpointStore(sys.argv[1]), Partition("plant", 0)
    store.save(partition, 10, {}, {"m": Thing(1)})
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    try:
        store.save(partition, 20, {}, {"m": Thing(1, n_bytes=100_000)})
    except StoreProblem as problem:
        print(problem)
"""


def test_a_state_too_large_for_the_disk_is_told_and_leaves_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(FILLING), str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]).stdout
    assert told == f"{tmp_path}: File too large\n"
    assert [path.name.partition("-")[0] for path in tmp_path.iterdir()] == ["plant", "plant"]
    assert numbers(CheckpointStore(tmp_path), Partition("plant", 0), 30) == [1]


# -- URLs -------------------------------------------------------------------------------------------------------------


_places = itertools.count()


@pytest.fixture
def remote() -> CheckpointStore:
    """A store with no directory, new for each test."""
    return CheckpointStore(f"memory://checkpoints/{next(_places)}")


def test_a_file_url_is_its_path(tmp_path: Path) -> None:
    filled(CheckpointStore(f"file://{tmp_path}/a"), 5)
    assert numbers(CheckpointStore(tmp_path / "a"), HERE, 9) == [5]


def test_an_object_store_keeps_checkpoints_as_a_directory_does(remote: CheckpointStore) -> None:
    assert remote.load(HERE, 100) is None
    remote.open()
    filled(remote, 8, 9, 10, 100)
    assert [numbers(remote, HERE, n) for n in (9, 99, 100)] == [None, [10], [100]]
    filled(remote, 50)
    assert numbers(remote, HERE, 100) == [50]
    filled(remote, 7, partition=Partition(HERE.topic, 33))
    assert numbers(remote, HERE, 100) == [50]


@pytest.mark.parametrize("kind", ["ckpt", "seg"])
def test_a_damaged_object_is_passed_over_and_told(
    kind: str, remote: CheckpointStore, caplog: pytest.LogCaptureFixture
) -> None:
    filled(remote, 10, 20)
    memory = fsspec.filesystem("memory")
    paths = memory.ls(str(remote).removeprefix("memory:/"), detail=False)
    (newest,) = (path for path in paths if "@20" in path and path.endswith(kind))
    memory.pipe_file(newest, memory.cat_file(newest)[:-1])
    assert numbers(remote, HERE, 30) == [10]
    assert "damaged or truncated" in caplog.text


def test_a_store_that_cannot_be_looked_up_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert CheckpointStore(tmp_path / "a" / "b").load(HERE, 1) is None
    assert "checkpoints cannot be looked up" in caplog.text


def test_what_a_manifest_holds_is_data_alone(store: CheckpointStore) -> None:
    filled(store, 10)
    assert decode(at(store, 10).read_bytes())["stream"] == {"time": 1.0}
    with pytest.raises(EncodingError):
        decode(only(store, ".seg").read_bytes()[1:])
