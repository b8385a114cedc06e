"""Bytes <-> records, alerts and dead letters. Pure functions: no input can make the decoder raise."""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from scrnn_stream.alert import Alert, SensorEvidence
from scrnn_stream.records import Position, Rebuilt, Record, Rejected

from .layout import Layout, find, has, take
from .times import TIME_NAMES, format_time, parse_time

MAX_MESSAGE_BYTES = 1 << 20
MAX_SENSORS = 10_000
MAX_MACHINE_CHARS = 256
MAX_SENSOR_CHARS = 256
MAX_DEAD_LETTER_BYTES = 256 << 10
"""A dead letter keeps this much of a payload: base64 must not push it over the broker's limit of 1 MiB."""

EVENT_TYPE = "io.scrnn-stream.alert."
REBUILT_TYPE = "io.scrnn-stream.state_rebuilt"
EVENT_SOURCE = "/scrnn-stream"

# Python's json writes these for missing readings though JSON has no such numbers. An unescaped quote before the colon
# can only end a name, so nothing inside a string ever matches.
_NOT_FINITE = re.compile(rb'(?<!\\)("\s*:\s*)(?:NaN|-?Infinity)(?=\s*[,}])')
_FIELDS = msgspec.json.Decoder(dict[str, Any])  # to make one takes longer than to decode a message
_JSON_KIND = {str: "a string", dict: "an object", list: "an array", type(None): "null", bool: "a boolean"}


DEFAULT_LAYOUT = Layout()


class Refused(ValueError):
    """The reason why a message cannot become a record."""


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


def read_fields(
    fields: dict[str, Any], key: bytes | None, layout: Layout
) -> tuple[str, float | None, dict[str, float]]:
    """Machine, event time and readings of a message's fields, which it uses up. Refused, if they make no record."""
    machine = _machine(take(fields, layout.machine), key)
    time = _time(fields, layout.times)
    for name in layout.ignore:
        take(fields, name)
    if _is_long(fields, layout):
        return machine, time, _values(_readings([fields], layout), layout)
    counts = not layout.message_quality or _counts("the message", take(fields, layout.quality), layout)
    values = _values(_wide(fields, layout), layout)
    return machine, time, values if counts else dict.fromkeys(values, math.nan)


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
    return _encode_event(event_id(alert), EVENT_TYPE + alert.state, alert.machine, moment, data)


def encode_rebuilt(rebuilt: Rebuilt) -> bytes:
    """A CloudEvents 1.0 event that says that a partition's state was lost, from where it is learned again, and why."""
    (topic, number), offset = rebuilt.position
    data = {"position": _position_fields(rebuilt.position), "reason": rebuilt.reason}
    return _encode_event(f"{topic}/{number}@{offset}/state_rebuilt", REBUILT_TYPE, f"{topic}/{number}", None, data)


