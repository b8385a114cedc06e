"""The fields of a message -> machine, event time and readings, as a layout says where they stand."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from .layout import Layout, find, has, take
from .times import parse_time

MAX_SENSORS = 10_000
MAX_MACHINE_CHARS = 256
MAX_SENSOR_CHARS = 256
_JSON_KIND = {
    str: "a string",
    dict: "an object",
    list: "an array",
    type(None): "null",
    bool: "a boolean",
    bytes: "bytes",
}


class Refused(ValueError):
    """The reason why a message cannot become a record."""


def read_fields(
    fields: dict[str, Any], key: bytes | None, layout: Layout
) -> tuple[str, float | None, dict[str, float]]:
    """Machine, event time and readings of a message's fields, which it uses up. Refused, if they make no record."""
    machine = as_machine(take(fields, layout.machine), key)
    time = _time(fields, layout.times)
    for name in layout.ignore:
        take(fields, name)
    if _is_long(fields, layout):
        return machine, time, _values(_readings([fields], layout), layout)
    counts = not layout.message_quality or _counts("the message", take(fields, layout.quality), layout)
    values = _values(_wide(fields, layout), layout)
    return machine, time, values if counts else dict.fromkeys(values, math.nan)


def as_machine(field: object, key: bytes | None) -> str:
    """The name of a machine: that of the field, or of the message's key where there is none."""
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
    if layout.form in ("wide", "long"):
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
    check_sensors(fields)
    for name, value in fields.items():
        if type(value) is not float:
            fields[name] = as_number(name, value) if type(value) is not dict else _reading(name, value, layout)
    return fields


def check_sensors(names: Collection[str]) -> None:
    """Refused, if they are too many or one has too long a name."""
    if len(names) > MAX_SENSORS:
        raise Refused(f"message has {len(names)} sensors, the limit is {MAX_SENSORS}")
    for name in names:
        if len(name) > MAX_SENSOR_CHARS:
            raise Refused(
                f"sensor {shorten(name)} has a name of {len(name)} characters, the limit is {MAX_SENSOR_CHARS}"
            )


def _reading(name: str, reading: dict[str, Any], layout: Layout) -> float:
    """A reading that is an object: its value, if its quality counts, in the declared unit."""
    value = find(reading, layout.value)
    if value is None and not has(reading, layout.value):
        raise Refused(f"sensor {shorten(name)} must be a number, got an object without {shorten(layout.value)}")
    flag, unit = find(reading, layout.quality), find(reading, layout.unit)
    counts = flag is None or _counts(f"sensor {shorten(name)}", flag, layout)
    if not counts and not isinstance(value, int | float):
        return math.nan  # gateways send what they like in place of a reading that failed
    number = value if type(value) is float else as_number(name, value)
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


def as_number(name: str, value: object) -> float:
    """A reading; null is a missing one, true and false are 1 and 0."""
    if value is None:
        return math.nan
    if not isinstance(value, int | float):
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
