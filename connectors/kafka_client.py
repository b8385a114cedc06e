"""What source and sink share: opening a client, and turning its errors into lines that say what to do."""

from __future__ import annotations

import contextlib
import difflib
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import errors as kafka_errors

CONNECT_TIMEOUT_MS = 5_000
CLOSE_TIMEOUT_S = 5.0
RECONNECT_MS = 1_000  # most between two attempts; the client's own 30 s kept workers from a broker that was back
TRUTHS = {"true": True, "1": True, "false": False, "0": False}
FENCED = (
    "another worker of the same name has taken over, or this one stood still for too long: it stops here, and nothing "
    "counts that it had not finished; start it again, each with an --instance of its own"
)


class KafkaProblem(RuntimeError):
    """Kafka cannot be used as asked; the message is one line that says what is wrong and what to do."""


def create_topics(brokers: str, topics: Mapping[str, int], n_replicas: int = 1, **client_options: Any) -> None:
    """Create each topic with its number of partitions; those that exist stay as they are.

    Raises
    ------
    KafkaProblem
        If the broker cannot be reached or refuses.
    """
    admin = connect(KafkaAdminClient, brokers, client_options)
    try:
        with explained("create topics"):
            present = set(admin.list_topics())
            new = {name: {"num_partitions": n, "replication_factor": n_replicas} for name, n in topics.items()}
            new = {name: spec for name, spec in new.items() if name not in present}
            if new:
                admin.create_topics(new, wait_for_metadata=True)
    finally:
        admin.close()


def connect(client: Callable[..., Any], brokers: str, options: Mapping[str, Any]) -> Any:
    """A client of that class, opened once a broker answers; options that only other classes know are not for it.

    Raises
    ------
    KafkaProblem
        If none does within ``bootstrap_timeout_ms``, or an option is wrong.
    """
    defaults: dict[str, Any] = {
        "bootstrap_servers": brokers.split(","),
        "bootstrap_timeout_ms": CONNECT_TIMEOUT_MS,
        "reconnect_backoff_max_ms": RECONNECT_MS,
    }
    options = defaults | _without_foreign(options, client)
    if not options.get("proxy_url"):
        _wait_for_any(brokers, options["bootstrap_timeout_ms"] / 1000)
    try:
        return client(**options)
    except kafka_errors.KafkaConfigurationError as error:
        raise KafkaProblem(f"a Kafka option is wrong: {one_line(error)}") from None
    except (ValueError, TypeError, AssertionError):  # the client's message can hold a password
        raise KafkaProblem("a Kafka client option is unknown or has a wrong value: check its spelling") from None
    except kafka_errors.KafkaError as error:
        raise KafkaProblem(
            f"{brokers} answers but not as a Kafka broker ({type(error).__name__}): check that port and security "
            "options fit"
        ) from error


def client_option(name: str, text: str) -> Any:
    """An option of the Kafka clients that was given as text, as a number or truth value where it is one.

    Raises
    ------
    ValueError
        If it is no option that text can give, or not of its type; the message goes on from the option's name.
    """
    defaults = {n: v for client in (KafkaConsumer, KafkaProducer) for n, v in client.DEFAULT_CONFIG.items()}
    plain = {n: v for n, v in defaults.items() if v is None or isinstance(v, str | int | float)}
    if name not in plain:
        near = difflib.get_close_matches(name, plain, 1)
        raise ValueError(f"is no option of the Kafka client{f'; did you mean {near[0]}?' if near else ''}")
    default = plain[name]
    if isinstance(default, bool):
        if text.lower() not in TRUTHS:
            raise ValueError("must be true or false")
        return TRUTHS[text.lower()]
    if isinstance(default, int | float):
        try:
            return int(text)
        except ValueError:
            raise ValueError("must be a whole number") from None
    return text


def _without_foreign(options: Mapping[str, Any], client: Any) -> dict[str, Any]:
    """A user's one table of options is for consumers and producers; what none of them knows stays, to be refused."""
    foreign = {name for other in (KafkaAdminClient, KafkaConsumer, KafkaProducer) for name in other.DEFAULT_CONFIG}
    foreign -= set(getattr(client, "DEFAULT_CONFIG", options))
    return {name: value for name, value in options.items() if name not in foreign}


def _wait_for_any(brokers: str, timeout_s: float) -> None:
    """A look by hand first: the client's own failed attempt leaves sockets open and fills the log."""
    deadline = time.monotonic() + timeout_s
    while True:
        for broker in brokers.split(","):
            host, _, port = broker.strip().rpartition("://")[2].rpartition(":")
            if not host or not port.isdigit():
                raise KafkaProblem(f"broker address {broker!r} is not host:port, such as localhost:9092")
            try:
                socket.create_connection((host.strip("[]"), int(port)), timeout=max(0.1, timeout_s)).close()
                return
            except OSError as error:
                problem = error
        if time.monotonic() > deadline:
            raise KafkaProblem(
                f"no Kafka broker answers at {brokers} ({problem.strerror or problem}): check the address; is it up?"
            ) from problem
        time.sleep(0.1)


@contextlib.contextmanager
def explained(doing: str) -> Iterator[None]:
    try:
        yield
    except kafka_errors.KafkaError as error:
        if fenced(error):
            raise KafkaProblem(FENCED) from error
        raise KafkaProblem(f"could not {doing}: {one_line(error)}") from error


def fenced(error: BaseException) -> bool:
    """Whether the brokers have shut this client out for good; the client wraps that in other errors."""
    return any(name in repr(error) for name in ("ProducerFenced", "InvalidProducerEpoch", "FencedInstanceId"))


def missing_topic(topic: str, brokers: str) -> KafkaProblem:
    return KafkaProblem(f"topic {topic!r} does not exist at {brokers}: create it, or check the name and permissions")


def one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
