from __future__ import annotations

import base64
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.codecs import (
    MAX_DEAD_LETTER_BYTES,
    MAX_MESSAGE_BYTES,
    decode_alert,
    decode_json,
    encode_alert,
    encode_rebuilt,
    encode_record,
    encode_rejected,
)
from connectors.readings import MAX_SENSORS
from connectors.times import format_time, parse_time
from scrnn_stream.alert import Alert, SensorEvidence
from scrnn_stream.records import Partition, Position, Rebuilt, Record, Rejected

AT = Position(Partition("sensors", 3), 17)
EIGHT = 1767600000.0  # 2026-01-05T08:00:00Z


def decoded(payload: bytes | str, **options: object) -> Record:
    result = decode_json(payload.encode() if isinstance(payload, str) else payload, AT, **options)  # type: ignore[arg-type]
    assert isinstance(result, Record), result
    return result


def reason(payload: bytes | str, **options: object) -> str:
    result = decode_json(payload.encode() if isinstance(payload, str) else payload, AT, **options)  # type: ignore[arg-type]
    assert isinstance(result, Rejected), result
    assert result.position == AT
    assert len(result.reason) < 200
    return result.reason


def alert(**changes: object) -> Alert:
    evidence = SensorEvidence(
        sensor="flow", share=1.0, actual=math.nan, expected=1.5, low=1.0, high=2.0, channel="fast",
        trail_time=(1.0, 2.0), trail_reading=(1.5, math.nan), trail_expected=(1.5, 1.5), trail_low=(1.0, 1.0),
        trail_high=(2.0, 2.0),
    )  # fmt: skip
    fields: dict[str, object] = {
        "id": "pump-1/anomaly/17", "machine": "pump-1", "kind": "anomaly", "state": "firing", "severity": "critical",
        "begin": EIGHT - 60, "raised": EIGHT, "position": AT, "score": 0.99, "p_value": 1e-9, "message": "flow is low",
        "sensors": (evidence,),
    }  # fmt: skip
    return Alert(**(fields | changes))  # type: ignore[arg-type]


def same(a: object, b: object) -> bool:
    return repr(a) == repr(b)  # NaN equals NaN in print


def test_a_wide_message_becomes_a_record() -> None:
    record = decoded('{"machine": "pump-1", "timestamp": "2026-01-05T08:00:00Z", "flow": 1.5, "current": 7}')
    assert record == Record(AT, "pump-1", EIGHT, {"flow": 1.5, "current": 7.0})
    assert all(type(value) is float for value in record.values.values())


def test_a_long_message_becomes_a_record_with_one_sensor() -> None:
    record = decoded('{"machine": "pump-1", "ts": 1767600000, "sensor": "flow", "value": 1.5}')
    assert record == Record(AT, "pump-1", EIGHT, {"flow": 1.5})


def test_a_wide_message_may_have_a_sensor_named_value() -> None:
    assert decoded('{"machine": "m", "value": 1, "flow": 2}').values == {"value": 1.0, "flow": 2.0}


def test_the_key_names_the_machine_when_no_field_does() -> None:
    assert decoded('{"flow": 1}', key="Kühlpumpe".encode()).machine == "Kühlpumpe"
    assert decoded('{"flow": 1, "machine": 7}', key=b"other").machine == "7"


def test_a_message_without_time_takes_the_brokers() -> None:
    record = decoded('{"machine": "m", "flow": 1}', received=5.0)
    assert (record.time, record.received) == (5.0, 5.0)


@pytest.mark.parametrize("reading", ["null", "NaN", "Infinity", "-Infinity"])
def test_a_reading_that_is_no_finite_number_is_missing(reading: str) -> None:
    assert math.isnan(decoded(f'{{"machine": "m", "flow": {reading} , "x": {reading}}}').values["flow"])


def test_nan_inside_a_name_stays_as_it_is() -> None:
    assert decoded(r'{"machine": "a\": NaN, b", "flow": NaN}').machine == 'a": NaN, b'


