"""Where in a message machine, time and readings stand, and what its flags and units mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from .quality import Flags
from .times import TIME_NAMES
from .units import Units

Form = Literal["auto", "wide", "long", "senml", "registry"]
PATHS = ("machine", "time", "sensor", "value", "quality", "unit", "sensors")
"""Keys of the table ``[fields]`` that name one field each; ``ignore`` and ``usable`` are lists."""


@dataclass(frozen=True)
class Layout:
    """The fields of a message. A dotted name such as ``asset.id`` leads into objects, unless a field is named so.

    Parameters
    ----------
    machine
        The machine's name.
    times
        Event time; the first that is there counts, and none of them is a sensor.
    ignore
        What is no sensor.
    sensor, value
        Of a long message, or of a reading that is an object: which sensor it is, and its reading.
    quality, unit
        What is said of a reading beside its value.
    sensors
        Of a wide message: the object or array with the readings; None: the message itself.
    form
        What messages are; ``auto`` finds out for each whether it is wide or long, and so does ``registry``.
    message_quality
        Whether `quality` is a field of wide messages, too, and tells of all their readings.
    flags
        Which quality makes a reading count.
    units
        What each sensor is measured in.
    """

    machine: str = "machine"
    times: tuple[str, ...] = TIME_NAMES
    ignore: frozenset[str] = frozenset()
    sensor: str = "sensor"
    value: str = "value"
    quality: str = "quality"
    unit: str = "unit"
    sensors: str | None = None
    form: Form = "auto"
    message_quality: bool = False
    flags: Flags = field(default_factory=Flags)
    units: Units = field(default_factory=Units)

    @classmethod
    def of(cls, fields: Mapping[str, Any], units: Mapping[str, str], form: Form = "auto") -> Layout:
        """The layout that the tables ``[fields]`` and ``[units]`` describe.

        Raises
        ------
        ValueError
            If they cannot be meant so; the message names the key.
        """
        for name, value in fields.items():
            if name in PATHS and not (isinstance(value, str) and value):
                raise ValueError(f"[fields] {name} must name a field, got {value!r}")
        layout = cls(form=form, flags=Flags.of(fields.get("usable")), units=Units.of(units))
        named = {name: fields[name] for name in PATHS if name in fields and name != "time"}
        times = (fields["time"], *TIME_NAMES) if "time" in fields else TIME_NAMES
        ignore = fields.get("ignore", [])
        if not isinstance(ignore, list) or not all(isinstance(name, str) for name in ignore):
            raise ValueError(f"[fields] ignore must be a list of fields, got {ignore!r}")
        return replace(layout, times=times, ignore=frozenset(ignore), message_quality="quality" in fields, **named)

    def to_fields(self) -> dict[str, Any]:
        """The table ``[fields]`` that this layout comes from."""
        plain = Layout()
        named: dict[str, Any] = {
            name: getattr(self, name)
            for name in PATHS
            if name not in ("time", "quality") and getattr(self, name) != getattr(plain, name)
        }
        if self.message_quality:
            named["quality"] = self.quality
        if self.times[0] != TIME_NAMES[0]:
            named["time"] = self.times[0]
        if self.ignore:
            named["ignore"] = sorted(self.ignore)
        if self.flags != plain.flags:
            named["usable"] = list(self.flags.usable)
        return named

    @cached_property
    def led_into(self) -> frozenset[str]:
        """Objects that a dotted name leads into: what else they hold are no readings."""
        paths = [self.machine, *self.times, *self.ignore, *([self.quality] if self.message_quality else [])]
        return frozenset(path.partition(".")[0] for path in paths if "." in path)

    @cached_property
    def of_long(self) -> frozenset[str]:
        """The fields that a long message has, machine and time aside."""
        paths = (self.sensor, self.value, self.quality, self.unit)
        return frozenset(name for path in paths for name in (path, path.partition(".")[0]))


def find(fields: Mapping[str, Any], path: str) -> Any:
    """What stands there; None if nothing does."""
    value = fields.get(path)
    if value is not None or "." not in path or path in fields:
        return value
    first, _, rest = path.partition(".")
    inner = fields.get(first)
    return find(inner, rest) if isinstance(inner, dict) else None


def has(fields: Mapping[str, Any], path: str) -> bool:
    """Whether something stands there, be it null."""
    if path in fields or "." not in path:
        return path in fields
    first, _, rest = path.partition(".")
    inner = fields.get(first)
    return isinstance(inner, dict) and has(inner, rest)


def take(fields: dict[str, Any], path: str) -> Any:
    """The same, which is then gone."""
    if "." not in path or path in fields:
        return fields.pop(path, None)
    first, _, rest = path.partition(".")
    inner = fields.get(first)
    return take(inner, rest) if isinstance(inner, dict) else None
