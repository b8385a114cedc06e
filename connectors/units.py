"""Readings in the unit that the user declared for their sensor, whichever unit a message gives them in."""

from __future__ import annotations

import functools
import importlib.util
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MAX_UNIT_CHARS = 32
_KNOWN = 1_000  # pairs of units that are remembered
# One digit of exponent at most and no numbers else: a unit comes from outside, and 9**9**9 takes for ever.
_TERM = re.compile(r"([^\W\d_][^\W\d]*|[°µΩ%][^\W\d]*)(?:\s*(?:\*\*|\^)?\s*(-?\d|[²³]))?")
_SIGNS = re.compile(r"\s*([*/·.])\s*|\s+")
_POWERS = {"²": "2", "³": "3"}
_ALIASES = {  # SenML (RFC 8428, 12.1) and what gauges print, in the words of pint
    "Cel": "degC",
    "°C": "degC",
    "°F": "degF",
    "C": "coulomb",
    "%": "percent",
    "%RH": "percent",
    "1": "dimensionless",
    "/": "dimensionless",
    "Ohm": "ohm",
    "Ω": "ohm",
    "µ": "micrometer",
}


class _Line(NamedTuple):
    """One unit in another: factor times reading plus offset."""

    factor: float
    offset: float


@dataclass(frozen=True)
class Units:
    """What each sensor is measured in. A sensor that is not named, or a message that names no unit, is taken as it is.

    Parameters
    ----------
    declared
        Sensor name to unit.
    """

    declared: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, declared: Mapping[str, Any]) -> Units:
        """Those of the configuration. ValueError if a unit is none."""
        for sensor, unit in declared.items():
            if not isinstance(unit, str) or not unit:
                raise ValueError(f"[units] {sensor} must be a unit such as 'bar', got {unit!r}")
            if has_pint():
                try:
                    _parsed(unit)
                except ValueError as error:
                    raise ValueError(f"[units] {sensor}: {error}") from None
        return cls(dict(declared))

    def convert(self, sensor: str, value: float, unit: object) -> float:
        """A reading that came in some unit, in the one declared. ValueError if it cannot be told in it."""
        declared = self.declared.get(sensor)
        if declared is None or unit is None or unit == declared:
            return value
        if not isinstance(unit, str):
            raise ValueError("unit must be text")
        if len(unit) > MAX_UNIT_CHARS:
            raise ValueError(f"unit has {len(unit)} characters, the limit is {MAX_UNIT_CHARS}")
        line = _line(unit, declared)
        if isinstance(line, str):
            raise ValueError(line)
        return line.factor * value + line.offset


def has_pint() -> bool:
    """Whether units can be converted."""
    return importlib.util.find_spec("pint") is not None


@functools.lru_cache(maxsize=_KNOWN)
def _line(unit: str, declared: str) -> _Line | str:
    """How one becomes the other, or why it does not."""
    if not has_pint():
        return f"unit {unit!r} is not {declared!r}, and to convert it takes pip install 'scrnn-stream[units]'"
    try:
        told, wanted = _parsed(unit), _parsed(declared)
        if _registry().get_base_units(told)[1] != _registry().get_base_units(wanted)[1]:  # Hz is no rpm: no radians
            return f"unit {unit!r} cannot be told in {declared!r}"
        zero, one, two = (_registry().Quantity(n, told).m_as(wanted) for n in (0.0, 1.0, 2.0))
    except ValueError as error:
        return str(error)
    except Exception:  # pint has many errors, and what it is given comes from outside
        return f"unit {unit!r} cannot be told in {declared!r}"
    line = _Line(one - zero, zero)
    if not all(map(math.isfinite, line)) or not math.isclose(two - one, line.factor, rel_tol=1e-9):
        return f"unit {unit!r} is not proportional to {declared!r}"  # decibels, say
    return line


def _parsed(unit: str) -> Any:
    """pint's unit of that name. ValueError if there is none."""
    import pint

    try:
        return _registry().parse_units(_spelt_out(unit))
    except (pint.errors.PintError, TypeError, SyntaxError, AttributeError, KeyError) as error:
        raise ValueError(f"unit {unit!r} is not known") from error


def _spelt_out(unit: str) -> str:
    """``m3/h`` as ``m**3/h``. ValueError if that is no unit."""
    text = unit.strip()
    if text in _ALIASES:
        return _ALIASES[text]
    inverse = re.match(r"1\s*/\s*", text)
    parts, position = ("1/", inverse.end()) if inverse else ("", 0)
    while match := _TERM.match(text, position):
        name, power = match.groups()
        parts += _ALIASES.get(name, name) + (f"**{_POWERS.get(power, power)}" if power else "")
        if match.end() == len(text):
            return parts
        sign = _SIGNS.match(text, match.end())
        if sign is None:
            break
        parts += "/" if sign[1] == "/" else "*"
        position = sign.end()
    raise ValueError(f"unit {unit!r} is not known")


@functools.cache
def _registry() -> Any:
    import pint

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pint.UnitRegistry(on_redefinition="ignore")