def test_true_and_false_read_as_one_and_zero() -> None:
    assert decoded('{"machine": "m", "valve": true, "pump": false}').values == {"valve": 1.0, "pump": 0.0}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("", "message is empty"),
        ("  ", "message is empty"),
        ('{"machine": "m"', "truncated"),
        ("[1, 2]", "must be a JSON object, got array"),
        ('"text"', "must be a JSON object, got str"),
        (b'{"machine": "\xff", "flow": 1}', "not valid UTF-8"),
        ('{"flow": 1}', "no machine"),
        ('{"machine": "", "flow": 1}', "empty name"),
        ('{"machine": true, "flow": 1}', "machine must be a string, got a boolean"),
        (json.dumps({"machine": "m" * 257, "flow": 1}), "name of 257 characters, the limit is 256"),
        (json.dumps({"machine": "m", "s" * 257: 1}), "name of 257 characters, the limit is 256"),
        (json.dumps({"machine": "m"} | {f"s{i}": i for i in range(MAX_SENSORS + 1)}), "10001 sensors"),
        (b" " * (MAX_MESSAGE_BYTES + 1), "the limit is 1048576"),
        ('{"machine": "m"}', "no sensor values"),
        ('{"machine": "m", "status": "ok"}', "sensor 'status' must be a number, got a string"),
        ('{"machine": "m", "flow": {"a": 1}}', "sensor 'flow' must be a number, got an object"),
        ('{"machine": "m", "flow": [1, 2]}', "sensor 'flow' must be a number, got an array"),
        ('{"machine": "m", "flow": 1e999}', "too large"),
        ('{"machine": "m", "flow": ' + "9" * 400 + "}", "too large"),
        ('{"machine": "m", "flow": ' + "9" * 9000 + "}", "too large"),
        ('{"machine": "m", "flow": 1, "flow": 2}', "field 'flow' appears twice"),
        ('{"machine": "m", "a": ' + "[" * 9000 + "]" * 9000 + "}", "nested too deeply"),
        ('{"machine": "m", "timestamp": "yesterday", "flow": 1}', "timestamp ('yesterday'): not ISO 8601"),
        ('{"machine": "m", "timestamp": [1], "flow": 1}', "timestamp: a time must be"),
        ('{"machine": "m", "timestamp": 1e300, "flow": 1}', "out of range"),
    ],
)  # fmt: skip
def test_a_bad_message_is_refused_with_its_reason(payload: str | bytes, expected: str) -> None:
    assert expected in reason(payload)


def test_a_key_that_is_not_text_is_refused() -> None:
    assert "key is not valid UTF-8" in reason('{"flow": 1}', key=b"\xff")


@given(st.binary(max_size=60), st.none() | st.binary(max_size=5))
def test_no_bytes_make_the_decoder_raise(payload: bytes, key: bytes | None) -> None:
    assert isinstance(decode_json(payload, AT, key=key), Record | Rejected)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
_names = st.sampled_from(["machine", "timestamp", "ts", "sensor", "value", "flow"]) | st.text(max_size=4)


