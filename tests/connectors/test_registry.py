"""Schemas by their ids: asked for once, waited for while the registry is away, given up if it knows none."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator

import pytest

from connectors.readings import Refused
from connectors.registry import FORGET_S, MOST_KEPT, N_STRANGE, N_TRIES, TIMEOUT_S, NotNow, Registry, RegistryProblem
from tests.schema_registry import SchemaRegistry, schema_registry


@pytest.fixture
def server() -> Iterator[SchemaRegistry]:
    with schema_registry() as registry:
        yield registry


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def client(server: SchemaRegistry, clock: Clock | None = None) -> Registry:
    return Registry(server.url, clock or Clock())


def test_a_schema_is_asked_for_once(server: SchemaRegistry) -> None:
    id, registry = server.register({"type": "string"}), client(server)
    assert [registry.schema(id) for _ in range(3)] == [(id, "AVRO", '{"type": "string"}', False)] * 3
    assert server.asked == [f"/schemas/ids/{id}"]


def test_an_unknown_id_is_given_up_after_some_tries_and_asked_for_again_later(server: SchemaRegistry) -> None:
    clock = Clock()
    registry = client(server, clock)
    for _ in range(N_TRIES - 1):
        for _ in range(5):  # not before a pause is over
            with pytest.raises(NotNow):
                registry.schema(7)
        clock.now += 1.0
    for _ in range(5):
        with pytest.raises(Refused, match=r"the registry has no schema 7 \(404\)"):
            registry.schema(7)
    assert len(server.asked) == N_TRIES
    clock.now += FORGET_S
    server.schemas[7] = {"schema": "{}"}
    assert registry.schema(7).text == "{}"


def test_many_made_up_ids_make_nobody_wait(server: SchemaRegistry) -> None:
    registry = client(server)
    for id in range(N_STRANGE):
        with pytest.raises(NotNow):
            registry.schema(id)
    for id in range(100, 120):
        with pytest.raises(Refused):
            registry.schema(id)


@pytest.mark.parametrize("status", [500, 503, 429, 302])
def test_a_registry_that_fails_is_waited_for(
    server: SchemaRegistry, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    id, clock = server.register("{}"), Clock()
    registry = client(server, clock)
    server.fails_with = status
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            with pytest.raises(NotNow):
                registry.schema(id)
            clock.now += 0.5
        server.fails_with = None
        clock.now += 1.0
        assert registry.schema(id).id == id
    assert len(server.asked) == 6
    waits, works = [record.getMessage() for record in caplog.records]
    assert waits == f"the registry {server.url}: answers {status}; nothing is lost, messages wait for it"
    assert works == f"the registry {server.url} answers again"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"schema": 7}', b"x" * (1 << 21)])
def test_an_answer_that_holds_no_schema_is_waited_out(server: SchemaRegistry, body: bytes) -> None:
    server.body = body
    with pytest.raises(NotNow):
        client(server).schema(1)


def test_a_registry_that_is_gone_is_waited_for() -> None:
    with schema_registry() as server:
        registry = client(server)
    with pytest.raises(NotNow):
        registry.schema(1)


def test_an_answer_that_comes_byte_by_byte_holds_nobody_up(server: SchemaRegistry) -> None:
    id = server.register({"type": "string"})
    times = itertools.count(1000.0, TIMEOUT_S + 1.0)  # so long passes between two looks at the clock
    with pytest.raises(NotNow):
        Registry(server.url, clock=lambda: next(times)).schema(id)


def test_only_so_many_schemas_are_kept(server: SchemaRegistry) -> None:
    registry = client(server)
    for _ in range(MOST_KEPT + 1):
        registry.schema(server.register("{}"))
    assert len(registry._schemas) == MOST_KEPT


# -- at the start -----------------------------------------------------------------------------------------------------


def test_at_the_start_it_must_answer(server: SchemaRegistry) -> None:
    client(server).open()
    server.fails_with = 404
    with pytest.raises(RegistryProblem, match=r"answers but not as a schema registry \(404\): check its path"):
        client(server).open()
    with schema_registry() as gone:
        pass
    with pytest.raises(RegistryProblem, match=r"does not answer: .*; is it up\?"):
        client(gone).open()


def test_user_and_password_stand_in_the_url_and_nowhere_else(server: SchemaRegistry) -> None:
    server.user = "me@plant:pass/word"
    url = server.url.replace("://", "://me%40plant:pass%2Fword@")
    Registry(url).open()
    wrong = Registry(url.replace("word", "words"))
    for use in (wrong.open, lambda: wrong.schema(1)):
        with pytest.raises(RegistryProblem, match=r"does not let in \(401\): check user and password") as refused:
            use()
        assert "words" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["", "registry:8081", "ftp://registry", "http://", "http://registry:port", "http://[::1"]
)
def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(RegistryProblem, match="must be a URL such as"):
        Registry(url)
