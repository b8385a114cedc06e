"""The brokers of the session, and a place to put the first topic of each test."""

from __future__ import annotations

import contextlib
import itertools
import os
import warnings
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from connectors.broker import EmbeddedBroker

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its schemas by importlib's old function
    from connectors.kafka import create_topics
    from tests.apache_kafka import ApacheKafka, KafkaMissing


def missing(reason: KafkaMissing) -> NoReturn:
    """Skip on a user's machine, fail in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(str(reason), pytrace=False)
    pytest.skip(str(reason))


@pytest.fixture(scope="session")
def apache_kafka() -> Iterator[ApacheKafka]:
    """One real broker, where it can be had."""
    kafka = ApacheKafka()
    try:
        kafka.__enter__()
    except KafkaMissing as reason:
        missing(reason)
    with contextlib.ExitStack() as stack:
        stack.push(kafka)
        yield kafka


@pytest.fixture(scope="session", params=["embedded", "apache"])
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a running broker: what is asked of it must hold of both."""
    if request.param == "apache":
        yield request.getfixturevalue("apache_kafka").address
        return
    with EmbeddedBroker() as embedded:
        yield embedded.address


_numbers = itertools.count()


@pytest.fixture
def new_topic(broker: str) -> Callable[[int], str]:
    """Creates a topic of so many partitions and tells its name."""

    def create(n_partitions: int = 1) -> str:
        name = f"topic-{next(_numbers)}"
        create_topics(broker, {name: n_partitions})
        return name

    return create
