"""Messages in Confluent's wire format, Avro and JSON; schemas that would hurt the reader; and that no bytes raise."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.layout import Layout
from connectors.registry import Registry
from connectors.wire import WireFormat
from scrnn_stream.records import Partition, Position, Record, Rejected
from tests.schema_registry import SchemaRegistry, schema_registry

AT = Position(Partition("sensors", 3), 17)
EIGHT = 1767600000.0  # 2026-01-05T08:00:00Z
WIDE = {
    "type": "record",
    "name": "Reading",
    "namespace": "plant",
    "fields": [
        {"name": "machine", "type": "string"},
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "flow", "type": ["null", "double"]},
        {"name": "pressure", "type": "float"},
        {"name": "valve", "type": "boolean"},
    ],
}
LONG = {
    "type": "record",
    "name": "Long",
    "fields": [
        {"name": "machine", "type": "string"},
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "sensor", "type": "string"},
        {"name": "value", "type": "double"},
        {"name": "quality", "type": {"type": "enum", "name": "Quality", "symbols": ["Good", "Bad"]}},
    ],
}
VALUES = {"machine": "pump-1", "timestamp": 1767600000_000, "flow": 1.5, "pressure": 2.5, "valve": True}


@pytest.fixture(scope="module")
def server() -> Iterator[SchemaRegistry]:
    with schema_registry() as registry:
        yield registry


@pytest.fixture(scope="module")
def wire(server: SchemaRegistry) -> WireFormat:
    return WireFormat(Registry(server.url))


def avro(id: int, schema: Any, fields: Any) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), fields)
    return b"\0" + id.to_bytes(4, "big") + stream.getvalue()


def reason(result: Record | Rejected) -> str:
    assert isinstance(result, Rejected), result
    assert result.position == AT
    assert len(result.reason) < 200
    return result.reason


def test_an_avro_record_is_a_wide_message(server: SchemaRegistry, wire: WireFormat) -> None:
    id = server.register(WIDE)
    expected = Record(AT, "pump-1", EIGHT, {"flow": 1.5, "pressure": 2.5, "valve": 1.0}, 7.0)
    assert wire(avro(id, WIDE, VALUES), AT, received=7.0) == expected
    n_asked = len(server.asked)
    missing = wire(avro(id, WIDE, {**VALUES, "flow": None}), AT)
    assert isinstance(missing, Record)
    assert str(missing.values["flow"]) == "nan"
    assert len(server.asked) == n_asked


def test_an_avro_record_of_one_reading_is_a_long_message(server: SchemaRegistry, wire: WireFormat) -> None:
    fields = {"machine": "m", "ts": 1767600000_000_000, "sensor": "flow", "value": 1.5, "quality": "Good"}
    assert wire(avro(server.register(LONG), LONG, fields), AT) == Record(AT, "m", EIGHT, {"flow": 1.5})


def test_readings_in_a_map_stand_where_the_layout_says(server: SchemaRegistry) -> None:
    asset = {"type": "record", "name": "Asset", "fields": [{"name": "id", "type": "string"}]}
    fields = [{"name": "asset", "type": asset}, {"name": "readings", "type": {"type": "map", "values": "double"}}]
    schema = {"type": "record", "name": "Nested", "fields": fields}
    wire = WireFormat(Registry(server.url), Layout.of({"machine": "asset.id", "sensors": "readings"}, {}, "registry"))
    message = avro(server.register(schema), schema, {"asset": {"id": "m"}, "readings": {"flow": 1.5}})
    assert wire(message, AT, received=7.0) == Record(AT, "m", 7.0, {"flow": 1.5}, 7.0)


def test_a_json_message_of_a_json_schema_is_read_as_json(server: SchemaRegistry, wire: WireFormat) -> None:
    id = server.register({"type": "object"}, "JSON")
    header = b"\0" + id.to_bytes(4, "big")
    assert wire(header + b'{"machine": "m", "ts": 1767600000, "flow": 1}', AT) == Record(AT, "m", EIGHT, {"flow": 1.0})
    assert "message is not JSON" in reason(wire(header + b"{", AT))
    assert "appears twice" in reason(wire(header + b'{"machine": "m", "a": 1, "a": 2}', AT))


def test_what_is_no_message_of_a_schema_is_a_dead_letter(server: SchemaRegistry, wire: WireFormat) -> None:
    id = server.register(WIDE)
    good = avro(id, WIDE, VALUES)
    for payload, words in [
        (b"", "does not begin with a zero and the id of a schema"),
        (b'{"machine": "m", "flow": 1}', "does not begin with a zero"),
        (good[:-3], f"message is not of schema {id}"),
        (good + b"\0", f"message is longer than schema {id} says"),
        (b"\0" * ((1 << 20) + 1), "the limit is 1048576"),
        (avro(id, WIDE, {**VALUES, "machine": ""}), "machine has an empty name"),
    ]:
        rejected = wire(payload, AT)
        assert words in reason(rejected)
        assert isinstance(rejected, Rejected)
        assert rejected.payload == payload


LIST = {"type": "record", "name": "List", "fields": [{"name": "next", "type": ["null", "List"]}]}
NOTHING = {"type": "record", "name": "Nothing", "fields": [{"name": "n", "type": "null"}]}


def doubling(levels: int) -> Any:
    """A type that holds the one below twice: short to write, and long to read."""
    schema: Any = NOTHING
    for level in range(levels):
        fields = [{"name": "a", "type": schema}, {"name": "b", "type": schema["name"]}]
        schema = {"type": "record", "name": f"L{level}", "fields": fields}
    return schema


@pytest.mark.parametrize(
    ("schema", "type", "words"),
    [
        ("message A {}", "PROTOBUF", "is of type 'PROTOBUF': Avro and JSON are read"),
        ("{", None, "cannot be used"),
        ({"type": "record", "name": "A", "fields": [{"name": "b", "type": "Elsewhere"}]}, None, "cannot be used"),
        (LIST, None, "cannot be used: type 'List' holds itself"),
        ({"type": "array", "items": "null"}, None, "an array has items that take no bytes"),
        ({"type": "array", "items": NOTHING}, None, "an array has items that take no bytes"),
        (doubling(40), None, "it has more than 10000 fields"),
        ("[" * 100_000, None, "cannot be used"),
        ("string", None, "is of no record"),
    ],
)
def test_a_schema_that_cannot_be_used_makes_dead_letters(
    server: SchemaRegistry, wire: WireFormat, schema: Any, type: str | None, words: str
) -> None:
    id = server.register(json.dumps(schema) if schema == "string" else schema, type)
    assert words in reason(wire(b"\0" + id.to_bytes(4, "big") + b"\2a", AT))


def test_a_schema_that_refers_to_others_makes_dead_letters(server: SchemaRegistry, wire: WireFormat) -> None:
    id = server.register(WIDE, references=[{"name": "plant.Unit", "subject": "unit", "version": 1}])
    assert "refers to other schemas, which are not read" in reason(wire(b"\0" + id.to_bytes(4, "big"), AT))


@given(st.binary(max_size=60), st.integers(0, 3))
def test_no_bytes_make_it_raise(server: SchemaRegistry, wire: WireFormat, payload: bytes, which: int) -> None:
    if not server.schemas:
        server.register(WIDE)
    ids = sorted(server.schemas)[: which + 1]
    result = wire(b"\0" + ids[-1].to_bytes(4, "big") + payload, AT, key=b"m")
    assert isinstance(result, Record | Rejected)
    assert isinstance(wire(b"\1" + payload, AT), Rejected)
