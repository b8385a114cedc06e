"""Messages, names and checkpoints that try to hurt the service; docs/security.md lists what became of each.

After each attack a machine that has nothing to do with it goes on as if there had been none, to the last bit.
"""

from __future__ import annotations

import base64
import contextlib
import html.parser
import json
import logging
import math
import pickle
import re
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from connectors.codecs import MAX_DEAD_LETTER_BYTES, decode_alert, decode_json, encode_alert, encode_rejected
from scrnn_stream.alert import Alert
from scrnn_stream.checkpoint import CheckpointStore
from scrnn_stream.encoding import HEADER, MAGIC, VERSION, decode, encode
from scrnn_stream.logs import TEXT, _Text
from scrnn_stream.pipeline import MAX_FUTURE_S, Pipeline
from scrnn_stream.records import Partition, Position, Record
from scrnn_stream.report import write_report
from scrnn_stream.settings import Settings
from scrnn_stream.show import alert_line
from scrnn_stream.worker import Worker
from tests.test_worker import Broker, FakeSink, FakeSource, Journal

LOG = Partition("sensors", 0)
NOW = 1.7e9
ROOT = Path(__file__).parents[1]


def good(n: int, first: int = 0) -> list[bytes]:
    """Readings of a machine that behaves."""
    return [
        json.dumps({"machine": "good", "flow": math.sin(k), "pressure": math.cos(k), "timestamp": NOW + k}).encode()
        for k in range(first, first + n)
    ]