@given(st.dictionaries(_names, _json, max_size=5), st.booleans(), st.integers(0, 80), st.binary(max_size=2))
def test_no_json_whole_or_damaged_makes_the_decoder_raise(
    fields: dict[str, object], ascii_only: bool, cut: int, noise: bytes
) -> None:
    payload = json.dumps(fields, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    for damaged in (payload, payload[:cut], payload[:cut] + noise + payload[cut:]):
        result = decode_json(damaged, AT, key=b"m")
        if isinstance(result, Record):
            assert all(type(value) is float for value in result.values.values())
            json.dumps(result.machine).encode()


_readings = st.floats(allow_infinity=False)


@given(
    st.dictionaries(st.text('abc,"\\ :NaN', min_size=1, max_size=6), _readings, min_size=1), st.integers(0, 4 * 10**9)
)
def test_a_record_survives_the_round_trip(values: dict[str, float], time: int) -> None:
    record = Record(AT, "pump-1", float(time), values)
    assert same(decoded(encode_record(record)), record)


def test_a_sensor_with_a_reserved_name_is_not_encoded() -> None:
    with pytest.raises(ValueError, match=r"'time'.*reserved; rename"):
        encode_record(Record(AT, "m", 1.0, {"time": 1.0}))


def test_an_alert_is_a_cloud_event_with_null_for_nan() -> None:
    event = json.loads(encode_alert(alert()), parse_constant=pytest.fail)
    data = event.pop("data")
    assert event == {
        "specversion": "1.0", "id": "pump-1/anomaly/17/firing", "source": "/scrnn-stream",
        "type": "io.scrnn-stream.alert.firing", "subject": "pump-1", "time": "2026-01-05T08:00:00Z",
        "datacontenttype": "application/json", "dataschema": "urn:scrnn-stream:schema:alert:1",
    }  # fmt: skip
    assert data["position"] == {"topic": "sensors", "partition": 3, "offset": 17}
    assert data["sensors"][0]["trail_reading"] == [1.5, None]


def test_each_message_of_an_episode_has_an_id_of_its_own() -> None:
    messages = [alert(), alert(n_told=2), alert(n_told=3), alert(n_told=3, state="resolved")]
    ids = [json.loads(encode_alert(message))["id"].removeprefix(alert().id) for message in messages]
    assert ids == ["/firing", "/firing/2", "/firing/3", "/resolved"]


def test_an_event_without_time_says_none() -> None:
    assert "time" not in json.loads(encode_alert(alert(begin=None, raised=None)))


@given(st.floats(allow_infinity=False), st.floats(allow_infinity=False), st.none() | st.floats(0, 2), st.text())
def test_an_alert_survives_the_round_trip(score: float, actual: float, budget: float | None, message: str) -> None:
    evidence = SensorEvidence(sensor="s", share=0.5, actual=actual, expected=actual, low=actual, high=actual)
    sent = alert(score=score, budget_used=budget, message=message, sensors=(evidence, *alert().sensors), end=EIGHT)
    assert same(decode_alert(encode_alert(sent)), sent)


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"data": 1}', b'{"data": {"position": 1}}', b"\xff"])
def test_bytes_that_are_no_alert_are_a_value_error(payload: bytes) -> None:
    with pytest.raises(ValueError):
        decode_alert(payload)


def test_a_dead_letter_keeps_position_reason_and_payload() -> None:
    letter = json.loads(encode_rejected(Rejected(AT, "why", b"\xff\x00")))
    assert base64.b64decode(letter.pop("payload")) == b"\xff\x00"
    assert letter == {"topic": "sensors", "partition": 3, "offset": 17, "reason": "why", "payload_bytes": 2}


def test_a_huge_payload_is_cut_in_its_dead_letter() -> None:
    letter = encode_rejected(Rejected(AT, "why", b"x" * MAX_MESSAGE_BYTES))
    assert len(letter) < 2 * MAX_DEAD_LETTER_BYTES
    assert json.loads(letter)["payload_bytes"] == MAX_MESSAGE_BYTES


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-05T08:00:00Z", "2026-01-05T08:00:00.000000000Z", "20260105T080000Z",
        "2026-01-05 08:00:00", "2026-01-05T09:00:00+01:00", " 2026-01-05 08:00 ", "1767600000",
        1767600000, 1767600000.0, 1767600000_000, 1767600000_000_000, 1767600000_000_000_000, "1767600000000",
    ],
)  # fmt: skip
def test_a_time_is_read_in_every_notation(value: object) -> None:
    assert parse_time(value) == EIGHT


def test_a_time_keeps_its_fraction() -> None:
    assert parse_time("2026-01-05 08:00:00.25") == EIGHT + 0.25
    assert format_time(EIGHT + 0.25, " ", "") == "2026-01-05 08:00:00.250000"


@pytest.mark.parametrize(
    "value",
    ["", "noon", "nan", True, None, 1e30, -90_000_000_000, "0001-01-01T00:00:00+14:00", math.nan, math.inf],
)
def test_what_is_no_time_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError):
        parse_time(value)


def test_word_of_lost_state_is_an_event_of_its_own() -> None:
    event = json.loads(encode_rebuilt(Rebuilt(Position(Partition("sensors", 2), 40), "the log begins at 40")))
    assert (event["type"], event["subject"]) == ("io.scrnn-stream.state_rebuilt", "sensors/2")
    assert event["data"] == {
        "position": {"topic": "sensors", "partition": 2, "offset": 40},
        "reason": "the log begins at 40",
    }
