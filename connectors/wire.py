"""Confluent's wire format: a zero, the id of a schema in four bytes, and a message of that schema, Avro or JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

from scrnn_stream.records import Position, Record, Rejected

from .codecs import DEFAULT_LAYOUT, MAX_MESSAGE_BYTES, parse_object
from .layout import Layout
from .readings import Refused, read_fields
from .registry import MOST_KEPT, Registered, Registry, RegistryProblem

MAGIC = 0
HEADER_BYTES = 5
MOST_FIELDS = 10_000  # of a schema, each named type counted wherever it is used

Read = Callable[[bytes], dict[str, Any]]


class WireFormat:
    """Messages whose schemas are in a registry, as records; machine, time and readings stand where a layout says.

    Parameters
    ----------
    registry
        Where the schemas are.
    layout
        As of JSON: messages of either schema are wide or long, by themselves.

    Raises
    ------
    RegistryProblem
        If the library that reads Avro is not installed.
    """

    def __init__(self, registry: Registry, layout: Layout = DEFAULT_LAYOUT) -> None:
        try:
            import fastavro  # noqa: F401 - it is looked for before work begins
        except ImportError:
            raise RegistryProblem("--format registry needs a library: pip install 'scrnn-stream[registry]'") from None
        self.registry = registry
        self.layout = layout
        self._readers: dict[int, Read | str] = {}

    def __call__(
        self, payload: bytes, position: Position, *, key: bytes | None = None, received: float | None = None
    ) -> Record | Rejected:
        """A message as a record, or as a dead letter that says why not.

        Raises
        ------
        NotNow
            If its schema cannot be had at the moment.
        """
        try:
            fields = self._fields(payload)
            machine, time, values = read_fields(fields, key, self.layout)
        except Refused as refused:
            return Rejected(position, str(refused), payload)
        return Record(position, machine, received if time is None else time, values, received)

    def _fields(self, payload: bytes) -> dict[str, Any]:
        if len(payload) > MAX_MESSAGE_BYTES:
            raise Refused(f"message is {len(payload)} bytes long, the limit is {MAX_MESSAGE_BYTES}")
        if len(payload) < HEADER_BYTES or payload[0] != MAGIC:
            raise Refused("message does not begin with a zero and the id of a schema")
        schema = self.registry.schema(int.from_bytes(payload[1:HEADER_BYTES], "big"))
        read = self._readers.get(schema.id)
        if read is None:
            if len(self._readers) >= MOST_KEPT:
                self._readers.clear()
            read = self._readers[schema.id] = _reader(schema)
        if isinstance(read, str):
            raise Refused(read)
        return read(payload[HEADER_BYTES:])


def _reader(schema: Registered) -> Read | str:
    """What reads messages of a schema, or why nothing does."""
    if schema.type == "JSON":
        return parse_object  # its readings are checked one by one, whatever else the schema says
    if schema.type != "AVRO":
        return f"schema {schema.id} is of type {schema.type[:20]!r}: Avro and JSON are read"
    if schema.has_references:
        return f"schema {schema.id} refers to other schemas, which are not read"
    try:
        return _avro(schema)
    except Exception as error:  # whatever a library finds wrong with a schema that others have written
        return f"schema {schema.id} cannot be used: {' '.join(str(error).split())[:100]}"


def _avro(schema: Registered) -> Read:
    import fastavro

    parsed = fastavro.parse_schema(_plain(json.loads(schema.text)))
    _weigh(parsed, {}, frozenset())

    def read(payload: bytes) -> dict[str, Any]:
        stream = io.BytesIO(payload)
        try:
            fields = fastavro.schemaless_reader(stream, parsed, None)
        except Exception as error:  # the library's own and many others, by what is wrong
            raise Refused(f"message is not of schema {schema.id}: {type(error).__name__}") from None
        if stream.tell() < len(payload):
            raise Refused(f"message is longer than schema {schema.id} says")
        if not isinstance(fields, dict):
            raise Refused(f"schema {schema.id} is of no record")
        return fields

    return read


def _plain(tree: Any) -> Any:
    """Without logical types: a time stays a number, whose size tells its unit."""
    if isinstance(tree, dict):
        return {name: _plain(value) for name, value in tree.items() if name != "logicalType"}
    return [_plain(item) for item in tree] if isinstance(tree, list) else tree


def _weigh(tree: Any, named: dict[str, Any], within: frozenset[str]) -> tuple[int, int]:
    """The fewest bytes of a value of a schema with full names, and how many fields it has.

    Refused is a type that holds itself, since the reader has no limit of depth; arrays of items that take no bytes, of
    which a few bytes can claim any number; and types of types that are too many together.
    """
    if isinstance(tree, list):
        weights = [_weigh(branch, named, within) for branch in tree]
        return 1, sum(n for _, n in weights)
    if isinstance(tree, str):
        if tree in within:
            raise ValueError(f"type {tree!r} holds itself")
        return _weigh(named[tree], named, within) if tree in named else (0 if tree == "null" else 1, 1)
    kind = tree["type"]
    if "name" in tree:
        named[tree["name"]] = tree
        within |= {tree["name"]}
    if kind in ("record", "error"):
        weights = [_weigh(field["type"], named, within) for field in tree["fields"]]
        size, n_fields = sum(size for size, _ in weights), 1 + sum(n for _, n in weights)
    elif kind == "array":
        size, n_fields = _weigh(tree["items"], named, within)
        if size == 0:
            raise ValueError("an array has items that take no bytes")
        size = 1
    elif kind == "map":
        size, n_fields = 1, _weigh(tree["values"], named, within)[1]
    elif kind == "fixed":
        size, n_fields = int(tree["size"]), 1
    else:
        size, n_fields = _weigh(kind, named, within)
    if n_fields > MOST_FIELDS:
        raise ValueError(f"it has more than {MOST_FIELDS} fields")
    return size, n_fields