class Service:
    """From bytes to bytes, without a broker: what is decoded, learned, told and refused, encoded as it would go out."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.pipeline, self.offset = Pipeline(settings), 0
        self.alerts: list[Alert] = []
        self.letters: list[dict[str, Any]] = []

    def take(self, *payloads: bytes, key: bytes | None = b"m", received: float = NOW + 1000) -> list[str]:
        """The reasons of what was refused."""
        messages = []
        for payload in payloads:
            messages.append(decode_json(payload, Position(LOG, self.offset), key=key, received=received))
            self.offset += 1
        outcome = self.pipeline.process(messages)
        for alert in outcome.alerts:
            assert decode_alert(encode_alert(alert)).id == alert.id
        for rejected in outcome.rejected:
            encoded = encode_rejected(rejected)
            assert len(encoded) < 2 * MAX_DEAD_LETTER_BYTES
            self.letters.append(json.loads(encoded))
        self.alerts += outcome.alerts
        return [rejected.reason for rejected in outcome.rejected]

    def state_of_good(self) -> bytes:
        """What it has learned; its offsets are others."""
        state = self.pipeline.monitor(LOG, "good").to_state()
        return encode({name: state[name] for name in ("detector", "policy", "trail")})


@pytest.fixture
def service() -> Service:
    service = Service()
    assert service.take(*good(50)) == []
    return service


def test_the_harness_lets_good_messages_through(service: Service) -> None:
    assert service.take(*good(50, 50)) == []
    assert service.letters == []


# -- messages ---------------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[bytes, str]] = {
    "oversized": (b'{"flow": "' + b"x" * (1 << 20) + b'"}', "message is 1048588 bytes long, the limit is 1048576"),
    "deep arrays": (b'{"flow": ' + b"[" * 500_000 + b"]" * 500_000 + b"}", "message is nested too deeply"),
    "deep objects": (b'{"a,b": ' * 100_000 + b"1" + b"}" * 100_000, "message is nested too deeply"),
    "an object for a reading": (b'{"flow": {"deep": {"er": 1}}}', "sensor 'flow' must be a number, got an object"),
    "duplicate keys": (b'{"flow": 1, "flow": 2}', "field 'flow' appears twice"),
    "duplicate keys, one escaped": (b'{"flow": 1, "fl\\u006fw": 2}', "field 'flow' appears twice"),
    "duplicate machine": (b'{"machine": "good", "machine": "m", "flow": 1}', "field 'machine' appears twice"),
    "huge integer": (b'{"flow": ' + b"9" * 1_000_000 + b"}", "a number in the message is too large"),
    "huge exponent": (b'{"flow": 1e' + b"9" * 1000 + b"}", "a number in the message is too large"),
    "invalid UTF-8": (b'{"fl\xffow": 1}', "message is not valid UTF-8"),
    "overlong UTF-8": (b'{"machine": "..\xc0\xaf", "flow": 1}', "message is not valid UTF-8"),
    "a lone surrogate": (b'{"machine": "\\ud800", "flow": 1}', "message is not JSON: unexpected end of escaped utf-16"),
    "UTF-16": ('{"flow": 1}'.encode("utf-16"), "message is not JSON"),
    "only white space": (b" " * 1_000_000, "message is empty"),
    "only commas": (b'{"flow": 1' + b"," * 1_000_000 + b"}", "message is not JSON"),
    "white space before NaN": (b'{"flow":' + b" " * 1_000_000 + b"NaN,", "message is not JSON"),
    "sixty thousand sensors": (json.dumps({f"s{k}": 1 for k in range(60_000)}).encode(), "message has 60000 sensors"),
    "two thousand sensors": (json.dumps({f"s{k}": 1 for k in range(2_000)}).encode(), "would have 2000 sensors"),
    "a long sensor": (json.dumps({"s" * 300: 1}).encode(), "has a name of 300 characters, the limit is 256"),
    "a long machine": (json.dumps({"machine": "m" * 300, "flow": 1}).encode(), "machine has a name of 300 characters"),
    "code": (b'{"__class__": "os.system", "args": ["true"]}', "sensor '__class__' must be a number, got a string"),
    "a template": (b'{"flow": "{{ 7*7 }} ${7*7} %(x)s"}', "sensor 'flow' must be a number, got a string"),
    "a pickle": (pickle.dumps(print), "message is not JSON"),
    "ten years ahead": (b'{"flow": 1, "timestamp": 2015360000}', "in the future, more than 3600"),
    "before the year 1": (b'{"flow": 1, "timestamp": -1e300}', "timestamp"),
    "in the year 999999": (b'{"flow": 1, "timestamp": "999999-01-01T00:00:00Z"}', "timestamp"),
    "a time of a million digits": (b'{"flow": 1, "timestamp": "' + b"9" * 1_000_000 + b'"}', "timestamp ('9999"),
}  # fmt: skip


@pytest.mark.parametrize(("payload", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_it_is_a_dead_letter_with_a_reason_and_changes_nothing_else(
    payload: bytes, reason: str, service: Service
) -> None:
    undisturbed = Service()
    undisturbed.take(*good(60))
    before = service.pipeline.n_machines
    (told,) = service.take(payload)
    assert reason in told
    assert len(told) < 300
    letter = service.letters[-1]
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("sensors", 0, 50)
    assert letter["payload_bytes"] > 0
    assert service.pipeline.n_machines == before
    assert service.take(*good(10, 50)) == []
    assert service.state_of_good() == undisturbed.state_of_good()


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "null"])
def test_what_is_no_number_is_a_missing_reading(literal: str, service: Service) -> None:
    assert service.take(f'{{"flow": {literal}, "pressure": 1}}'.encode()) == []
    assert service.pipeline.monitor(LOG, "m").sensors.last is not None
    assert math.isnan(service.pipeline.monitor(LOG, "m").sensors.last.values["flow"])  # type: ignore[union-attr]


def test_numbers_at_the_edge_of_floats_break_nothing(service: Service) -> None:
    edges = ["1.7976931348623157e308", "-1.7976931348623157e308", "5e-324", "-0.0", "1e100", "1e101", str(2**64), "0"]
    for _ in range(60):
        assert service.take(*(f'{{"flow": {edge}, "pressure": 1}}'.encode() for edge in edges)) == []
    state = service.pipeline.monitor(LOG, "m").to_state()["detector"]
    assert np.isfinite(state["network"]["theta"]).all()
    assert np.isfinite(state["readout"]).all()


def test_a_key_of_a_megabyte_is_refused(service: Service) -> None:
    assert service.take(b'{"flow": 1}', key=b"k" * 1_000_000) == [
        "machine has a name of 1000000 characters, the limit is 256"
    ]


def test_a_record_far_ahead_does_not_move_the_clock_of_the_others(service: Service) -> None:
    """The worst that passes is an hour ahead of the message's own time; the others are then told silent no sooner."""
    ahead = NOW + 1000 + MAX_FUTURE_S
    assert service.take(json.dumps({"flow": 1, "timestamp": ahead}).encode()) == []
    assert len(service.take(json.dumps({"flow": 1, "timestamp": ahead + 1}).encode())) == 1
    assert [alert for alert in service.alerts if alert.machine == "good"] == []
    assert service.take(*good(10, 50)) == []


