"""The options of Kafka's clients that a configuration may hold: which they are, and which would break a promise."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from kafka import KafkaConsumer, KafkaProducer

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI", "AWS_MSK_IAM")
TRUTHS = {"true": True, "1": True, "false": False, "0": False}
HOOK = "sasl_oauth_token_provider"  # module:callable

_DELIVERY = "would break the delivery that is promised: it is set here"
_OBJECT = "takes an object of a program, which no file holds"
REFUSED = {
    "bootstrap_servers": "is what --brokers says",
    "group_id": "is what --group says",
    "group_instance_id": "is what --instance says",
    "transactional_id": "is made of --group and --instance",
    "socks5_proxy": "is out of date: set proxy_url",
    "api_version": "is found out from the brokers",
    **dict.fromkeys(
        (
            *("acks", "allow_auto_create_topics", "auto_commit_interval_ms", "auto_offset_reset", "check_crcs"),
            *("consumer_timeout_ms", "default_offset_commit_callback", "enable_auto_commit", "enable_idempotence"),
            *("isolation_level", "key_deserializer", "key_serializer", "partition_assignment_strategy", "partitioner"),
            *("retries", "transaction_timeout_ms", "value_deserializer", "value_serializer"),
        ),
        _DELIVERY,
    ),
    **dict.fromkeys(("kafka_client", "metric_reporters", "selector", "socket_options", "ssl_context"), _OBJECT),
}


def check_option(name: str, value: Any) -> None:
    """ValueError if a configuration may not hold that; its message goes on from the option's name, without the value.

    What is refused would change which messages count, or take from the service what it sets itself.
    """
    if name in REFUSED:
        raise ValueError(REFUSED[name])
    if name not in _defaults():
        raise ValueError(unknown(name))
    kind, told = _kind(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"must be {told}")
    for option, choices in (("security_protocol", PROTOCOLS), ("sasl_mechanism", MECHANISMS)):
        if name == option and value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")


def unknown(name: str) -> str:
    """What to say of a name that no client knows; empty if one does."""
    if name in _defaults():
        return ""
    near = difflib.get_close_matches(name, _defaults().keys() - REFUSED.keys(), 1)
    return f"is no option of the Kafka client{f'; did you mean {near[0]}?' if near else ''}"


def client_option(name: str, text: str) -> Any:
    """An option of the Kafka clients that was given as text, as a number or truth value where it is one.

    Raises
    ------
    ValueError
        If it is no option that text can give, or not of its type; the message goes on from the option's name.
    """
    value: Any = text
    if name in _defaults() and name not in REFUSED:
        kind, told = _kind(name)
        try:
            value = TRUTHS[text.lower()] if kind is bool else int(text) if kind is int else text
        except (KeyError, ValueError):
            raise ValueError(f"must be {told}") from None
    check_option(name, value)
    return value


def _kind(name: str) -> tuple[type, str]:
    default = _defaults()[name]
    if isinstance(default, bool):
        return bool, "true or false"
    if isinstance(default, int | float) or name.endswith("_bytes"):
        return int, "a whole number"
    return str, "text"


def _defaults() -> Mapping[str, Any]:
    return {name: v for client in (KafkaProducer, KafkaConsumer) for name, v in client.DEFAULT_CONFIG.items()}
