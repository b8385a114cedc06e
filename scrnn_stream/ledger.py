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
    """

    stream: dict[str, Any]
    segments: dict[str, int]
    machines: dict[str, tuple[int, int, int, list[Any]]]


class Ledger:
    """Which files of a partition are there as far as its present owner knows, and which segments its manifests need.

    Attributes
    ----------
    known
        Files that were there when the partition was taken up, or were written since: no other worker needs them.
    segments
        By manifest: those that it needs, once it was written or read.
    sizes
        Of these.
    is_untidy
        Whether there may be segments that no manifest needs.
    """

    def __init__(self, partition: Partition, names: Iterable[str]) -> None:
        self.stem = f"{quote(partition.topic, safe='')}-{partition.number}"
        self._manifest = re.compile(rf"{re.escape(self.stem)}@(\d+)\.ckpt")
        self._segment = re.compile(rf"{re.escape(self.stem)}@\d+-[0-9a-f]+\.seg")
        self.known = {name for name in names if self._manifest.fullmatch(name) or self._segment.fullmatch(name)}
        self.segments: dict[str, set[str]] = {}
        self.sizes: dict[str, int] = {}
        self.is_untidy = True

    def name(self, offset: int) -> str:
        """Of the manifest for an offset."""
        return f"{self.stem}@{offset}.ckpt"

    def offsets(self, names: Iterable[str]) -> list[int]:
        """Those of the partition's manifests among some files, in order."""
        return sorted(int(match[1]) for match in map(self._manifest.fullmatch, names) if match)

    def unneeded(self, needed: set[str]) -> list[str]:
        """Known segments but these."""
        return sorted(name for name in self.known - needed if self._segment.fullmatch(name))

    def read(self, name: str, data: bytes) -> Manifest:
        """A manifest of this partition, and note what it needs. EncodingError if it is none."""
        try:
            manifest = msgspec.convert(decode(data), Manifest)
        except msgspec.ValidationError as error:
            raise EncodingError(f"no manifest: {error}") from None
        if not all(map(self._segment.fullmatch, manifest.segments)):
            raise EncodingError("no manifest of this partition")
        self.segments[name] = set(manifest.segments)
        self.sizes |= manifest.segments
        return manifest