def test_a_million_machine_names_take_no_more_memory_than_the_limit_allows() -> None:
    pipeline = Pipeline(Settings(max_known_machines=100))

    def names(begin: int, end: int) -> int:
        records = (Record(Position(LOG, k), f"m{k}", NOW, {"flow": 1.0}) for k in range(begin, end))
        n_refused = 0
        while batch := [record for _, record in zip(range(1000), records, strict=False)]:
            n_refused += len(pipeline.process(batch).rejected)
        return n_refused

    assert names(0, 1000) == 900
    tracemalloc.start()
    try:
        names(1000, 5000)
        before = tracemalloc.get_traced_memory()[0]
        names(5000, 10_000)
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()
    assert names(10_000, 1_000_000) == 990_000
    assert pipeline.n_machines == 100


def test_a_sensor_more_with_each_record_ends_at_the_limit(service: Service) -> None:
    service.pipeline.settings = Settings(max_sensors=20)
    reasons = service.take(*(json.dumps({f"s{k}": 1}).encode() for k in range(100)))
    assert len(reasons) == 80
    assert len(service.pipeline.monitor(LOG, "m").detector.sensors) == 20


# -- names ------------------------------------------------------------------------------------------------------------

HOSTILE = {
    "script": "<script>alert(document.domain)</script>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "entity": "&lt;img src=x onerror=alert(1)&gt;</title><svg/onload=alert(1)>",
    "style": "</style><link rel=stylesheet href=//evil.example>{}",
    "path": "../../../../etc/cron.d/root",
    "windows path": "..\\..\\C:\\Windows\\system32\\config",
    "absolute path": "/etc/passwd",
    "nul": "pump\x00.ckpt",
    "line end": "pump\nERROR scrnn_stream.worker: all is lost",
    "terminal": "pump\x1b]0;owned\x07\x1b[2J\x9b31m",
    "direction": "pump\u202egpj.exe\u2066",
    "markup": "[bold red]pump[/] [link=https://evil.example]x[/link]",
    "format": "{machine.__class__.__mro__} %s %(name)s ${HOME} $(id) `id`",
    "sql": "'; DROP TABLE machines; --",
    "dots": "..",
    "device": "CON",
    "long": "ä" * 256,
}


