"""The files of one partition by name, and what a manifest says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec

from scrnn_stream.encoding import EncodingError, decode
from scrnn_stream.records import Partition


class Manifest(msgspec.Struct):
    """A checkpoint without its states.

    Attributes
    ----------
    stream
        What is known of the partition as a whole.
    segments
        The files in which the states lie, and their sizes.
    machines
        By name: the number of the segment, where in it the state begins, its size; and the machine's outline.
    group
        The consumer group that wrote it, None if that is not known: another may learn under other settings.
    """

    stream: dict[str, Any]
    segments: dict[str, int]
    machines: dict[str, tuple[int, int, int, list[Any]]]
    group: str | None = None


class OfAnotherGroup(EncodingError):
    """A manifest of this partition that another consumer group wrote: nothing of it is taken, nothing removed."""


class Ledger:
    """Which files of a partition are there as far as its present owner knows, and which segments its manifests need.

    Attributes
    ----------
    known
        Files that were there when the partition was taken up, or were written since: no other worker needs them.
    foreign
        Manifests of other groups. They and their segments are left alone.
    segments
        By manifest: those that it needs, once it was written or read.
    sizes
        Of these.
    is_untidy
        Whether there may be segments that no manifest needs.
    """

    def __init__(self, partition: Partition, names: Iterable[str], group: str | None = None) -> None:
        self.group = group
        self.stem = f"{quote(partition.topic, safe='')}-{partition.number}"
        self._manifest = re.compile(rf"{re.escape(self.stem)}@(\d+)\.ckpt")
        self._segment = re.compile(rf"{re.escape(self.stem)}@\d+-[0-9a-f]+\.seg")
        self.known = {name for name in names if self._manifest.fullmatch(name) or self._segment.fullmatch(name)}
        self.foreign: set[str] = set()
        self.segments: dict[str, set[str]] = {}
        self.sizes: dict[str, int] = {}
        self.is_untidy = True

    def name(self, offset: int) -> str:
        """Of the manifest for an offset."""
        return f"{self.stem}@{offset}.ckpt"

    def offsets(self, names: Iterable[str]) -> list[int]:
        """Those of the partition's manifests among some files, in order; without other groups'."""
        return sorted(int(match[1]) for match in map(self._manifest.fullmatch, set(names) - self.foreign) if match)

    def unneeded(self, needed: set[str]) -> list[str]:
        """Known segments but these."""
        return sorted(name for name in self.known - needed if self._segment.fullmatch(name))

    def read(self, name: str, data: bytes) -> Manifest:
        """A manifest of this partition and group, and note what it needs. EncodingError if it is none."""
        try:
            manifest = msgspec.convert(decode(data), Manifest)
        except msgspec.ValidationError as error:
            raise EncodingError(f"no manifest: {error}") from None
        if not all(map(self._segment.fullmatch, manifest.segments)):
            raise EncodingError("no manifest of this partition")
        if self.group is not None and manifest.group not in (None, self.group):
            self.foreign.add(name)
            self.known -= {name, *manifest.segments}
            raise OfAnotherGroup(f"it is of group {manifest.group!r}, not {self.group!r}: groups need a place each")
        self.segments[name] = set(manifest.segments)
        self.sizes |= manifest.segments
        return manifest
