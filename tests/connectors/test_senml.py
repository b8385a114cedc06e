"""SenML packs: the examples of RFC 8428, what makes a pack refused, and that no input raises."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.files import FileSource
from connectors.layout import Layout
from connectors.senml import decode_senml
from scrnn_stream.cli import main
from scrnn_stream.records import Partition, Position, Record, Rejected

AT = Position(Partition("sensors", 3), 17)
DEVICE = "urn:dev:ow:10e2073a01080063"
Readings = list[tuple[str, float | None, dict[str, float]]]


def read(pack: object, **options: object) -> Readings:
    records = decode_senml(json.dumps(pack).encode(), AT, **options)  # type: ignore[arg-type]
    told = []
    for record in records:
        assert isinstance(record, Record), record
        assert record.position == AT
        told.append((record.machine, record.time, dict(record.values)))
    return told


def reason(pack: object, **options: object) -> str:
    payload = pack if isinstance(pack, bytes) else json.dumps(pack).encode()
    [rejected] = decode_senml(payload, AT, **options)  # type: ignore[arg-type]
    assert isinstance(rejected, Rejected), rejected
    assert (rejected.position, rejected.payload) == (AT, payload)
    assert len(rejected.reason) < 200
    return rejected.reason


def test_several_data_points_of_one_device() -> None:  # RFC 8428, 5.1.2
    pack = [
        {"bn": f"{DEVICE}:", "bt": 1.276020076001e9, "bu": "A", "bver": 5, "n": "voltage", "u": "V", "v": 120.1},
        {"n": "current", "t": -5, "v": 1.2},
        {"n": "current", "t": -4, "v": 1.3},
        {"n": "current", "v": 1.7},
    ]
    assert read(pack) == [
        (DEVICE, 1276020071.001, {"current": 1.2}),
        (DEVICE, 1276020072.001, {"current": 1.3}),
        (DEVICE, 1276020076.001, {"voltage": 120.1, "current": 1.7}),
    ]


def test_several_devices_in_one_pack() -> None:  # as RFC 8428, 5.1.3
    pack = [
        {
            "bn": "http://[2001:db8::1]/".replace("[", "").replace("]", ""),
            "bt": 1.320067464e9,
            "n": "temperature",
            "v": 27.2,
        },
        {"n": "humidity", "v": 80},
        {"bn": "http://2001:db8::2/", "n": "temperature", "v": 26.1},
    ]
    assert read(pack) == [
        ("http://2001:db8::1", 1320067464.0, {"temperature": 27.2, "humidity": 80.0}),
        ("http://2001:db8::2", 1320067464.0, {"temperature": 26.1}),
    ]


def test_times_below_two_to_the_28_count_from_when_the_broker_took_the_message() -> None:
    pack = [
        {"bn": "pump-1/", "n": "flow", "v": 1},
        {"n": "flow", "t": -10, "v": 2},
        {"n": "flow", "t": 300_000_000, "v": 3},
    ]
    assert read(pack, received=1e9) == [
        ("pump-1", 3e8, {"flow": 3.0}),
        ("pump-1", 1e9 - 10, {"flow": 2.0}),
        ("pump-1", 1e9, {"flow": 1.0}),
    ]
    assert "counts from now, and when the message was sent is not known" in reason(pack)
    assert read(pack[:1]) == [("pump-1", None, {"flow": 1.0})]


def test_base_values_and_sums_are_worked_in() -> None:
    pack = [
        {"bn": "m/", "bt": 1e9, "bv": 100.0, "bs": 1000.0, "n": "a", "v": 1},
        {"n": "b", "s": 5},
        {"n": "c", "vb": True},
        {"n": "d", "v": None},
    ]
    [(_, _, values)] = read(pack)
    assert math.isnan(values.pop("d"))
    assert values == {"a": 101.0, "b": 1005.0, "c": 1.0}


def test_a_record_of_base_fields_alone_is_no_reading() -> None:
    assert read([{"bn": "m/", "bt": 1e9}, {"n": "a", "v": 1}]) == [("m", 1e9, {"a": 1.0})]


def test_a_name_of_one_part_belongs_to_the_machine_of_the_key() -> None:
    assert read([{"n": "flow", "t": 1e9, "v": 1}], key=b"pump-1") == [("pump-1", 1e9, {"flow": 1.0})]
    assert "no machine" in reason([{"n": "flow", "t": 1e9, "v": 1}])


def test_units_are_converted_and_sensors_ignored() -> None:
    layout = Layout.of({"ignore": ["state"]}, {"t": "degC", "p": "bar"}, "senml")
    pack = [
        {"bn": "m/", "bt": 1e9, "bu": "K", "n": "t", "v": 300.0},
        {"n": "p", "u": "Pa", "v": 2e5},
        {"n": "state", "vs": "running"},
    ]
    [(_, _, values)] = read(pack, layout=layout)
    assert values == {"t": pytest.approx(26.85), "p": pytest.approx(2.0)}
    assert "record 0 of the pack: sensor 'p': unit 'K' cannot be told in 'bar'" in reason(
        [{"bn": "m/", "n": "p", "u": "K", "v": 1, "t": 1e9}], layout=layout
    )


@pytest.mark.parametrize(
    ("pack", "words"),
    [
        ({"n": "m/a", "v": 1}, "message must be a JSON array, got object"),
        ([], "message has no sensor values"),
        ([7], "record 0 of the pack: must be an object"),
        (
            [{"n": "m/a", "t": 1e9, "v": 1}, {"n": "m/b", "t": 1e9, "vs": "on"}],
            "record 1 of the pack: sensor 'b' must be",
        ),
        ([{"n": "m/a", "v": 1, "vb": True}], "has 2 values, v and vb"),
        ([{"n": "m/a", "t": 1e9}], "has no value"),
        ([{"n": "m/a", "v": "1"}], "field 'v' is not known, not of its type"),
        ([{"n": "m/a", "v": True}], "field 'v'"),
        ([{"n": "m/a", "v": int("9" * 400)}], "field 'v' is not known, not of its type, or too large"),
        ([{"n": "m/a", "v": 1, "t": int("9" * 400)}], "field 't'"),
        ([{"n": "m/a", "v": 1, "mustknow_": 1}], "field 'mustknow_' is not known"),
        ([{"bver": 11, "n": "m/a", "v": 1}], "version 11 is not known, the newest known is 10"),
        ([{"n": "m/ä", "v": 1}], "is no name"),
        ([{"n": "", "v": 1}], "is no name"),
        ([{"n": "m/", "v": 1}], "names no sensor after its last / or :"),
        ([{"bn": "m" * 300, "n": "n" * 300, "v": 1}], "its name has 600 characters, the limit is 512"),
        (
            [{"n": "m/a", "t": 1e9, "v": 1}, {"n": "m/a", "t": 1e9, "v": 2}],
            "sensor 'a' of 'm' appears twice at one time",
        ),
        ([{"bn": "m/", "n": "s" * 300, "t": 1e9, "v": 1}], "has a name of 300 characters"),
        (b'[{"n": "m/a", "v": 1, "v": 2}]', "field 'v' appears twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b"", "message is empty"),
        (b" " * ((1 << 20) + 1), "the limit is 1048576"),
    ],
)
def test_a_pack_that_cannot_be_read_is_one_dead_letter(pack: object, words: str) -> None:
    assert words in reason(pack, received=1e9)


_fields = {
    "bn": st.sampled_from(["m/", "urn:dev:1:", "", "ä"]), "n": st.sampled_from(["a", "b", "m/a", ":", ""]),
    "bt": st.floats() | st.integers(), "t": st.floats(allow_nan=False) | st.integers(), "v": st.none() | st.floats(),
    "vb": st.booleans(), "vs": st.text(max_size=2), "bv": st.floats(), "s": st.integers(), "bver": st.integers(0, 12),
    "u": st.text(max_size=3), "x": st.none(), "y_": st.none(),
}  # fmt: skip
_packs = st.lists(st.fixed_dictionaries({}, optional=_fields), max_size=4) | st.lists(
    st.fixed_dictionaries({"n": _fields["n"], "v": st.floats(-9, 9)}, optional={"t": st.integers(0, 2**31)}), max_size=6
)


@given(_packs, st.none() | st.just(1e9), st.binary(max_size=3), st.integers(0, 80))
def test_no_pack_whole_or_damaged_makes_the_decoder_raise(
    pack: list[dict[str, object]], received: float | None, noise: bytes, cut: int
) -> None:
    payload = json.dumps(pack).encode()
    for damaged in (payload, payload[:cut] + noise + payload[cut:]):
        decoded = decode_senml(damaged, AT, key=b"m", received=received)
        assert decoded
        times = [record.time for record in decoded if isinstance(record, Record) and record.time is not None]
        assert times == sorted(times)


# -- files ------------------------------------------------------------------------------------------------------------


def test_lines_of_packs_are_replayed_and_a_batch_ends_with_a_line(tmp_path: Path) -> None:
    path = tmp_path / "packs.txt"
    packs = [[{"bn": "m/", "bt": 1e9 + 10 * n, "n": "a", "v": n}, {"n": "a", "t": 5, "v": n}] for n in range(700)]
    path.write_text("".join(json.dumps(pack) + "\n" for pack in packs))
    with FileSource([path], layout=Layout(form="senml")) as source:
        batch = source.poll()
        assert batch is not None
        [partition] = batch.assigned
        source.seek(partition, 1)
        sizes = []
        while (batch := source.poll()) is not None and batch.messages:
            sizes.append(len(batch.messages))
            assert batch.messages[0].position.offset == 1 + sum(sizes[:-1]) // 2
    assert sizes == [1000, 398]
    assert main(["replay", str(path), "--format", "senml", "--scores", str(tmp_path / "scores.csv")]) == 0
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 1401