class Page(html.parser.HTMLParser):
    """The tags and attributes of a page as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}


def hostile_alerts(name: str) -> list[Alert]:
    """Of a machine and a sensor of that name, which goes silent after a while; as they come back from the wire."""
    service = Service()
    payloads = [{"machine": name, name: math.sin(k), "b": math.cos(k), "timestamp": NOW + k} for k in range(130)]
    payloads += [{"machine": name, "b": math.cos(k), "timestamp": NOW + k} for k in range(130, 600)]
    assert service.take(*(json.dumps(payload).encode() for payload in payloads)) == []
    assert {alert.machine for alert in service.alerts} == {name}
    assert any(name in alert.message for alert in service.alerts)
    return [decode_alert(encode_alert(alert)) for alert in service.alerts]


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_name_is_shown_and_does_nothing(name: str, tmp_path: Path) -> None:
    alerts = hostile_alerts(name)
    index = write_report(alerts, tmp_path / "cards", title=name, note=name)
    cards = list((tmp_path / "cards").iterdir())
    assert list(tmp_path.iterdir()) == [tmp_path / "cards"]
    assert index in cards
    for card in cards:
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*\.html", card.name)
        page = Page(card.read_text(encoding="utf-8"))
        assert not page.tags & {"script", "img", "link", "iframe", "object", "embed", "form", "base", "a"} - {"a"}
        for attribute, value in page.attributes:
            assert not attribute.startswith("on")
            assert attribute not in ("src", "action", "xlink:href")
            assert attribute != "style" or re.fullmatch(r"[\w:;.% -]*", value)
            assert attribute != "href" or re.fullmatch(r"[a-z0-9-]+\.html", value)
    for alert in alerts:
        line = alert_line(alert)
        assert line.isprintable()
        assert "[link=" not in line.replace("\\[link=", "")
        record = logging.LogRecord("scrnn_stream.monitor", logging.INFO, "", 0, "%s is ready", (alert.machine,), None)
        assert _Text(TEXT).format(record).isprintable()


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_name_names_no_file_of_a_checkpoint(name: str, tmp_path: Path) -> None:
    service, store = Service(), CheckpointStore(tmp_path / "models", "g")
    service.take(json.dumps({"machine": name, "flow": 1, "timestamp": NOW}).encode())
    # topics have better names, and the place must hold anyway
    partition = Partition(name.replace("\0", "")[:20], 0)
    store.save(partition, 1, *service.pipeline.to_keep(LOG))
    assert list(tmp_path.iterdir()) == [tmp_path / "models"]
    assert all(path.is_file() and path.parent == tmp_path / "models" for path in (tmp_path / "models").rglob("*"))
    again = Pipeline()
    assert CheckpointStore(tmp_path / "models", "g").take_up(partition, 1, lambda c: again.recover(LOG, c)) == 1
    assert again.monitor(LOG, name).machine == name


# -- checkpoints ------------------------------------------------------------------------------------------------------


def sealed(payload: bytes, version: int = VERSION) -> bytes:
    """As we would write it: a checksum keeps out accidents, not people."""
    import hashlib

    return HEADER.pack(MAGIC, version, hashlib.sha256(payload).digest()) + payload


def array(name: str, shape: list[int], data: bytes) -> bytes:
    header = msgspec.msgpack.encode([name, shape])
    return msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(1, struct.pack(">H", len(header)) + header + data)})


LIES = {
    "a map of four billion": b"\xdf\xff\xff\xff\xff",
    "an array of four billion": b"\x81\xa1a\xdd\xff\xff\xff\xff",
    "text of four gigabytes": b"\x81\xa1a\xdb\xff\xff\xff\xff" + b"x" * 100,
    "bytes of four gigabytes": b"\x81\xa1a\xc6\xff\xff\xff\xff" + b"x" * 100,
    "a deep tree": b"\x81\xa1a" * 100_000 + b"\xc0",
    "deep arrays": b"\x81\xa1a" + b"\x91" * 100_000 + b"\xc0",
    "an array larger than its data": array("float64", [1 << 40], bytes(8)),
    "an array of negative size": array("float64", [-1, -8], bytes(64)),
    "an array whose size overflows": array("float64", [1 << 62, 8], bytes(64)),
    "an array of objects": array("object", [1], bytes(8)),
    "an array with a shape beyond its header": msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(1, b"\xff\xff\x92")}),
    "another extension": msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(99, b"code")}),
    "no map": b"\x93\x01\x02\x03",
    "nothing": b"",
}


class Trap:
    """Does something when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return (Path.touch, (Path("trapped"),))  # type: ignore[return-value]


