"""Bytes <-> records, alerts and dead letters. Pure functions: no input can make the decoder raise."""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from scrnn_stream.alert import Alert, SensorEvidence
from scrnn_stream.records import Position, Rebuilt, Record, Rejected

from .layout import Layout
from .readings import Refused, read_fields, shorten
from .times import TIME_NAMES, format_time

MAX_MESSAGE_BYTES = 1 << 20
MAX_DEAD_LETTER_BYTES = 256 << 10
"""A dead letter keeps this much of a payload: base64 must not push it over the broker's limit of 1 MiB."""

EVENT_TYPE = "io.scrnn-stream.alert."
REBUILT_TYPE = "io.scrnn-stream.state_rebuilt"
EVENT_SOURCE = "/scrnn-stream"
SCHEMAS = "urn:scrnn-stream:schema:"
ALERT_SCHEMA, REBUILT_SCHEMA = f"{SCHEMAS}alert:1", f"{SCHEMAS}state_rebuilt:1"
"""Of `data`, as in docs/schemas; the number grows when a reader of the old one could be misled."""

# Python's json writes these for missing readings though JSON has no such numbers. An unescaped quote before the colon
# can only end a name, so nothing inside a string ever matches.
_NOT_FINITE = re.compile(rb'(?<!\\)("\s*:\s*)(?:NaN|-?Infinity)(?=\s*[,}])')
_FIELDS = msgspec.json.Decoder(dict[str, Any])  # to make one takes longer than to decode a message
_ITEMS = msgspec.json.Decoder(list[Any])
T = TypeVar("T")


DEFAULT_LAYOUT = Layout()


def decode_json(
    payload: bytes,
    position: Position,
    *,
    key: bytes | None = None,
    received: float | None = None,
    layout: Layout = DEFAULT_LAYOUT,
) -> Record | Rejected:
    """One JSON message as a record, or as a dead letter that says why not.

    Wide messages carry every sensor as a field, ``{"machine": "pump-1", "timestamp": "2026-01-05T08:00:00Z",
    "flow": 1.2, "current": 7}``; long ones carry one reading, ``{"machine": "pump-1", "timestamp": 1767600000,
    "sensor": "flow", "value": 1.2}``. null, NaN and Infinity mean missing; true and false read as 1 and 0; a number
    too large for a float is refused.

    Parameters
    ----------
    payload
        UTF-8 JSON, one object.
    key
        The message key: the machine's name where the message has no field ``machine``.
    received
        When the broker took the message, in Unix seconds: the time of a message that carries none.
    """
    try:
        machine, time, values = read_fields(parse_object(payload), key, layout)
    except Refused as refused:
        return Rejected(position, str(refused), payload)
    return Record(position, machine, received if time is None else time, values, received)


def encode_record(record: Record) -> bytes:
    """The wide JSON of a record, as :func:`decode_json` reads it; missing readings are null.

    Raises
    ------
    ValueError
        If a sensor bears the name of the machine or time field.
    """
    fields: dict[str, object] = {"machine": record.machine}
    if record.time is not None:
        fields["timestamp"] = format_time(record.time)
    clash = record.values.keys() & {"machine", *TIME_NAMES}
    if clash:
        raise ValueError(f"a sensor must not be named {min(clash)!r}: the name is reserved; rename it")
    return msgspec.json.encode(fields | dict(record.values))


def encode_alert(alert: Alert) -> bytes:
    """A CloudEvents 1.0 event in structured JSON; its id is unique for each message, NaN becomes null."""
    moment = alert.end if alert.state == "resolved" else alert.raised
    data = msgspec.to_builtins(alert)
    data["position"] = _position_fields(alert.position)
    return _encode_event(event_id(alert), EVENT_TYPE + alert.state, alert.machine, moment, ALERT_SCHEMA, data)


def encode_rebuilt(rebuilt: Rebuilt) -> bytes:
    """A CloudEvents 1.0 event that says that a partition's state was lost, from where it is learned again, and why."""
    (topic, number), offset = rebuilt.position
    data = {"position": _position_fields(rebuilt.position), "reason": rebuilt.reason}
    id, subject = f"{topic}/{number}@{offset}/state_rebuilt", f"{topic}/{number}"
    return _encode_event(id, REBUILT_TYPE, subject, None, REBUILT_SCHEMA, data)


