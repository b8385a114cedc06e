"""SenML packs in JSON (RFC 8428): one message, the readings of some machines at some times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from scrnn_stream.records import Position, Record, Rejected

from .codecs import DEFAULT_LAYOUT, parse_array
from .layout import Layout
from .readings import Refused, as_machine, as_number, check_sensors, shorten

VERSION = 10
LARGEST = 1e300
RELATIVE_BELOW = float(1 << 28)  # seconds: a time below counts from now (RFC 8428, 4.5.3)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*")
_VALUES = ("v", "vb", "vs", "vd")
_TEXT = ("n", "u", "bn", "bu", "vs", "vd")
_BASE = ("bn", "bt", "bu", "bv", "bs", "bver")


class _Reading(NamedTuple):
    """A record of a pack, resolved: it stands alone."""

    time: float | None
    machine: str
    sensor: str
    value: float


def decode_senml(
    payload: bytes,
    position: Position,
    *,
    key: bytes | None = None,
    received: float | None = None,
    layout: Layout = DEFAULT_LAYOUT,
) -> list[Record | Rejected]:
    """The records of a pack in order of time, each with all readings of a machine at that time; or one dead letter.

    The last part of a name, after ``/`` or ``:``, is the sensor, and what stands before is the machine; a name of one
    part is a sensor of the machine that the message's key names. Times that count from now count from when the broker
    took the message, so they are the same whenever it is read.

    Parameters
    ----------
    payload
        UTF-8 JSON, one array.
    key
        The message key.
    received
        When the broker took the message, in Unix seconds.
    layout
        Sensors to ignore, and units.
    """
    try:
        readings = sorted(_resolved(parse_array(payload), key, received, layout), key=lambda r: r.time or 0.0)
        together = _together(readings)
    except Refused as refused:
        return [Rejected(position, str(refused), payload)]
    return [Record(position, machine, time, values, received) for (machine, time), values in together.items()]


def _together(readings: list[_Reading]) -> dict[tuple[str, float | None], dict[str, float]]:
    together: dict[tuple[str, float | None], dict[str, float]] = {}
    for time, machine, sensor, value in readings:
        values = together.setdefault((machine, time), {})
        if sensor in values:
            raise Refused(f"sensor {shorten(sensor)} of {shorten(machine)} appears twice at one time")
        values[sensor] = value
    if not together:
        raise Refused("message has no sensor values")
    for values in together.values():
        check_sensors(values)
    return together


def _resolved(pack: list[Any], key: bytes | None, received: float | None, layout: Layout) -> Iterator[_Reading]:
    """The readings of a pack, with its base fields worked in (RFC 8428, 4.6)."""
    base: dict[str, Any] = {}
    for number, record in enumerate(pack):
        try:
            _check(record)
            base |= {name: record[name] for name in _BASE if name in record}
            if base.get("bver", VERSION) > VERSION:
                raise Refused(f"version {base['bver']} is not known, the newest known is {VERSION}")
            if record.keys() <= set(_BASE):
                continue
            machine, sensor = _names(base.get("bn", "") + record.get("n", ""), key)
            if sensor not in layout.ignore:
                time = _time(base.get("bt", 0) + record.get("t", 0), received)
                unit = record.get("u", base.get("bu"))
                yield _Reading(time, machine, sensor, _value(sensor, record, base, unit, layout))
        except Refused as refused:
            raise Refused(f"record {number} of the pack: {refused}") from None


def _check(record: Any) -> None:
    """Every field of its type, and none that must be understood and is not (RFC 8428, 4.4)."""
    if not isinstance(record, dict):
        raise Refused("must be an object")
    for name, value in record.items():
        if name in _TEXT:
            right = isinstance(value, str)
        elif name in ("v", "bv", "s", "bs", "t", "bt", "bver"):
            right = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
        else:
            right = not name.endswith("_") and (name != "vb" or isinstance(value, bool))
        if not right and not (value is None and name == "v"):
            raise Refused(f"field {shorten(name)} is not known, not of its type, or too large")


def _names(name: str, key: bytes | None) -> tuple[str, str]:
    """Machine and sensor."""
    if len(name) > 512:
        raise Refused(f"its name has {len(name)} characters, the limit is 512")
    if not _NAME.fullmatch(name):
        raise Refused(f"{shorten(name)} is no name")
    at = max(name.rfind("/"), name.rfind(":"))
    sensor = name[at + 1 :]
    if not sensor:
        raise Refused(f"{shorten(name)} names no sensor after its last / or :")
    return as_machine(name[:at] if at > 0 else None, key), sensor


def _time(time: float, received: float | None) -> float | None:
    if time >= RELATIVE_BELOW:
        return float(time)
    if received is not None:
        return received + time
    if time:
        raise Refused("its time counts from now, and when the message was sent is not known")
    return None


def _value(sensor: str, record: dict[str, Any], base: dict[str, Any], unit: str | None, layout: Layout) -> float:
    given = [name for name in _VALUES if name in record]
    if len(given) > 1:
        raise Refused(f"has {len(given)} values, {' and '.join(given)}")
    if not given and "s" not in record:
        raise Refused("has no value")
    if given in (["vs"], ["vd"]):
        raise Refused(f"sensor {shorten(sensor)} must be a number, got {'text' if given == ['vs'] else 'data'}")
    name, plus = ("v", "bv") if given == ["v"] else ("vb", "") if given else ("s", "bs")
    number = as_number(sensor, record[name]) + base.get(plus, 0)
    try:
        return layout.units.convert(sensor, number, unit)
    except ValueError as error:
        raise Refused(f"sensor {shorten(sensor)}: {error}") from None