FOREIGN = {
    "a pickle": pickle.dumps(Trap()),
    "a pickle behind our header": sealed(pickle.dumps(Trap())),
    "a gzip bomb": base64.b64decode("H4sIAAAAAAAC/+3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA"),
    "a newer version": sealed(b"\x80", VERSION + 1),
} | {name: sealed(payload) for name, payload in LIES.items()}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("kind", ["manifest", "segment"])
def test_a_checkpoint_that_lies_is_passed_over_and_takes_no_memory(
    kind: str, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    service, store = Service(), CheckpointStore(tmp_path / "models", "g")
    service.take(*good(5))
    store.save(LOG, 5, *service.pipeline.to_keep(LOG))
    service.take(*good(5, 5))
    store.save(LOG, 10, *service.pipeline.to_keep(LOG))
    (newest,) = (tmp_path / "models").glob("*@10.ckpt" if kind == "manifest" else "*@10-*.seg")
    newest.write_bytes(data)
    tracemalloc.start()
    try:
        again = Pipeline()
        assert CheckpointStore(tmp_path / "models", "g").take_up(LOG, 10, lambda c: again.recover(LOG, c)) == 5
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert sum("is passed over" in message for message in caplog.messages) == 1
    assert not Path("trapped").exists()


def with_changes(
    state: Any, change: Callable[[Any], Any], at: tuple[Any, ...] = ()
) -> list[tuple[tuple[Any, ...], Any]]:
    """Each place of a state, with what a change makes of the value there; of the trail's many points only all."""
    found = []
    inner = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list) else ()
    for key, value in inner:
        if key in ("points", "values") and at:
            continue
        found += [((*at, key), change(value)), *with_changes(value, change, (*at, key))]
    return found


CHANGES: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda _: None,
    "text": lambda _: "x",
    "a list": lambda _: [],
    "a gigantic number": lambda v: 10**12 if not isinstance(v, float) else -1e300,
    "a shorter array": lambda v: v[:-1] if isinstance(v, np.ndarray) and v.ndim == 1 and len(v) else np.zeros(1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_state_that_was_altered_is_refused_or_works_on(change: Callable[[Any], Any]) -> None:
    """Kernels trust the sizes that they are given, so whatever is taken must not break them."""
    service = Service()
    service.take(*good(60))
    whole = service.pipeline.monitor(LOG, "good").to_state()
    n_refused = 0
    for path, value in with_changes(whole, change):
        state = decode(encode(whole))
        place = state
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        altered = Service()
        try:
            altered.pipeline.restore(LOG, {"monitors": [state], **service.pipeline._stream(LOG).numbers()})
        except Exception:  # whatever it is, the checkpoint is passed over
            n_refused += 1
            continue
        altered.offset = service.offset
        if "good" in altered.pipeline._stream(LOG).entries:
            with contextlib.suppress(AssertionError):
                altered.take(*good(3, 60))
            altered.pipeline.check_idle(LOG, 1e6)
    assert n_refused > 30


def test_the_checkpoint_of_another_group_is_not_replayed_and_not_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Copied there, or left by a wrong configuration: its models know other settings."""

    def worker(group: str, broker: Broker) -> Worker:
        source, sink = FakeSource(broker, Journal(), 7), FakeSink(broker, Journal())
        return Worker(source, sink, Pipeline(), CheckpointStore(tmp_path, group), 0.0, clock=lambda: source.seconds)

    log = [decode_json(payload, Position(LOG, k), received=NOW + 1000) for k, payload in enumerate(good(30))]
    theirs = Broker(log)
    worker("theirs", theirs).run()
    files = set(tmp_path.iterdir())
    ours = Broker(log)
    ours.committed[LOG] = 20
    counts = worker("ours", ours).run()
    assert counts.n_replayed == 20  # all of it, from the topic
    assert "of group 'theirs', not 'ours'" in caplog.text
    assert files <= set(tmp_path.iterdir())


# -- the table --------------------------------------------------------------------------------------------------------


def test_the_table_of_attacks_names_tests_that_exist_and_leaves_out_none_of_these() -> None:
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page.partition("## Attacks")[2]))
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    defined = {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.MULTILINE)}
    assert named - defined == set()
    here = set(re.findall(r"^def (test_\w+)", Path(__file__).read_text(encoding="utf-8"), re.MULTILINE))
    about_us = {name for name in here if "harness" in name or "the_table_of" in name}
    assert here - named - about_us == set()
