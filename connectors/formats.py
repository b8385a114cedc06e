"""What messages are made of: for each format, how bytes become records."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from scrnn_stream.records import Position, Record, Rejected

from .codecs import decode_json
from .layout import Layout
from .registry import Registry
from .senml import decode_senml
from .wire import WireFormat


class Decode(Protocol):
    """Message bytes to a record or a dead letter, or to several, as :func:`connectors.codecs.decode_json` does it.

    All that comes of one message has its position, and is delivered in one batch. It raises
    :class:`connectors.registry.NotNow` for a message that it can read later, and nothing else.
    """

    def __call__(
        self, payload: bytes, position: Position, *, key: bytes | None, received: float | None
    ) -> Record | Rejected | list[Record | Rejected]: ...


def decoder(layout: Layout, registry: Registry | None = None) -> Decode:
    """How messages of that layout are read; those with a schema need the registry that has it."""
    if layout.form == "senml":
        return partial(decode_senml, layout=layout)
    if layout.form == "registry" and registry is not None:
        return WireFormat(registry, layout)
    return partial(decode_json, layout=layout)
