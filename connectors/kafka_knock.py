"""A first conversation with the brokers, held by hand: do they let us in, and may we do what we shall want to?

The client tries again for ever and keeps the reason to itself (kafka-python 3.0.12). Here each refusal is one line.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any

from kafka import errors as kafka_errors
from kafka.net.sasl import get_sasl_mechanism
from kafka.protocol.broker_version_data import BrokerVersionData
from kafka.protocol.metadata import ApiVersionsRequest, MetadataRequest
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslHandshakeRequest

from .kafka_options import HOOK
from .kafka_security import KafkaProblem, secured

CONNECT_TIMEOUT_MS = 5_000
READ, WRITE = "READ", "WRITE"
_OPERATIONS = {READ: 3, WRITE: 4}  # AclOperation of the protocol
_NOT_TOLD = 31  # by brokers that are too old
_UNSUPPORTED_MECHANISM, _NO_SASL_HERE, _NOT_ALLOWED, _UNKNOWN_TOPIC = 33, 34, 29, 3
_WRONG_HOST = (62, 64)  # verify codes of OpenSSL: a name, an address
_EXPIRED, _NOT_YET = 10, 9
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF_WHILE_READING", "HTTP_REQUEST")

Address = tuple[str, int]


class _Refused(Exception):
    """A broker does not let us in; the text goes on from its address."""


def knock(brokers: str, options: Mapping[str, Any], topics: Mapping[str, str]) -> None:
    """Return if a broker lets us in, at the address that it gives itself too, and topics may be read or written.

    Parameters
    ----------
    brokers
        ``host:port``, several with commas; one that lets us in is enough.
    options
        Of the client.
    topics
        By name: ``READ`` or ``WRITE``.

    Raises
    ------
    KafkaProblem
        If not. Nothing has been read or written then.
    """
    if options.get("proxy_url"):
        return  # the client knows the way through it
    options = secured(options)
    timeout_s = (options.get("bootstrap_timeout_ms") or CONNECT_TIMEOUT_MS) / 1000
    wait_for_any(brokers, timeout_s)
    asked, cluster = _first_that_lets_in(list(addresses(brokers)), options, topics, timeout_s, "")
    _check_topics(cluster, brokers, options, topics)
    named = [(str(broker.host), int(broker.port)) for broker in cluster.brokers]
    if asked not in named:
        _first_that_lets_in(named, options, topics, timeout_s, f"{brokers} names as a broker ")


def _first_that_lets_in(
    at: list[Address], options: Mapping[str, Any], topics: Mapping[str, str], timeout_s: float, told: str
) -> tuple[Address, Any]:
    problem: Exception | None = None
    for address in at:
        try:
            return address, _ask(address, options, topics, timeout_s)
        except _Refused as refused:
            shown = f"{told}{_shown(address)}"
            problem = problem or KafkaProblem(f"{shown} {refused}" if not told else f"{shown}, which {refused}")
    raise problem or KafkaProblem(f"{told}nobody: it is not ready, or no Kafka; try again")


def addresses(brokers: str) -> Iterator[Address]:
    """Each host and port. KafkaProblem if one is none."""
    for broker in brokers.split(","):
        host, _, port = broker.strip().rpartition("://")[2].rpartition(":")
        if not host or not port.isdigit():
            raise KafkaProblem(f"broker address {broker!r} is not host:port, such as localhost:9092")
        yield host.strip("[]"), int(port)


def wait_for_any(brokers: str, timeout_s: float) -> None:
    """A look by hand first: the client's own failed attempt leaves sockets open and fills the log."""
    deadline = time.monotonic() + timeout_s
    while True:
        for address in addresses(brokers):
            try:
                socket.create_connection(address, timeout=max(0.1, timeout_s)).close()
                return
            except OSError as error:
                problem = error
        if time.monotonic() > deadline:
            raise KafkaProblem(
                f"no Kafka broker answers at {brokers} ({problem.strerror or problem}): check the address; is it up?"
            ) from problem
        time.sleep(0.1)


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# -- the conversation -------------------------------------------------------------------------------------------------


