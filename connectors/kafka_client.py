"""What source and sink share: opening a client, and turning its errors into lines that say what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors

CONNECT_TIMEOUT_MS = 5_000


class KafkaProblem(RuntimeError):
    """Kafka cannot be used as asked; the message is one line that says what is wrong and what to do."""


def create_topics(brokers: str, topics: Mapping[str, int], **client_options: Any) -> None:
    """Create each topic with its number of partitions, one replica; those that exist stay as they are.

    Raises
    ------
    KafkaProblem
        If the broker cannot be reached or refuses.
    """
    options = {"bootstrap_servers": brokers.split(","), "bootstrap_timeout_ms": CONNECT_TIMEOUT_MS} | client_options
    admin = connect(lambda: KafkaAdminClient(**options), brokers)
    try:
        with explained("create topics"):
            present = set(admin.list_topics())
            new = {name: {"num_partitions": n, "replication_factor": 1} for name, n in topics.items()}
            new = {name: spec for name, spec in new.items() if name not in present}
            if new:
                admin.create_topics(new, wait_for_metadata=True)
    finally:
        admin.close()


def connect(open_client: Callable[[], Any], brokers: str) -> Any:
    try:
        return open_client()
    except kafka_errors.KafkaConfigurationError as error:
        raise KafkaProblem(f"a Kafka option is wrong: {one_line(error)}") from None
    except (ValueError, TypeError, AssertionError):  # the client's message can hold a password
        raise KafkaProblem("a Kafka client option is unknown or has a wrong value: check its spelling") from None
    except kafka_errors.KafkaError as error:
        raise KafkaProblem(
            f"no Kafka broker answers at {brokers} ({type(error).__name__}): check the address, that it runs, and "
            "that the security options fit"
        ) from error


@contextlib.contextmanager
def explained(doing: str) -> Iterator[None]:
    try:
        yield
    except kafka_errors.KafkaError as error:
        raise KafkaProblem(f"could not {doing}: {one_line(error)}") from error


def missing_topic(topic: str, brokers: str) -> KafkaProblem:
    return KafkaProblem(f"topic {topic!r} does not exist at {brokers}: create it, or check the name and permissions")


def one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