def _encode_event(id: str, type: str, subject: str, moment: float | None, data: dict[str, Any]) -> bytes:
    event = {
        "specversion": "1.0",
        "id": id,
        "source": EVENT_SOURCE,
        "type": type,
        "subject": subject,
        **({} if moment is None else {"time": format_time(moment)}),
        "datacontenttype": "application/json",
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
    if len(payload) > MAX_MESSAGE_BYTES:
        raise Refused(f"message is {len(payload)} bytes long, the limit is {MAX_MESSAGE_BYTES}")
    if not payload.strip():
        raise Refused("message is empty")
    try:
        fields = _decode_fields(payload)
    except UnicodeDecodeError:
        raise Refused("message is not valid UTF-8") from None
    except RecursionError:
        raise Refused("message is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise Refused(_json_reason(error)) from None
    if payload.count(b",") >= len(fields):  # as many commas as fields: some stand in names, or a name came twice
        _refuse_duplicates(payload)
    return fields


def _decode_fields(payload: bytes) -> dict[str, Any]:
    try:
        return _FIELDS.decode(payload)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        finite = _NOT_FINITE.sub(rb"\1null", payload)
        if finite == payload:
            raise
        return _FIELDS.decode(finite)


def _json_reason(error: msgspec.DecodeError) -> str:
    text = str(error)
    if text.startswith("Expected `object`"):
        return "message must be a JSON object, got " + text.rpartition("got ")[2].replace("`", "").partition(" - ")[0]
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


def _machine(field: object, key: bytes | None) -> str:
    if field is None:
        field = _key_text(key)
    if isinstance(field, int) and not isinstance(field, bool):
        field = str(field)
    if not isinstance(field, str):
        raise Refused(f"machine must be a string, got {_kind(field)}")
    if not field:
        raise Refused("machine has an empty name")
    if len(field) > MAX_MACHINE_CHARS:
        raise Refused(f"machine has a name of {len(field)} characters, the limit is {MAX_MACHINE_CHARS}")
    return field


def _key_text(key: bytes | None) -> str:
    if not key:
        raise Refused("no machine: the message has neither a field 'machine' nor a key")
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("no machine: the message has no field 'machine' and its key is not valid UTF-8") from None


def _time(fields: dict[str, Any], names: tuple[str, ...]) -> float | None:
    found = [(name, value) for name in names if (value := take(fields, name)) is not None]
    if not found:
        return None
    name, value = found[0]
    try:
        return parse_time(value)
    except (ValueError, OverflowError) as error:
        shown = f" ({shorten(value)})" if isinstance(value, str) else ""
        raise Refused(f"{name}{shown}: {error}") from None


def _is_long(fields: dict[str, Any], layout: Layout) -> bool:
    if layout.form != "auto":
        return layout.form == "long"
    if layout.sensor not in fields and "." not in layout.sensor:  # nearly always
        return False
    if not isinstance(find(fields, layout.sensor), str) or not fields.keys() <= layout.of_long:
        return False
    return has(fields, layout.value)


def _wide(fields: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """The fields that are readings."""
    if layout.sensors is None:
        for name in layout.led_into:
            fields.pop(name, None)
        return fields
    inner = find(fields, layout.sensors)
    if isinstance(inner, list):
        return _readings(inner, layout)
    if not isinstance(inner, dict):
        raise Refused(f"{shorten(layout.sensors)} must be an object or an array of readings, got {_kind(inner)}")
    return inner


def _readings(items: list[Any], layout: Layout) -> dict[str, Any]:
    """Objects that name their sensor, as fields that are named by it."""
    fields: dict[str, Any] = {}
    for item in items:
        sensor = find(item, layout.sensor) if isinstance(item, dict) else None
        if not isinstance(sensor, str):
            raise Refused(f"no sensor: {shorten(layout.sensor)} must be a string, got {_kind(sensor)}")
        if not sensor:
            raise Refused("sensor has an empty name")
        if sensor in fields:
            raise Refused(f"sensor {shorten(sensor)} appears twice")
        fields[sensor] = item
    return fields


def _values(fields: dict[str, Any], layout: Layout) -> dict[str, float]:
    if not fields:
        raise Refused("message has no sensor values")
    if len(fields) > MAX_SENSORS:
        raise Refused(f"message has {len(fields)} sensors, the limit is {MAX_SENSORS}")
    for name, value in fields.items():
        if type(value) is not float:
            fields[name] = _number(name, value) if type(value) is not dict else _reading(name, value, layout)
        if len(name) > MAX_SENSOR_CHARS:
            raise Refused(
                f"sensor {shorten(name)} has a name of {len(name)} characters, the limit is {MAX_SENSOR_CHARS}"
            )
    return fields


def _reading(name: str, reading: dict[str, Any], layout: Layout) -> float:
    """A reading that is an object: its value, if its quality counts, in the declared unit."""
    value = find(reading, layout.value)
    if value is None and not has(reading, layout.value):
        raise Refused(f"sensor {shorten(name)} must be a number, got an object without {shorten(layout.value)}")
    flag, unit = find(reading, layout.quality), find(reading, layout.unit)
    counts = flag is None or _counts(f"sensor {shorten(name)}", flag, layout)
    if not counts and not isinstance(value, int | float):
        return math.nan  # gateways send what they like in place of a reading that failed
    number = value if type(value) is float else _number(name, value)
    if unit is not None:
        try:
            number = layout.units.convert(name, number, unit)
        except ValueError as error:
            raise Refused(f"sensor {shorten(name)}: {error}") from None
    return number if counts else math.nan


def _counts(what: str, flag: object, layout: Layout) -> bool:
    try:
        return layout.flags.count(flag)
    except ValueError as error:
        shown = f" {shorten(flag)}" if isinstance(flag, str) else ""
        raise Refused(f"{what}: quality{shown} {error}") from None


def _number(name: str, value: object) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, int):
        raise Refused(f"sensor {shorten(name)} must be a number, got {_kind(value)}")
    try:
        return float(value)
    except OverflowError:
        raise Refused(f"sensor {shorten(name)} is too large a number") from None


def _kind(value: object) -> str:
    return _JSON_KIND.get(type(value), "a number")


def shorten(text: str, limit: int = 40) -> str:
    """Quoted, and short enough for a message to a human."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


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
