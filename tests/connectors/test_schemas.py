"""The published schemas: what is told keeps to them, and what is no alert does not."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource

from connectors.codecs import ALERT_SCHEMA, REBUILT_SCHEMA, encode_alert, encode_rebuilt, encode_rejected
from scrnn_stream.alert import Alert, SensorEvidence
from scrnn_stream.limits import Limits, SensorLimits
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.records import Partition, Position, Rebuilt, Record, Rejected
from scrnn_stream.settings import Settings
from tests.connectors.test_codecs import alert

FILES = sorted((Path(__file__).parents[2] / "docs/schemas").glob("*.schema.json"))
SCHEMAS: dict[str, dict[str, Any]] = {path.name.partition(".")[0]: json.loads(path.read_text()) for path in FILES}
KNOWN: Registry[Any] = Registry().with_resources(
    [(schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()]
)
AT = Position(Partition("sensors", 3), 17)


def check(name: str, message: bytes) -> None:
    Draft202012Validator(SCHEMAS[name], registry=KNOWN).validate(json.loads(message))


@pytest.fixture(scope="module")
def told(plant: list[Record]) -> list[Alert]:
    """Alerts of every kind: a fault is adopted as normal, and a sensor leaves the range that the user gave."""
    shifted = [
        Record(
            r.position, r.machine, r.time, {s: v + 60 * (r.machine == "fan" and n > 3000) for s, v in r.values.items()}
        )
        for n, r in enumerate(plant)
    ]
    limits = Limits({"flow": SensorLimits(high=90.0)}, {})
    return Pipeline(Settings(accept_after=40, limits=limits)).process(shifted).alerts


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_schema_is_one_and_bears_the_name_of_its_file(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$id"] == f"urn:scrnn-stream:schema:{name}:1"


def test_every_alert_keeps_to_the_schemas(told: list[Alert]) -> None:
    assert {one.kind for one in told} == {"anomaly", "stuck", "silent", "out_of_range", "regime_changed"}
    assert {one.state for one in told} == {"firing", "resolved"}
    for one in [*told, alert(), alert(begin=None, raised=None, id="0" * 16)]:
        event = json.loads(encode_alert(msgspec.structs.replace(one, id=one.id if len(one.id) == 16 else "0" * 16)))
        check("event", json.dumps(event).encode())
        check("alert", json.dumps(event["data"]).encode())
        assert event["dataschema"] == SCHEMAS["alert"]["$id"] == ALERT_SCHEMA


def test_word_of_lost_state_and_dead_letters_keep_to_theirs() -> None:
    event = encode_rebuilt(Rebuilt(AT, "the log begins at 17"))
    check("event", event)
    check("state_rebuilt", json.dumps(json.loads(event)["data"]).encode())
    assert SCHEMAS["state_rebuilt"]["$id"] == REBUILT_SCHEMA
    check("dead_letter", encode_rejected(Rejected(AT, "why", b"\xff")))


def test_the_schema_of_an_alert_has_the_fields_of_an_alert() -> None:
    for schema, owner in ((SCHEMAS["alert"], Alert), (SCHEMAS["alert"]["$defs"]["evidence"], SensorEvidence)):
        names = [field.name for field in msgspec.structs.fields(owner)]
        assert sorted(schema["properties"]) == sorted(schema["required"]) == sorted(names)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "io.scrnn-stream.alert.acknowledged"},
        {"specversion": "0.3"},
        {"dataschema": REBUILT_SCHEMA},
        {"time": "yesterday"},
        {"id": ""},
        {"data": {}},
        {"data": {"kind": "boredom"}},
        {"data": {"score": 1.5}},
        {"data": {"begin": "2026-01-05"}},
        {"data": {"position": {"topic": "sensors"}}},
        {"data": {"sensors": [{"sensor": "flow"}]}},
    ],
)
def test_what_is_no_alert_does_not_keep_to_the_schema(change: dict[str, Any]) -> None:
    event = json.loads(encode_alert(alert(id="0" * 16)))
    check("event", json.dumps(event).encode())
    broken = copy.deepcopy(event)
    data = change.pop("data", None)
    broken |= change
    if data is not None:
        broken["data"] = {**broken["data"], **data} if data else {}
    with pytest.raises(ValidationError):
        check("event", json.dumps(broken).encode())
