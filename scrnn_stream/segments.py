"""Files that hold the encoded states of many machines, one after the other: written in pieces, read piece by piece."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from scrnn_stream.encoding import EncodingError, verified
from scrnn_stream.store import Store

SEGMENT_BYTES = 8 * 2**20


class Place(NamedTuple):
    """Where a state lies."""

    segment: str
    begin: int
    size: int

    @property
    def end(self) -> int:
        return self.begin + self.size


class SegmentWriter:
    """Puts states one after the other; each segment is one file, and goes out when the next state would not fit.

    Parameters
    ----------
    store
        Where the files go.
    stem
        What their names begin with; what follows is drawn, so that none is ever written over.
    most_bytes
        Of a segment, unless a single state is larger.
    names
        Told of each file before it is written.
    """

    def __init__(self, store: Store, stem: str, most_bytes: int, names: set[str]) -> None:
        self.store, self.stem, self.most_bytes, self.names = store, stem, most_bytes, names
        self.sizes: dict[str, int] = {}  # of what was written
        self._begin()

    def add(self, data: bytes) -> Place:
        """Where it will lie after :meth:`flush`."""
        if self._buffer and len(self._buffer) + len(data) > self.most_bytes:
            self.flush()
        place = Place(self._name, len(self._buffer), len(data))
        self._buffer += data
        return place

    def flush(self) -> None:
        """Write what has been added."""
        if self._buffer:
            self.names.add(self._name)
            self.store.write(self._name, bytes(self._buffer))
            self.sizes[self._name] = len(self._buffer)
            self._begin()

    def _begin(self) -> None:
        self._name, self._buffer = f"{self.stem}-{uuid.uuid4().hex}.seg", bytearray()


def read_states(store: Store, places: Mapping[str, Place]) -> Iterator[tuple[str, bytes]]:
    """The encoded states that lie there, by name, each with its checksum verified; one segment in memory at a time.

    Raises
    ------
    StoreProblem, EncodingError
        If a segment is missing, or anything in it is not what was written.
    """
    names: dict[str, list[str]] = {}
    for name, place in places.items():
        names.setdefault(place.segment, []).append(name)
    for segment in names:
        data = store.read(segment)
        for name in names[segment]:
            state = data[places[name].begin : places[name].end]
            try:
                verified(state)
            except EncodingError as error:
                raise EncodingError(f"{segment}: {error}") from None
            yield name, state
