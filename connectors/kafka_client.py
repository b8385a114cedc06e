"""What source and sink share: opening a client, and turning its errors into lines that say what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import errors as kafka_errors

from .kafka_knock import CONNECT_TIMEOUT_MS, knock, wait_for_any
from .kafka_security import KafkaProblem, secured

CLOSE_TIMEOUT_S = 5.0
RECONNECT_MS = 1_000  # most between two attempts; the client's own 30 s kept workers from a broker that was back
FENCED = (
    "another worker of the same name has taken over, or this one stood still for too long: it stops here, and nothing "
    "counts that it had not finished; start it again, each with an --instance of its own"
)


def create_topics(brokers: str, topics: Mapping[str, int], n_replicas: int = 1, **client_options: Any) -> None:
    """Create each topic with its number of partitions; those that exist stay as they are.

    Raises
    ------
    KafkaProblem
        If the broker cannot be reached or refuses.
    """
    knock(brokers, client_options, {})
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
    options = defaults | _without_foreign(secured(options), client)
    if not options.get("proxy_url"):
        wait_for_any(brokers, options["bootstrap_timeout_ms"] / 1000)
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


def _without_foreign(options: Mapping[str, Any], client: Any) -> dict[str, Any]:
    """A user's one table of options is for consumers and producers; what none of them knows stays, to be refused."""
    foreign = {name for other in (KafkaAdminClient, KafkaConsumer, KafkaProducer) for name in other.DEFAULT_CONFIG}
    foreign -= set(getattr(client, "DEFAULT_CONFIG", options))
    return {name: value for name, value in options.items() if name not in foreign}


@contextlib.contextmanager
def explained(doing: str) -> Iterator[None]:
    try:
        yield
    except kafka_errors.KafkaError as error:
        if fenced(error):
            raise KafkaProblem(FENCED) from error
        raise KafkaProblem(f"could not {doing}: {one_line(error)}{_advice(error)}") from error


def fenced(error: BaseException) -> bool:
    """Whether the brokers have shut this client out for good; the client wraps that in other errors."""
    return any(name in repr(error) for name in ("ProducerFenced", "InvalidProducerEpoch", "FencedInstanceId"))


def _advice(error: BaseException) -> str:
    """What to grant; the client wraps what the broker said in other errors."""
    told = repr(error)
    if "TransactionalIdAuthorization" in told:
        return "; grant WRITE on the transactional id, or on all that begin with the group's name and a slash"
    if "SaslAuthenticationFailed" in told:
        return "; check user and password, or what returns the tokens"
    return "; grant READ on the group" if "GroupAuthorization" in told else ""


def one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
