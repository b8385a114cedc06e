"""What a Prometheus and a supervisor hear of the service, over real HTTP."""

from __future__ import annotations

import http.client
import logging
import socket
import struct
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scrnn_stream.endpoint import HOST, MOST_SILENT_S, Endpoint
from scrnn_stream.metrics import Metrics
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.records import Partition
from scrnn_stream.usage import UsageError
from scrnn_stream.worker import Worker
from tests.monitoring import readings, recorded

TOPIC = 'a "topic"'


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> Metrics:
    source = SimpleNamespace(behind=lambda: {Partition(TOPIC, 0): 7})
    worker = Worker(source, SimpleNamespace(), Pipeline(), clock=clock)  # type: ignore[arg-type]
    return Metrics(worker, source, clock)  # type: ignore[arg-type]


@pytest.fixture
def port(metrics: Metrics) -> Iterator[int]:
    with Endpoint("0", metrics) as endpoint:
        yield endpoint.port


def get(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def numbers(port: int) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(get(port, "/metrics")[1])
    return {
        (s.name, tuple(s.labels[name] for name in sorted(s.labels))): s.value
        for family in families
        for s in family.samples
    }


def test_it_tells_what_the_worker_has_done(metrics: Metrics, port: int, clock: Clock) -> None:
    worker = metrics.worker
    worker._process(recorded(readings(50)))
    clock.now = 10.0
    metrics.tell()
    told = numbers(port)
    assert told["scrnn_stream_records_total", ()] == 50
    assert told["scrnn_stream_machines", ("learning",)] == 1
    assert told["scrnn_stream_lag", ("0", TOPIC)] == 7
    assert told["scrnn_stream_network_updates", ()] > 40
    assert told["scrnn_stream_record_seconds_count", ()] == told["scrnn_stream_gradient_norm_count", ()] == 1
    assert told["scrnn_stream_gradient_norm_sum", ()] == pytest.approx(worker.pipeline.gradient_norm)
    assert 0 < told["scrnn_stream_record_seconds_sum", ()] == pytest.approx(worker.counts.busy_s / 50)
    assert told["scrnn_stream_turn_seconds_sum", ()] == 10.0
    clock.now = 13.0
    assert numbers(port)["scrnn_stream_seconds_since_turn", ()] == 3.0


def test_it_is_ready_once_alerts_go_out_for_all_partitions(metrics: Metrics, port: int) -> None:
    partition = Partition("t", 0)
    assert get(port, "/readyz") == (503, "no partition yet, or still replaying\n")
    metrics.worker._next[partition], metrics.worker._live_from[partition] = 3, 5
    metrics.tell()
    assert get(port, "/readyz")[0] == 503
    metrics.worker._next[partition] = 5
    metrics.tell()
    assert get(port, "/readyz") == (200, "ready\n")


def test_what_the_worker_is_in_the_midst_of_is_not_seen(metrics: Metrics, port: int) -> None:
    worker = metrics.worker
    worker._next[Partition("t", 0)] = worker._live_from[Partition("t", 0)] = 5
    metrics.tell()
    worker._live_from[Partition("t", 1)] = 5  # and not yet where it goes on
    assert get(port, "/readyz")[0] == 200


def test_it_is_well_while_the_worker_comes_round_its_loop(metrics: Metrics, port: int, clock: Clock) -> None:
    assert get(port, "/healthz") == (200, "ok\n")
    clock.now = MOST_SILENT_S
    assert get(port, "/healthz") == (503, "the worker has not polled for 300 s\n")
    metrics.tell()
    assert get(port, "/healthz", "HEAD") == (200, "")


def test_it_answers_nothing_else(port: int) -> None:
    assert get(port, "/")[0] == get(port, "/../etc/passwd")[0] == 404
    assert get(port, "/metrics?x=1")[0] == 200
    assert get(port, "/metrics", "POST")[0] == 501


def test_who_says_nothing_holds_up_nobody(port: int) -> None:
    with socket.create_connection((HOST, port)) as idle:
        idle.sendall(b"GET /met")
        assert get(port, "/healthz")[0] == 200


def test_who_goes_in_the_midst_of_a_request_is_no_error(port: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "scrnn_stream.endpoint")
    with socket.create_connection((HOST, port)) as gone:
        gone.sendall(b"GET /met")
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed with a reset
    assert any(get(port, "/healthz")[0] == 200 and "failed" in caplog.text for _ in range(1000))
    assert {record.levelname for record in caplog.records} == {"DEBUG"}


def test_an_address_of_ipv6_is_listened_on(metrics: Metrics) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this computer has no IPv6: {error}")
    with Endpoint("[::1]:0", metrics) as endpoint, socket.create_connection(("::1", endpoint.port)) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 200")


@pytest.mark.parametrize("address", ["", "host", "70000", "127.0.0.1:http", "\N{SUPERSCRIPT TWO}"])
def test_what_is_no_address_is_told(address: str, metrics: Metrics) -> None:
    with pytest.raises(UsageError, match="is no PORT or HOST:PORT"):
        Endpoint(address, metrics)


def test_a_port_that_is_taken_is_told_and_only_this_machine_is_answered(metrics: Metrics) -> None:
    with Endpoint("0", metrics) as one:
        assert one._server.server_address[0] == "127.0.0.1"
        with pytest.raises(UsageError, match=f"--http {one.port}: cannot listen there: Address already in use"):
            Endpoint(str(one.port), metrics)