def _encode_event(id: str, type: str, subject: str, moment: float | None, schema: str, data: dict[str, Any]) -> bytes:
    event = {
        "specversion": "1.0",
        "id": id,
        "source": EVENT_SOURCE,
        "type": type,
        "subject": subject,
        **({} if moment is None else {"time": format_time(moment)}),
        "datacontenttype": "application/json",
        "dataschema": schema,
        "data": data,
    }
    return msgspec.json.encode(event)


def event_id(alert: Alert) -> str:
    """The same for the same message in every run, and for no other: consumers drop repetitions by it."""
    again = f"/{alert.n_told}" if alert.state == "firing" and alert.n_told > 1 else ""
    return f"{alert.id}/{alert.state}{again}"


def decode_alert(payload: bytes) -> Alert:
    """The alert inside an event of :func:`encode_alert`.

    Raises
    ------
    ValueError
        If it is no such event.
    """
    try:
        data = msgspec.json.decode(payload, type=dict[str, Any])["data"]
        at = data["position"]
        data["position"] = ((at["topic"], at["partition"]), at["offset"])
        data["sensors"] = [_restore_nan(evidence, SensorEvidence) for evidence in data["sensors"]]
        return msgspec.convert(_restore_nan(data, Alert), Alert, strict=False)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an alert event: {error!r}") from error


def encode_rejected(rejected: Rejected) -> bytes:
    """A dead letter as JSON: position, reason, and the payload in base64 (its first 256 KiB and its true size)."""
    kept = rejected.payload[:MAX_DEAD_LETTER_BYTES]
    letter = _position_fields(rejected.position) | {
        "reason": rejected.reason,
        "payload": base64.b64encode(kept).decode("ascii"),
        "payload_bytes": len(rejected.payload),
    }
    return msgspec.json.encode(letter)


def parse_object(payload: bytes) -> dict[str, Any]:
    """The fields of one JSON object; the caller owns the dict."""
    fields = _parse(payload, _FIELDS)
    if payload.count(b",") >= len(fields):  # as many commas as fields: some stand in names, or a name came twice
        _refuse_duplicates(payload)
    return fields


def parse_array(payload: bytes) -> list[Any]:
    """The items of one JSON array."""
    items = _parse(payload, _ITEMS)
    _refuse_duplicates(payload)
    return items


def _parse(payload: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    if len(payload) > MAX_MESSAGE_BYTES:
        raise Refused(f"message is {len(payload)} bytes long, the limit is {MAX_MESSAGE_BYTES}")
    if not payload.strip():
        raise Refused("message is empty")
    try:
        return _decode(payload, decoder)
    except UnicodeDecodeError:
        raise Refused("message is not valid UTF-8") from None
    except RecursionError:
        raise Refused("message is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise Refused(_json_reason(error)) from None


def _decode(payload: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        finite = _NOT_FINITE.sub(rb"\1null", payload)
        if finite == payload:
            raise
        return decoder.decode(finite)


def _json_reason(error: msgspec.DecodeError) -> str:
    text = str(error)
    if text.startswith("Expected `"):
        wanted, _, got = text.replace("`", "").partition(" - ")[0].removeprefix("Expected ").partition(", got ")
        return f"message must be a JSON {wanted}, got {got}"
    if "out of range" in text:
        return "a number in the message is too large"
    return "message is not JSON: " + text.removeprefix("JSON is malformed: ")


def _refuse_duplicates(payload: bytes) -> None:
    def check(pairs: list[tuple[str, object]]) -> dict[str, object]:
        [(name, times)] = Counter(name for name, _ in pairs).most_common(1) or [("", 0)]
        if times > 1:
            raise Refused(f"field {shorten(name)} appears twice")
        return dict(pairs)

    try:
        json.loads(payload, object_pairs_hook=check, parse_int=str, parse_float=str)
    except RecursionError:
        raise Refused("message is nested too deeply") from None


def _position_fields(position: Position) -> dict[str, object]:
    return {"topic": position.partition.topic, "partition": position.partition.number, "offset": position.offset}


def _restore_nan(data: dict[str, Any], owner: type[msgspec.Struct]) -> Mapping[str, Any]:
    for field in msgspec.structs.fields(owner):
        if field.name not in data:
            continue
        if field.type is float and data[field.name] is None:
            data[field.name] = math.nan
        elif field.type == tuple[float, ...]:
            data[field.name] = [math.nan if value is None else value for value in data[field.name]]
    return data
