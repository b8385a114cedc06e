"""What comes from outside, each way in as a function of bytes that raises only where a promise is broken.

A target that meets an exception that it does not name is a crash; so is a broken promise, an AssertionError.
"""

from __future__ import annotations

import argparse
import atexit
import base64
import contextlib
import gzip
import hashlib
import io
import json
import math
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import numpy as np

from connectors.alertmanager_client import postable
from connectors.codecs import MAX_DEAD_LETTER_BYTES, decode_alert, decode_json, encode_alert, encode_rejected
from connectors.files import FileSource, InputError
from connectors.layout import Layout
from connectors.letters import compose, plain
from scrnn_stream.checkpoint import CheckpointStore
from scrnn_stream.cli import main
from scrnn_stream.configuration import configuration
from scrnn_stream.effective import lines
from scrnn_stream.encoding import HEADER, MAGIC, VERSION, EncodingError, decode, encode
from scrnn_stream.endpoint import Endpoint
from scrnn_stream.ledger import Ledger
from scrnn_stream.limits import Limits, SensorLimits
from scrnn_stream.metrics import Metrics
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.records import Partition, Position, Record, Rejected
from scrnn_stream.settings import Settings
from scrnn_stream.usage import UsageError
from scrnn_stream.worker import Worker
from tests.monitoring import readings, recorded
from tests.telling import an_alert

LOG = Partition("log", 0)
WIDE = b'{"machine": "pump-1", "timestamp": "2026-01-05T08:00:00Z", "flow": 1.2, "current": 7, "on": true, "t": null}'
LONG = b'{"machine": "pump-1", "ts": 1767600000, "sensor": "flow", "value": 1.2, "unit": "m3/h", "quality": "good"}'
NESTED = (
    b'{"asset": {"id": "p"}, "time": "2026-01-05 08:00", "readings": [{"sensor": "a", "value": NaN}, {"b": 1e400}]}'
)
LAYOUTS = (
    Layout(),
    Layout.of({"machine": "asset.id", "sensors": "readings", "quality": "q", "usable": ["good", 192]}, {"flow": "l/s"}),
    Layout.of({"sensor": "name", "value": "v", "time": "t.at", "ignore": ["x.y"]}, {"a": "bar"}, "long"),
)
TOML = b"""topic = "t"
[kafka]
sasl_mechanism = "PLAIN"
[notify]
urls = ["json://a"]
[sensors.a]
low = 1
[machines.m.a]
high = 2"""
SHM = Path("/dev/shm")  # noqa: S108 - a name of this process alone
STATUSES = (100, 200, 400, 404, 408, 414, 431, 501, 503, 505)


