"""A broker for all tests of the session, and a place to put the first topic of each."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator

import pytest

from connectors.broker import EmbeddedBroker

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python reads its schemas by importlib's old function
    from connectors.kafka import create_topics


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """The address of a running broker."""
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
