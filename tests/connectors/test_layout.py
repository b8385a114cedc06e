"""Where in a message things stand: names that the user gives, paths into objects, and the two forms of messages."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.codecs import decode_json
from connectors.layout import Layout
from connectors.times import TIME_NAMES
from scrnn_stream.records import Partition, Position, Record, Rejected

AT = Position(Partition("sensors", 3), 17)
EIGHT = 1767600000.0  # 2026-01-05T08:00:00Z
NESTED = Layout.of({"machine": "asset.id", "time": "meta.at", "ignore": ["site"], "sensors": "readings"}, {})


def decode(fields: object, layout: Layout = Layout()) -> Record | Rejected:  # noqa: B008 - it is frozen
    return decode_json(json.dumps(fields).encode(), AT, layout=layout)


def values(fields: object, layout: Layout = Layout()) -> dict[str, float]:  # noqa: B008
    record = decode(fields, layout)
    assert isinstance(record, Record), record
    return dict(record.values)


def reason(fields: object, layout: Layout = Layout()) -> str:  # noqa: B008
    rejected = decode(fields, layout)
    assert isinstance(rejected, Rejected), rejected
    return rejected.reason


def test_paths_lead_into_objects() -> None:
    message = {"asset": {"id": "pump-1", "age": 7}, "meta": {"at": 1767600000}, "site": "x", "readings": {"flow": 1}}
    assert decode(message, NESTED) == Record(AT, "pump-1", EIGHT, {"flow": 1.0})


def test_an_object_that_a_path_leads_into_holds_no_readings() -> None:
    layout = Layout.of({"machine": "asset.id"}, {})
    assert values({"asset": {"id": "pump-1", "name": "the big one"}, "flow": 1}, layout) == {"flow": 1.0}


def test_a_field_that_has_a_dot_in_its_name_goes_before_the_path() -> None:
    layout = Layout.of({"machine": "asset.id"}, {})
    record = decode({"asset.id": "a", "asset": {"id": "b"}, "flow": 1}, layout)
    assert isinstance(record, Record)
    assert record.machine == "a"


def test_a_long_message_has_the_names_that_the_user_gives() -> None:
    layout = Layout.of({"machine": "device", "time": "at", "sensor": "tag", "value": "data.v", "unit": "data.u"}, {})
    message = {"device": "pump-1", "at": "2026-01-05T08:00:00Z", "tag": "flow", "data": {"v": 1.5, "u": "m3/h"}}
    assert decode(message, layout) == Record(AT, "pump-1", EIGHT, {"flow": 1.5})


def test_readings_may_come_as_an_array_of_objects() -> None:
    readings = [{"sensor": "flow", "value": 1}, {"sensor": "current", "value": 2.5, "quality": "Bad"}]
    read = values({"asset": {"id": "m"}, "readings": readings}, NESTED)
    assert (read["flow"], math.isnan(read["current"])) == (1.0, True)
    assert "sensor 'flow' appears twice" in reason({"asset": {"id": "m"}, "readings": [readings[0]] * 2}, NESTED)


def test_a_reading_may_be_an_object_with_its_quality() -> None:
    read = values(
        {"machine": "m", "flow": {"value": 1, "quality": "good"}, "x": {"value": 2, "quality": "bad"}, "y": 3}
    )
    assert (read["flow"], read["y"], math.isnan(read["x"])) == (1.0, 3.0, True)


def test_a_field_named_quality_is_a_sensor_of_a_wide_message_unless_the_user_names_it() -> None:
    message = {"machine": "m", "flow": 1, "quality": 0}
    assert values(message) == {"flow": 1.0, "quality": 0.0}
    named = Layout.of({"quality": "quality"}, {})
    assert values(message, named) == {"flow": 1.0}
    assert math.isnan(values({**message, "quality": "BadNotConnected"}, named)["flow"])


@pytest.mark.parametrize("value", [None, "#ERR", 3.5])
def test_what_a_bad_reading_says_does_not_matter(value: object) -> None:
    message = {"machine": "m", "sensor": "flow", "value": value, "quality": "Bad"}
    assert math.isnan(values(message)["flow"])


def test_a_message_is_long_only_if_it_has_nothing_but_a_reading() -> None:
    reading = {"machine": "m", "sensor": "flow", "value": 1}
    assert "sensor 'sensor' must be a number, got a string" in reason({**reading, "other": 2})
    assert values({**reading, "other": 2}, Layout(form="long")) == {"flow": 1.0}
    assert values({"machine": "m", "value": 2}, Layout(form="wide")) == {"value": 2.0}


@pytest.mark.parametrize(
    ("message", "layout", "words"),
    [
        ({"flow": 1}, Layout(form="long"), "no sensor: 'sensor' must be a string, got null"),
        ({"sensor": "", "value": 1}, Layout(form="long"), "sensor has an empty name"),
        ({"sensor": "flow"}, Layout(form="long"), "sensor 'flow' must be a number, got an object without 'value'"),
        ({"sensor": "flow", "value": "high"}, Layout(), "sensor 'flow' must be a number, got a string"),
        ({"sensor": "flow", "value": 1, "quality": "purple"}, Layout(), "quality 'purple' is not known"),
        ({"sensor": "flow", "value": 1, "quality": []}, Layout(), "must be a word, a number or a boolean"),
        ({"readings": 7}, NESTED, "'readings' must be an object or an array of readings, got a number"),
        ({"readings": []}, NESTED, "message has no sensor values"),
        ({"readings": [7]}, NESTED, "no sensor: 'sensor' must be a string"),
    ],
)
def test_a_message_that_does_not_fit_is_refused_with_its_reason(message: object, layout: Layout, words: str) -> None:
    assert isinstance(message, dict)
    machine = {"asset": {"id": "m"}} if layout is NESTED else {"machine": "m"}
    assert words in reason({**machine, **message}, layout)


def test_a_layout_is_told_as_the_table_it_came_from() -> None:
    table = {"machine": "a.b", "time": "at", "quality": "q", "ignore": ["x", "y"], "usable": ["good", 192]}
    layout = Layout.of(table, {"flow": "m3/h"})
    assert layout.to_fields() == table
    assert layout.times == ("at", *TIME_NAMES)
    assert Layout().to_fields() == {}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"machine": 7}, "machine must name a field, got 7"),
        ({"value": ""}, "value must name a field"),
        ({"ignore": "site"}, "ignore must be a list of fields, got 'site'"),
        ({"usable": "good"}, "usable must be a list of flags"),
        ({"usable": [1.5]}, "usable holds words, whole numbers, true and false"),
    ],
)
def test_a_table_that_cannot_be_meant_so_is_a_value_error(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=r"\[fields\]") as refused:
        Layout.of(fields, {})
    assert words in str(refused.value)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "value", "quality", "unit", "a"]), inner)
    ),
    max_leaves=6,
)
_names = st.sampled_from(
    ["machine", "asset", "sensor", "value", "quality", "unit", "readings", "meta", "asset.id", "x"]
)
_layouts = st.sampled_from(
    [
        NESTED,
        Layout(),
        Layout(form="long"),
        Layout(form="wide"),
        Layout.of({"sensor": "asset.id", "value": "meta.value", "quality": "meta.quality"}, {"x": "bar", "a": "degC"}),
    ]
)


@given(st.dictionaries(_names, _json, max_size=6), _layouts)
def test_no_message_makes_any_layout_raise(fields: dict[str, object], layout: Layout) -> None:
    result = decode_json(json.dumps(fields).encode(), AT, key=b"m", layout=layout)
    if isinstance(result, Record):
        assert all(type(value) is float for value in result.values.values())
