"""What the machines of a partition have learned, on file: a manifest for each offset, and segments with the states.

A checkpoint writes the states of the machines that have changed into new segments, and then a small manifest that says
of each machine where its state lies. A file is never altered, so the manifests before stay whole; segments that none of
them needs any more are removed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from scrnn_stream.encoding import EncodingError, decode, encode
from scrnn_stream.ledger import Ledger, Manifest, OfAnotherGroup
from scrnn_stream.records import Partition
from scrnn_stream.segments import SEGMENT_BYTES, Place, SegmentWriter, read_states
from scrnn_stream.store import Store, StoreProblem

logger = logging.getLogger(__name__)

N_KEPT = 2  # generations
MOST_SMALL = 100  # segments of less than an eighth of their greatest size: one more, and they are written together


class Keepable(Protocol):
    """A machine as a checkpoint sees it."""

    place: Place | None  # where its state lies in the store; None if that has changed since

    def to_state(self) -> dict[str, Any] | None:
        """Its state as plain data; None if it is in the store alone."""
        ...

    def outline(self) -> list[Any]:
        """The few numbers of it that must be known without its state."""
        ...


class Kept(NamedTuple):
    """A machine as a manifest knows it."""

    place: Place
    outline: list[Any]


class Checkpoint:
    """A manifest that was read; its states are on file.

    Attributes
    ----------
    stream
        What is known of the partition as a whole.
    machines
        By name, in the order in which they were first heard.
    """

    def __init__(self, store: Store, offset: int, manifest: Manifest) -> None:
        segments = list(manifest.segments)
        self.offset, self.stream = offset, manifest.stream
        self.machines = {
            name: Kept(Place(segments[number], begin, size), outline)
            for name, (number, begin, size, outline) in manifest.machines.items()
        }
        self._store = store

    def states(self) -> Iterator[tuple[str, bytes]]:
        """The encoded state of each machine, its checksum verified; one segment in memory at a time."""
        return read_states(self._store, {name: kept.place for name, kept in self.machines.items()})


class CheckpointStore:
    """Checkpoints of one consumer group under a directory or URL.

    Parameters
    ----------
    url
        As a :class:`~scrnn_stream.store.Store` takes it.
    group
        Its name. What others wrote is passed over and left alone; None takes what anyone wrote.
    segment_bytes
        Most bytes of a segment, unless a single state is larger; a checkpoint needs about twice as much memory.

    Raises
    ------
    StoreProblem
        If there can be no such store. Nothing is opened yet.
    """

    def __init__(self, url: str | Path, group: str | None = None, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.files = Store(url)
        self.group = group
        self.segment_bytes = segment_bytes
        self._ledgers: dict[Partition, Ledger] = {}

    def __str__(self) -> str:
        return str(self.files)

    @property
    def directory(self) -> Path | None:
        """Where the files lie, None if that is elsewhere."""
        return self.files.directory

    def n_bytes(self, partition: Partition) -> int:
        """Of the segments that the checkpoints of a partition need, as far as this process knows."""
        ledger = self._ledgers.get(partition)
        return sum(ledger.sizes.values()) if ledger is not None else 0

    def open(self) -> None:
        """Make the store, write to it and read it. StoreProblem if that is not possible."""
        self.files.open()

    # -- writing ------------------------------------------------------------------------------------------------------

    def save(self, partition: Partition, offset: int, stream: dict[str, Any], machines: Mapping[str, Keepable]) -> None:
        """Keep what is known after everything before `offset`, with the generation before it.

        Only machines that have changed are encoded. Each is told its `place` when all is written.

        Raises
        ------
        StoreProblem
            If it could not be kept; the generations before are then still there.
        """
        ledger = self._ledger(partition)
        names = self.files.names()
        self._set_apart(ledger, names)
        offsets = ledger.offsets(names)
        self._remove_later(ledger, offset, offsets)
        kept = [before for before in offsets if before < offset]
        if ledger.is_untidy:  # what a killed or failed writer left must not fill the store
            self._tidy(ledger, [*kept, *({offset} & set(offsets))], machines)
        ledger.is_untidy = True
        places = self._write(ledger, offset, stream, machines)
        for name, machine in machines.items():
            machine.place = places[name]
        kept.append(offset)
        for old in kept[:-N_KEPT]:
            self._remove(ledger, old)
        self._tidy(ledger, kept[-N_KEPT:], machines)

    def _write(
        self, ledger: Ledger, offset: int, stream: dict[str, Any], machines: Mapping[str, Keepable]
    ) -> dict[str, Place]:
        """First the states, then the manifest that says where they are."""
        writer = SegmentWriter(self.files, f"{ledger.stem}@{offset}", self.segment_bytes, ledger.known)
        places = self._write_states(machines, _stale(machines, ledger.sizes, self.segment_bytes), writer)
        ledger.sizes |= writer.sizes
        segments = {place.segment: ledger.sizes[place.segment] for place in places.values()}
        number = {segment: n for n, segment in enumerate(segments)}
        kept = {
            name: (number[(at := places[name]).segment], at.begin, at.size, machine.outline())
            for name, machine in machines.items()
        }
        name = ledger.name(offset)
        ledger.known.add(name)
        ledger.foreign.discard(name)
        ledger.segments.pop(name, None)  # if the write fails, it is not certain which of two is there
        self.files.write(name, encode({"stream": stream, "segments": segments, "machines": kept, "group": self.group}))
        ledger.segments[name] = set(segments)
        return places

    def _write_states(
        self, machines: Mapping[str, Keepable], stale: set[str], writer: SegmentWriter
    ) -> dict[str, Place]:
        """Where the state of each machine lies; those without one in memory are copied from stale segments."""
        places, to_copy = {}, {}
        for name, machine in machines.items():
            if machine.place is not None and machine.place.segment not in stale:
                places[name] = machine.place
            elif (state := machine.to_state()) is not None:
                places[name] = writer.add(encode(state))
            elif machine.place is not None:
                to_copy[name] = machine.place
        try:
            for name, data in read_states(self.files, to_copy):
                places[name] = writer.add(data)
        except EncodingError as error:
            raise StoreProblem(f"{self}: {error}") from None
        writer.flush()
        return places

    def _remove_later(self, ledger: Ledger, offset: int, offsets: list[int]) -> None:
        """Those beyond are of a topic made anew, or of offsets that were reset; or this worker has been replaced."""
        later = [other for other in offsets if other > offset]
        if any(ledger.name(other) not in ledger.known for other in later):
            raise StoreProblem(f"{self}: another worker has written {ledger.name(max(later))} meanwhile")
        for other in later:
            self._remove(ledger, other)

    def _remove(self, ledger: Ledger, offset: int) -> None:
        name = ledger.name(offset)
        self.files.remove(name)
        ledger.known.discard(name)
        ledger.segments.pop(name, None)

    def _tidy(self, ledger: Ledger, offsets: list[int], machines: Mapping[str, Keepable]) -> None:
        """Remove segments that nothing needs; not those of another worker, which may be about to write its manifest."""
        needed = {machine.place.segment for machine in machines.values() if machine.place is not None}
        for offset in offsets:
            try:
                needed.update(self._segments(ledger, ledger.name(offset)))
            except EncodingError:
                continue  # it will be passed over
            except StoreProblem as problem:
                logger.info("segments are not tidied: %s", problem)
                return
        for name in ledger.unneeded(needed):
            self.files.remove(name)
            ledger.known.discard(name)
            ledger.sizes.pop(name, None)
        ledger.is_untidy = False

    def _segments(self, ledger: Ledger, name: str) -> set[str]:
        if name not in ledger.segments:
            ledger.read(name, self.files.read(name))
        return ledger.segments[name]

    # -- reading ------------------------------------------------------------------------------------------------------

    def take_up(self, partition: Partition, at_most: int, take: Callable[[Checkpoint], None]) -> int | None:
        """The offset of the newest checkpoint, not beyond `at_most`, that can be taken; None if there is none.

        `take` reads all its states; whatever it cannot use is told, and passed over.
        """
        ledger = self.look_up(partition)
        offsets = [] if ledger is None else [offset for offset in ledger.offsets(ledger.known) if offset <= at_most]
        for offset in reversed(offsets):
            assert ledger is not None
            name = ledger.name(offset)
            try:
                take(Checkpoint(self.files, offset, ledger.read(name, self.files.read(name))))
            except (StoreProblem, EncodingError) as error:
                logger.warning("checkpoint %s is passed over: %s", name, error)
            except Exception as error:  # what others wrote is made of anything: no such file may end the service
                logger.warning("checkpoint %s of another program is passed over: %r", name, error)
            else:
                return offset
        return None

    def look_up(self, partition: Partition) -> Ledger | None:
        """Which files there are now, and which of them are another group's; None if the store does not answer.

        To be called for each partition that is taken up, even where no checkpoint is wanted: what is not known to be
        another's would be tidied away.
        """
        self._ledgers.pop(partition, None)  # other workers may have written since
        try:
            ledger = self._ledger(partition)
        except StoreProblem as problem:
            logger.warning("checkpoints cannot be looked up: %s", problem)
            return None
        self._set_apart(ledger, ledger.known)
        return ledger

    def _set_apart(self, ledger: Ledger, names: Iterable[str]) -> None:
        """Find out which manifests are another group's, among those that were not read so far."""
        for name in map(ledger.name, ledger.offsets(names)):
            try:
                self._segments(ledger, name)
            except OfAnotherGroup as problem:
                logger.warning("checkpoint %s is passed over: %s", name, problem)
            except (StoreProblem, EncodingError):
                continue  # told if it is wanted

    def load(self, partition: Partition, at_most: int) -> tuple[int, dict[str, Any]] | None:
        """The newest readable checkpoint with all its states, as one tree: to look into, not to go on with."""
        trees: list[dict[str, Any]] = []

        def take(checkpoint: Checkpoint) -> None:
            states = {name: decode(data) for name, data in checkpoint.states()}
            trees.append(checkpoint.stream | {"monitors": [states[name] for name in checkpoint.machines]})

        offset = self.take_up(partition, at_most, take)
        return None if offset is None else (offset, trees[-1])

    def fetch(self, place: Place) -> dict[str, Any]:
        """The state that lies there. StoreProblem if it cannot be read, or is damaged."""
        try:
            return decode(self.files.read(place.segment, place.begin, place.begin + place.size))
        except EncodingError as error:
            raise StoreProblem(f"{self}: {place.segment}: {error}") from None

    def _ledger(self, partition: Partition) -> Ledger:
        """Of the files that are there now, the first time."""
        if partition not in self._ledgers:
            self._ledgers[partition] = Ledger(partition, self.files.names(), self.group)
        return self._ledgers[partition]


def _stale(machines: Mapping[str, Keepable], sizes: Mapping[str, int], segment_bytes: int) -> set[str]:
    """Segments to leave: less than half of one is needed still, or there are too many small ones.

    So a store holds at most twice what is needed, and what is copied to leave a segment is less than is gained.
    """
    needed: Counter[str] = Counter()
    for machine in machines.values():
        if machine.place is not None:
            needed[machine.place.segment] += machine.place.size
    stale = {name for name, size in needed.items() if 2 * size < sizes[name]}
    small = {name for name in needed if sizes[name] < segment_bytes / 8}
    return stale | small if len(small) > MOST_SMALL else stale
