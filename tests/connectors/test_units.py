"""Readings in the unit declared for their sensor."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import units as module
from connectors.units import Units

DECLARED = {"p": "bar", "t": "degC", "q": "m3/h", "h": "%", "v": "mm/s", "n": "rpm", "f": "Hz"}
UNITS = Units.of(DECLARED)


@pytest.mark.parametrize(
    ("sensor", "value", "unit", "expected"),
    [
        ("p", 100.0, "kPa", 1.0), ("p", 14.5038, "psi", 1.0), ("p", 1000.0, "mbar", 1.0),
        ("p", 1.0, "kgf/cm²", 0.980665), ("p", 1e5, "N·m^-2", 1.0), ("t", 212.0, "degF", 100.0),
        ("t", 300.0, "K", 26.85), ("t", 5.0, "Cel", 5.0), ("t", 41.0, "°F", 5.0), ("q", 1.0, "l/s", 3.6),
        ("q", 1.0, "m³ / s", 3600.0), ("h", 0.5, "/", 50.0), ("h", 50.0, "%RH", 50.0), ("v", 1.0, "in/s", 25.4),
        ("f", 2.0, "1/s", 2.0), ("f", 2.0, "kHz", 2000.0),
    ],
)  # fmt: skip
def test_a_reading_is_converted(sensor: str, value: float, unit: str, expected: float) -> None:
    assert UNITS.convert(sensor, value, unit) == pytest.approx(expected, rel=1e-5)


def test_a_reading_without_a_unit_or_of_a_sensor_without_one_stays_as_it_is() -> None:
    assert UNITS.convert("p", 1.5, None) == 1.5
    assert UNITS.convert("p", 1.5, "bar") == 1.5
    assert UNITS.convert("other", 1.5, "furlong") == 1.5


@pytest.mark.parametrize(
    ("sensor", "unit", "words"),
    [
        ("q", "kg/s", "cannot be told in 'm3/h'"),
        ("n", "Hz", "cannot be told in 'rpm'"),  # where radians count for nothing, 1 Hz would be 9.5 rpm
        ("h", "dB", "'dB'"),
        ("p", "xyz", "unit 'xyz' is not known"),
        ("p", "9**9**9", "is not known"),
        ("p", "m**99999999", "is not known"),
        ("p", "__import__('os')", "is not known"),
        ("p", "", "is not known"),
        ("p", "b" * 33, "33 characters, the limit is 32"),
        ("p", 7, "unit must be text"),
    ],
)
def test_what_cannot_be_converted_is_told(sensor: str, unit: object, words: str) -> None:
    with pytest.raises(ValueError) as refused:
        UNITS.convert(sensor, 1.0, unit)
    assert words in str(refused.value)


@pytest.mark.parametrize(("unit", "words"), [(7, "must be a unit such as 'bar'"), ("barr", "'barr' is not known")])
def test_a_declared_unit_that_is_none_is_told_at_once(unit: object, words: str) -> None:
    with pytest.raises(ValueError, match=r"\[units\] p") as refused:
        Units.of({"p": unit})
    assert words in str(refused.value)


def test_without_the_library_other_units_are_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_pint", lambda: False)
    units = Units.of({"p": "inHg"})
    assert units.convert("p", 1.0, "inHg") == 1.0
    with pytest.raises(ValueError, match=r"pip install 'scrnn-stream\[units\]'"):
        units.convert("p", 1.0, "mmHg")


_texts = st.text("m³/*^ 19°C%.()_-kPabr", max_size=10) | st.text(max_size=6)


@given(st.sampled_from(sorted(DECLARED)), st.floats(), _texts)
def test_no_unit_makes_anything_but_a_value_error(sensor: str, value: float, unit: str) -> None:
    with contextlib.suppress(ValueError):
        assert type(UNITS.convert(sensor, value, unit)) is float