class _Line:
    """Requests to one broker, and its answers."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._protocol = KafkaProtocol(client_id="scrnn-stream")
        self._versions: BrokerVersionData | None = None

    def greet(self) -> None:
        """Learn what it understands."""
        keys = self.ask(ApiVersionsRequest(version=0)).api_keys
        self._versions = BrokerVersionData(api_versions={k.api_key: (k.min_version, k.max_version) for k in keys})

    def ask(self, request: Any) -> Any:
        if self._versions is not None:
            request.API_VERSION = self._versions.api_version(request)
        self._protocol.send_request(request)
        self._connection.sendall(self._protocol.send_bytes())
        while data := self._connection.recv(1 << 16):
            for _, response in self._protocol.receive_bytes(data):
                return response
        raise ConnectionAbortedError


def _ask(address: Address, options: Mapping[str, Any], topics: Mapping[str, str], timeout_s: float) -> Any:
    """Be let in, and ask for the cluster and the topics."""
    context = options.get("ssl_context")
    try:
        plain = socket.create_connection(address, timeout=timeout_s)
    except OSError as error:
        raise _Refused(f"does not answer ({error.strerror or error}): check the address; is it up?") from None
    with plain, _encrypted(plain, address[0], context) as connection:
        line = _Line(connection)
        try:
            line.greet()
        except (OSError, kafka_errors.KafkaError) as error:
            raise _Refused(_why_no_greeting(error, context)) from None
        try:
            if "SASL" in str(options.get("security_protocol")):
                _log_in(line, address[0], options)
            return line.ask(_metadata(topics))
        except (OSError, kafka_errors.KafkaError) as error:
            raise _Refused(_why_no_answer(error, options)) from None


def _encrypted(plain: socket.socket, host: str, context: ssl.SSLContext | None) -> socket.socket:
    if context is None:
        return plain
    try:
        return context.wrap_socket(plain, server_hostname=host.rstrip("."))
    except (OSError, ValueError) as error:
        raise _Refused(_why_no_tls(error, host)) from None


def _log_in(line: _Line, host: str, options: Mapping[str, Any]) -> None:
    name = options["sasl_mechanism"]
    answer = line.ask(SaslHandshakeRequest(mechanism=name, max_version=1))
    if answer.error_code == _UNSUPPORTED_MECHANISM:
        raise _Refused(f"does not take SASL {name}, but {', '.join(answer.mechanisms)}: set sasl_mechanism")
    if answer.error_code == _NO_SASL_HERE:
        raise _Refused("does not ask for a user: set security_protocol without SASL_")
    try:
        mechanism = get_sasl_mechanism(name)(host=host, **options)
    except Exception as error:  # whatever the package raises that it needs
        told = f"sasl_mechanism {name} cannot be used ({type(error).__name__}): is its package there?"
        raise KafkaProblem(told) from None
    while not mechanism.is_done():
        answer = line.ask(SaslAuthenticateRequest(mechanism.auth_bytes()))
        if answer.error_code:
            raise _Refused(f"does not let in {_who(options)} by SASL {name}: check {_what_to_check(options)}")
        try:
            mechanism.receive(answer.auth_bytes)
        except (ValueError, KeyError):
            raise _Refused(
                f"does not know the password of {_who(options)} itself: it may be no broker of yours"
            ) from None


def _metadata(topics: Mapping[str, str]) -> Any:
    return MetadataRequest(
        topics=[MetadataRequest.MetadataRequestTopic(name=topic) for topic in topics],
        allow_auto_topic_creation=False,
        include_cluster_authorized_operations=False,
        include_topic_authorized_operations=True,
    )


def _check_topics(cluster: Any, brokers: str, options: Mapping[str, Any], topics: Mapping[str, str]) -> None:
    for topic in cluster.topics:
        wanted = topics.get(topic.name)
        if wanted is None:
            continue
        if topic.error_code == _UNKNOWN_TOPIC:
            raise missing_topic(topic.name, brokers)
        allowed = topic.authorized_operations or (_NOT_TOLD,)
        is_refused = topic.error_code == 0 and _NOT_TOLD not in allowed and _OPERATIONS[wanted] not in allowed
        if topic.error_code == _NOT_ALLOWED or is_refused:
            raise KafkaProblem(
                f"{_who(options)} may not {wanted.lower()} topic {topic.name!r} at {brokers}: grant {wanted} on it"
            )


def missing_topic(topic: str, brokers: str) -> KafkaProblem:
    return KafkaProblem(f"topic {topic!r} does not exist at {brokers}: create it, or check the name and permissions")


# -- why not ----------------------------------------------------------------------------------------------------------


def _why_no_tls(error: Exception, host: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _WRONG_HOST:
            return f"shows a certificate that is not for {host}: use a name that stands in it"
        if error.verify_code in (_EXPIRED, _NOT_YET):
            return f"shows a certificate that is out of date ({error.verify_message}): renew it"
        return (
            f"shows a certificate that ssl_cafile does not vouch for ({error.verify_message}): set the right authority"
        )
    reason = getattr(error, "reason", None) or ""
    if reason in _NO_TLS or not isinstance(error, ssl.SSLError):
        return "does not speak TLS: check the port, or set security_protocol PLAINTEXT or SASL_PLAINTEXT"
    return _why_no_certificate(reason) or f"does not agree on TLS ({_words(reason)}): check versions and ssl_ciphers"


def _why_no_certificate(reason: str) -> str:
    if "ALERT" not in reason or not any(word in reason for word in ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE")):
        return ""
    told = _words(reason.partition("ALERT_")[2])
    return (
        f"does not take our certificate ({told}): set ssl_certfile and ssl_keyfile to one that its authority has signed"
    )


def _why_no_greeting(error: Exception, context: ssl.SSLContext | None) -> str:
    reason = getattr(error, "reason", None) or ""
    if isinstance(error, ssl.SSLError) and (why := _why_no_certificate(reason)):
        return why
    if context is None:
        return "answers but not as a Kafka broker without TLS: check the port, or set security_protocol SSL or SASL_SSL"
    if isinstance(error, kafka_errors.KafkaError):
        return "answers but not as a Kafka broker: check the port"
    return "hangs up after the TLS handshake: check ssl_certfile, it may want a certificate from us"


def _why_no_answer(error: Exception, options: Mapping[str, Any]) -> str:
    if isinstance(error, kafka_errors.KafkaError):
        return f"cannot be talked to ({type(error).__name__}): it may be too old"
    if "SASL" in str(options.get("security_protocol")):
        return f"hangs up on {_who(options)}: check {_what_to_check(options)}"
    return "hangs up: it may want a user, set security_protocol and sasl_mechanism"


def _who(options: Mapping[str, Any]) -> str:
    if options.get("sasl_mechanism") == "OAUTHBEARER":
        return "the bearer of the token"
    if "SASL" in str(options.get("security_protocol")):
        return f"user {options.get('sasl_plain_username')!r}"
    return "the user of this certificate" if options.get("ssl_context") is not None else "a user without a name"


def _what_to_check(options: Mapping[str, Any]) -> str:
    is_by_token = options.get("sasl_mechanism") == "OAUTHBEARER"
    return f"what {HOOK} returns" if is_by_token else "sasl_plain_username and sasl_plain_password"


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ")