class Target(NamedTuple):
    """One way in: what it is, inputs to begin with, and words of its language."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()


def codecs(data: bytes) -> None:
    """A message is a record with numbers and a name, or a dead letter that holds all of it."""
    layout, key, payload = LAYOUTS[data[0] % 3 if data else 0], (b"m", None, data[:8])[len(data) % 3], data[1:]
    result = decode_json(payload, Position(LOG, 1), key=key, received=1.7e9, layout=layout)
    if isinstance(result, Rejected):
        letter = json.loads(encode_rejected(result))
        assert base64.b64decode(letter["payload"]) == payload[:MAX_DEAD_LETTER_BYTES]
        assert letter["reason"]
        assert len(letter["reason"]) < 1000
        return
    assert 0 < len(result.machine) <= 256
    assert result.time is not None
    assert math.isfinite(result.time)
    assert all(isinstance(value, float) and isinstance(name, str) for name, value in result.values.items())


def alerts(data: bytes) -> None:
    """What is no alert event is a ValueError; a name in a letter is one line."""
    with contextlib.suppress(ValueError):
        decode_alert(data)
    name = data.decode("utf-8", "surrogateescape")
    letter = compose([an_alert(name or "m", id="0")])
    (letter.title + letter.body).encode()
    assert len(letter.body.splitlines()) == 3
    assert plain(name, 50).isprintable()


class Service:
    """A worker without its Kafka, for messages in lines: each is learned, dropped as a repetition, or a dead letter."""

    def __init__(self) -> None:
        self.letters: list[Rejected] = []
        self.alerts: list[Any] = []
        sink: Any = SimpleNamespace(reject=self.letters.append, send=self.alerts.append)
        source: Any = SimpleNamespace(is_live=False, behind=dict)
        self.observed = 0
        self.worker = Worker(source, sink, Pipeline(Settings(limits=_limits())), observe=self._observe)

    def _observe(self, message: Record | Rejected, verdict: Any) -> None:  # noqa: ARG002 - as the pipeline calls it
        self.observed += 1

    def take(self, data: bytes) -> None:
        payloads = data.split(b"\n")[:40]
        received = (1.7e9 + 60, 1.7e9 + 60, None, None, 0.0, 1.7e12, -1.0)[
            len(data) % 7
        ]  # whatever a producer stamps its messages with
        messages = [decode_json(p, Position(LOG, n), key=b"m", received=received) for n, p in enumerate(payloads)]
        self.worker._process(messages)
        worker, pipeline = self.worker, self.worker.pipeline
        assert worker.counts.n_records == self.observed == len(payloads)
        assert worker.counts.n_rejected == len(self.letters) >= sum(isinstance(m, Rejected) for m in messages)
        learned = sum(monitor.policy.n_records for monitor in pipeline.monitors)
        assert len(payloads) == learned + pipeline.n_duplicates + len(self.letters)
        for letter in self.letters:
            encode_rejected(letter)
        for alert in self.alerts:
            assert decode_alert(encode_alert(alert)).id == alert.id
            json.dumps(postable(alert, alert.begin or 0.0, 0.0), allow_nan=False)
            compose([alert]).body.encode()
        state = encode(pipeline.to_state(LOG))
        Pipeline(pipeline.settings).restore(LOG, decode(state))


def _limits() -> Limits:
    """An alert with the second reading of the sensor a that lies outside."""
    return Limits({"a": SensorLimits(high=3.0)})


def stream(data: bytes) -> None:
    """Every message of a stream is learned, a repetition, or in the dead letters; the state can be kept."""
    Service().take(data)


def config(data: bytes) -> None:
    """A file is a configuration that can be shown, or one line that says what to do."""
    path = _path(".toml")
    path.write_bytes(data)
    name, _, text = data.decode("utf-8", "replace").partition("=")
    environ = {f"SCRNN_STREAM_{name.upper()}": text.strip()} if name.isidentifier() else {}
    for given, variables in ((path, {}), (None, environ)):
        try:
            "\n".join(lines(configuration(argparse.Namespace(config=given), variables)))
        except UsageError as error:
            _one_line(error)


def checkpoint(data: bytes) -> None:
    """Bytes of a store, with a right checksum or not, are a state or an EncodingError; none ends the service."""
    signed = HEADER.pack(MAGIC, VERSION, hashlib.sha256(data).digest()) + data
    for document in (data, signed):
        with contextlib.suppress(EncodingError):
            decode(document)
        with contextlib.suppress(EncodingError):
            Ledger(LOG, []).read("log-0@1.ckpt", document)
    store, pipeline = _store(), Pipeline()
    store.files.write("log-0@1.ckpt", signed)
    store.take_up(LOG, 1, lambda kept: pipeline.recover(LOG, kept))
    with contextlib.suppress(Exception):  # a state of any shape: whatever it raises, `take_up` passes over
        pipeline.restore(LOG, decode(signed))


def state(data: bytes) -> None:
    """A true state with one part of it replaced, rightly signed, is refused or goes on; no kernel reads beyond it."""
    forged = decode(_true_state())
    at, node = 0, forged
    while True:  # each byte leads one step down
        step = data[at] if at < len(data) else 0
        names: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
        name, at = names[step % len(names)], at + 1
        inner = node[name]
        if not (isinstance(inner, dict | list) and inner):
            break
        node = inner
    node[name] = _forged(inner, data[at:])
    pipeline = Pipeline()
    with contextlib.suppress(Exception):  # a worker ends with it, but no kernel is led astray
        pipeline.restore(FORGED_LOG, decode(encode(forged)))
        pipeline.process(_AFTER)


def _forged(value: Any, data: bytes) -> Any:
    """Another value of the same kind where there is one: a number in an array, or what the bytes say."""
    number = int.from_bytes(data[2:10], "big", signed=True)
    if isinstance(value, np.ndarray) and value.size:
        value = value.copy()
        with contextlib.suppress(OverflowError, ValueError):
            odd = (number, -1, 2**62, np.nan, np.inf, 1e30)[len(data) % 6]
            value.reshape(-1)[int.from_bytes(data[:2], "big") % value.size] = odd
        return value
    return (number, float(number), None, data.decode("latin-1"), [], {}, np.full(3, number))[data[0] % 7 if data else 0]


def _true_state() -> bytes:
    """Of a machine that has learned for some hours."""
    if "state" not in _KEPT:
        pipeline = Pipeline()
        pipeline.process(_BEFORE)
        _KEPT["state"] = encode(pipeline.to_state(FORGED_LOG))
    kept: bytes = _KEPT["state"]
    return kept


def http(data: bytes) -> None:
    """A request is answered or the connection is closed; nothing is told but numbers."""
    endpoint = _endpoint()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(data[:4096])
        ours.shutdown(socket.SHUT_WR)
        endpoint._server.RequestHandlerClass(theirs, ("127.0.0.1", 1), endpoint._server)
        theirs.shutdown(socket.SHUT_WR)
        ours.settimeout(5)
        answer = b"".join(iter(lambda: ours.recv(65536), b""))
    if answer.startswith(b"HTTP/"):  # that of version 0.9 has no status
        assert int(answer.split(b" ", 2)[1]) in STATUSES


def command(data: bytes) -> None:
    """A command line that does nothing but show ends with 0 or 2 and one line, never with a trace."""
    words = data.decode("utf-8", "replace").replace("\0", "").split("\n")[:12]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(["config", *words])
        except SystemExit as ended:
            code = int(ended.code or 0)
    assert code in (0, 2)
    assert "Traceback" not in err.getvalue()


def rows(data: bytes) -> None:
    """A file of rows is read to its end, or refused in one line; each row is a record or has a reason."""
    for suffix, key in ((".csv", None), (".csv", "machine"), (".jsonl", None)):
        path = _path(suffix)
        path.write_bytes(data)
        try:
            with FileSource([path], key_column=key) as source:
                while (batch := source.poll()) is not None:
                    for partition in batch.assigned:
                        source.seek(partition, 0)
                    assert all(isinstance(m, Record) or m.reason for m in batch.messages)
        except InputError as error:
            _one_line(error)


def _one_line(error: Exception) -> None:
    assert len(str(error).splitlines()) == 1, str(error)


def _path(suffix: str) -> Path:
    """In memory where that can be, and of this process alone."""
    return (SHM if SHM.exists() else Path(tempfile.gettempdir())) / f"fuzz-{os.getpid()}{suffix}"


def _store() -> CheckpointStore:
    if "store" not in _KEPT:
        _KEPT["store"] = CheckpointStore("memory://fuzz")
        _KEPT["store"].open()
    kept: CheckpointStore = _KEPT["store"]
    return kept


def _endpoint() -> Endpoint:
    if "endpoint" not in _KEPT:
        source: Any = SimpleNamespace(behind=dict)
        _KEPT["endpoint"] = Endpoint("0", Metrics(Worker(source, source, Pipeline()), source))
        atexit.register(_KEPT["endpoint"]._server.server_close)
    kept: Endpoint = _KEPT["endpoint"]
    return kept


_KEPT: dict[str, Any] = {}
_LINES = b"\n".join(
    b'{"machine": "%s", "timestamp": %d, "a": %.1f, "b": 2}' % (name, 1_700_000_000 + n, n % 7)
    for n in range(12)
    for name in (b"p", b"q")
)
_RECORDS = recorded(readings(410))
_BEFORE, _AFTER = _RECORDS[:400], _RECORDS[400:]
FORGED_LOG = _RECORDS[0].position.partition
_STATE = {"monitors": [], "time": 1.0, "next_offset": 1, "n_duplicates": 0, "next_check": 2.0}
_MANIFEST = {
    "stream": {"time": 1.0},
    "segments": {"log-0@1-0.seg": 5},
    "machines": {"m": [0, 0, 5, [1.0, 2.0, False, 1, 1.0, 3, None, []]]},
    "group": "g",
}
_JSON = (
    *(b"machine", b"timestamp", b"time", b"ts", b"sensor", b"value", b"quality", b"unit", b"asset", b"readings"),
    *(
        b"NaN",
        b"Infinity",
        b"null",
        b"1e999",
        b"\\u0000",
        b"\\ud800",
        b"2026-01-05T08:00:00Z",
        b"9" * 30,
        b"[[[[",
        b'{"a":',
    ),
)
TARGETS: dict[str, Target] = {
    "codecs": Target(codecs, (b"\0" + WIDE, b"\0" + LONG, b"\1" + NESTED, b"\2" + LONG), _JSON),
    "stream": Target(stream, (_LINES, WIDE + b"\n" + LONG), _JSON),
    "alerts": Target(alerts, (encode_alert(an_alert()), "\u202e@all".encode()), _JSON),
    "config": Target(
        config,
        (TOML, b"TOPIC=x", b"KAFKA_SSL_CAFILE=a", b"NOTIFY_URLS=json://a"),
        (b"[sensors.", b"[fields]", b"[units]", b"alerts_per_day", b"= nan", b"= inf", b'"""', b"0x", b"1979-05-27"),
    ),
    "checkpoint": Target(
        checkpoint,
        (msgspec.msgpack.encode(_STATE), msgspec.msgpack.encode(_MANIFEST), encode({"a": np.arange(3)})[HEADER.size :]),
        (b"SCRNNCKP", b"float32", b"int64", b"\xc7\x10\x01", b"\xd9", b"monitors", b"segments"),
    ),
    "state": Target(state, (b"\0\0\1\1" + bytes(12), b"\0\0\1\3\1" + bytes(12), b"\1" + bytes(9)), ()),
    "http": Target(
        http,
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", b"HEAD /healthz HTTP/1.0\r\n\r\n", b"GET /x HTTP/0.9\r\n"),
        (
            b"HTTP/1.1",
            b"\r\n",
            b"Content-Length: 9",
            b"/readyz",
            b"Transfer-Encoding: chunked",
            b"Expect: 100-continue",
        ),
    ),
    "command": Target(
        command,
        (b"--topic\nt\n--alerts-per-day\n2", b"--http\n9464", b"--warmup\n7d"),
        (b"--config", b"--seed", b"--max-machines", b"-h", b"--", b"=", b"nan", b"1e400"),
    ),
    "rows": Target(
        rows,
        (b"time;flow\n2026-01-05 00:00;1,5\n", b"a,b\n1,2\n", b'{"a": 1}\n', gzip.compress(b"a,b\n1,2\n", mtime=0)),
        (b'"', b";", b"\t", b"|", b"machine", b"\xef\xbb\xbf", b"\x1f\x8b\x08"),
    ),
}
