"""What a disturbed run told and learned, held against an undisturbed one: pure functions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from scrnn_stream.encoding import encode

Told = Mapping[bytes, Sequence[bytes]]  # by key, in order
N_SHOWN = 400  # bytes of a message


class Difference(NamedTuple):
    """How many messages of one topic are not as they should be."""

    n_expected: int = 0
    lost: int = 0
    doubled: int = 0
    different: int = 0  # the same message with another content
    added: int = 0  # what the undisturbed run never told
    misplaced: int = 0  # keys of which the order alone is wrong

    @property
    def is_none(self) -> bool:
        return not any(self[1:])

    def __add__(self, other: object) -> Difference:
        assert isinstance(other, Difference)
        return Difference(*(one + another for one, another in zip(self, other, strict=True)))


def compare(expected: Told, told: Told, name: Callable[[bytes], str]) -> Difference:
    """Key by key; `name` tells which message it is, whatever it says."""
    keys = sorted({*expected, *told})
    return sum((_of_key(expected.get(key, ()), told.get(key, ()), name) for key in keys), Difference())


def _of_key(expected: Sequence[bytes], told: Sequence[bytes], name: Callable[[bytes], str]) -> Difference:
    right = {name(message): message for message in expected}
    should, did = Counter(map(name, expected)), Counter(map(name, told))
    difference = Difference(
        n_expected=len(expected),
        lost=(should - did).total(),
        doubled=sum(n - should[this] for this, n in did.items() if n > should[this] > 0),
        different=sum(name(message) in right and right[name(message)] != message for message in told),
        added=sum(n for this, n in did.items() if this not in should),
    )
    is_misplaced = difference.is_none and list(map(name, told)) != list(map(name, expected))
    return difference._replace(misplaced=int(is_misplaced))


def examples(expected: Told, told: Told, name: Callable[[bytes], str], n_most: int = 40) -> list[str]:
    """Of what was lost, added or different, some lines to look into: what, its key, and the begin of the message."""
    lines: list[str] = []
    for key in sorted({*expected, *told}):
        right = {name(message): message for message in expected.get(key, ())}
        did = {name(message): message for message in told.get(key, ())}
        lines += [f"lost {key!r} {message[:N_SHOWN]!r}" for this, message in right.items() if this not in did]
        lines += [f"added {key!r} {message[:N_SHOWN]!r}" for this, message in did.items() if this not in right]
        for this, message in did.items():
            if this in right and message != right[this]:
                at = next((i for i, (a, b) in enumerate(zip(message, right[this], strict=False)) if a != b), 0)
                lines.append(
                    f"different {key!r} {message[:N_SHOWN]!r}: {message[at:][:40]!r}, not {right[this][at:][:40]!r}"
                )
    return lines[:n_most]


def name_of_alert(message: bytes) -> str:
    """The id of the event."""
    return str(json.loads(message)["id"])


def name_of_dead_letter(message: bytes) -> str:
    """Where it came from."""
    letter = json.loads(message)
    return f"{letter['topic']}/{letter['partition']}/{letter['offset']}"


class Learned(NamedTuple):
    """What the states of all partitions hold."""

    readings: int
    repetitions: int
    machines: Mapping[str, bytes]  # the state of each

    @classmethod
    def of(cls, states: Iterable[Mapping[str, Any]]) -> Learned:
        """From the checkpoints' trees, as a pipeline writes them."""
        states = list(states)
        monitors = [monitor for state in states for monitor in state["monitors"]]
        return cls(
            sum(monitor["policy"]["n_records"] for monitor in monitors),
            sum(state["n_duplicates"] for state in states),
            {monitor["machine"]: encode(monitor) for monitor in monitors},
        )

    def n_other_than(self, other: Learned) -> int:
        """Machines whose state is not the same to the last bit."""
        names = {*self.machines, *other.machines}
        return sum(self.machines.get(name) != other.machines.get(name) for name in names)
