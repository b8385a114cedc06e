"""A real Kafka with TLS, users, tokens and permissions: whom it lets in, and each refusal one line, before any data."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import errors as kafka_errors

from connectors.codecs import encode_rejected
from connectors.kafka import KafkaProblem, KafkaSink, KafkaSource, create_topics
from connectors.kafka_knock import knock
from connectors.kafka_security import secured
from scrnn_stream.cli import main
from scrnn_stream.records import Rejected
from tests.apache_kafka import KafkaMissing
from tests.connectors.conftest import missing
from tests.connectors.test_kafka import QUICK, Reader, alert, read_topic, until
from tests.guarded_kafka import GROUP, PASSWORD, STRANGER, USER, GuardedKafka

Options = dict[str, Any]
OAUTH = {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}


@pytest.fixture(scope="module")
def kafka() -> Iterator[GuardedKafka]:
    guarded = GuardedKafka()
    try:
        guarded.__enter__()
    except KafkaMissing as reason:
        missing(reason)
    with contextlib.ExitStack() as stack:
        stack.push(guarded)
        yield guarded


def by_token(kafka: GuardedKafka, hook: str) -> Options:
    return kafka.tls(**OAUTH, sasl_oauth_token_provider=f"tests.connectors.hooks:{hook}")


def certified(kafka: GuardedKafka, name: str, **more: str) -> Options:
    return kafka.tls(ssl_certfile=str(kafka.files / f"{name}.pem"), **more)


# -- let in -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "options"),
    [
        ("TLS", lambda kafka: kafka.tls()),
        ("MUTUAL", lambda kafka: certified(kafka, "client")),
        ("SASL", lambda kafka: kafka.sasl("PLAIN")),
        ("SASL", lambda kafka: kafka.sasl("SCRAM-SHA-512")),
        ("SASL", lambda kafka: by_token(kafka, "of_worker")),
    ],
    ids=["tls", "client certificate", "plain", "scram", "token"],
)
def test_whom_the_brokers_know_reads_and_tells_in_transactions(
    way: str, options: Callable[[GuardedKafka], Options], kafka: GuardedKafka
) -> None:
    """Exactly once, so that the transaction's permissions are used too."""
    client, at = options(kafka), kafka.way(way)
    producer = KafkaProducer(bootstrap_servers=kafka.address)
    sent = producer.send("sensors", key=b"m", value=b'{"flow": 1}').get(10)
    producer.close()
    with (
        KafkaSink(at, "alerts", "dead-letters", transactional_id="plant/1", **client) as sink,
        KafkaSource(at, "sensors", GROUP, through=sink, **QUICK, **client) as source,
    ):
        reader = Reader(source)
        reader.read(1)
        sink.send(alert(sent.offset))
        sink.flush()
        assert source.commit(dict.fromkeys(reader.owned, sent.offset + 1))
    _, value = read_topic(kafka.address, "alerts", 1)[-1]
    assert json.loads(value)["data"]["position"]["offset"] == sent.offset


def test_topics_are_created_by_whoever_may(kafka: GuardedKafka) -> None:
    create_topics(kafka.way("TLS"), {"new": 1}, **kafka.tls())
    knock(kafka.way("TLS"), kafka.tls(), {"new": "WRITE"})


def test_one_broker_of_several_is_enough(kafka: GuardedKafka) -> None:
    knock(f"127.0.0.1:1,{kafka.way('EXPIRED')},{kafka.way('TLS', 'localhost')}", kafka.tls(), {"sensors": "READ"})


def test_a_host_name_goes_unchecked_only_where_the_user_says_so_and_is_warned(
    kafka: GuardedKafka, caplog: pytest.LogCaptureFixture
) -> None:
    knock(kafka.way("OTHER"), kafka.tls(ssl_check_hostname=False), {})
    assert "ssl_check_hostname is off" in caplog.text


def test_a_password_in_the_clear_is_warned_of(kafka: GuardedKafka, caplog: pytest.LogCaptureFixture) -> None:
    clear = kafka.sasl("PLAIN") | {"security_protocol": "SASL_PLAINTEXT"}
    del clear["ssl_cafile"]
    knock(kafka.way("CLEAR"), clear, {})
    assert "user and readings go over the network unencrypted" in caplog.text


# -- refused ----------------------------------------------------------------------------------------------------------

REFUSALS: list[tuple[str, str, Callable[[GuardedKafka], Options], str]] = [
    ("unknown authority", "TLS", lambda k: k.tls(ssl_cafile=str(k.files / "strange-ca.pem")), "ssl_cafile does not"),
    ("authorities of the system", "TLS", lambda k: {"security_protocol": "SSL"}, "ssl_cafile does not vouch for"),  # noqa: ARG005
    ("another host's certificate", "OTHER", lambda k: k.tls(), "not for 127.0.0.1: use a name that stands in it"),
    ("expired certificate", "EXPIRED", lambda k: k.tls(), "out of date (certificate has expired): renew it"),
    ("without TLS", "TLS", lambda k: {}, "without TLS: check the port, or set security_protocol"),  # noqa: ARG005
    ("TLS where there is none", "", lambda k: k.tls(), "does not speak TLS: check the port, or set security_protocol"),
    ("no certificate", "MUTUAL", lambda k: k.tls(), "does not take our certificate (bad certificate): set ssl_"),
    ("strange certificate", "MUTUAL", lambda k: certified(k, "strange"), "does not take our certificate"),
    ("wrong password, plain", "SASL", lambda k: k.sasl("PLAIN", password="hunter3"), "does not let in user 'worker'"),
    ("wrong password, scram", "SASL", lambda k: k.sasl("SCRAM-SHA-512", password="hunter3"), "check sasl_plain_user"),
    ("unknown user", "SASL", lambda k: k.sasl("SCRAM-SHA-512", user="who"), "does not let in user 'who' by SASL SCRAM"),
    ("wrong mechanism", "SASL", lambda k: k.sasl("SCRAM-SHA-256"), "but PLAIN, SCRAM-SHA-512, OAUTHBEARER: set sasl_"),
    ("a user where none is asked", "TLS", lambda k: k.sasl("PLAIN"), "does not ask for a user: set security_protocol"),
    ("no user where one is asked", "SASL", lambda k: k.tls(), "hangs up: it may want a user, set security_protocol"),
    ("token out of date", "SASL", lambda k: by_token(k, "out_of_date"), "check what sasl_oauth_token_provider returns"),
    ("token of nobody", "SASL", lambda k: by_token(k, "of_nobody"), "the bearer of the token may not read topic"),
    ("failing hook", "SASL", lambda k: by_token(k, "failing"), "hooks:failing failed with ConnectionError: mend the"),
    ("hook without text", "SASL", lambda k: by_token(k, "bytes_alone"), "must return text, the token; got bytes"),
    ("stranger", "SASL", lambda k: k.sasl("PLAIN", user=STRANGER), "user 'stranger' may not read topic 'sensors'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("way", "options", "words"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS]
)
def test_a_refusal_is_one_line_without_secrets(
    way: str, options: Callable[[GuardedKafka], Options], words: str, kafka: GuardedKafka
) -> None:
    brokers = kafka.way(way) if way else kafka.address
    with pytest.raises(KafkaProblem) as refused:
        KafkaSource(brokers, "sensors", GROUP, **options(kafka)).__enter__()
    told = str(refused.value)
    assert words in told
    assert "\n" not in told
    assert "hunter" not in told
    assert told.startswith((brokers, "user", "the bearer", "sasl_oauth_token_provider"))


@pytest.mark.parametrize(
    ("topics", "words"),
    [
        (("secrets", None), "user 'worker' may not write topic 'secrets' at {at}: grant WRITE on it"),
        (("alerts", "sensors"), "user 'worker' may not write topic 'sensors' at {at}: grant WRITE on it"),
        (("nowhere", None), "user 'worker' may not write topic 'nowhere' at {at}: grant WRITE on it"),
    ],
)
def test_a_topic_that_may_not_be_written_is_told_before_the_first_alert(
    topics: tuple[str, str | None], words: str, kafka: GuardedKafka
) -> None:
    at = kafka.way("SASL")
    with pytest.raises(KafkaProblem) as refused:
        KafkaSink(at, *topics, **kafka.sasl("PLAIN")).__enter__()
    assert str(refused.value) == words.format(at=at)


def test_a_topic_that_may_be_seen_but_not_read_is_told(kafka: GuardedKafka) -> None:
    with pytest.raises(KafkaProblem, match="may not read topic 'secrets'"):
        KafkaSource(kafka.way("SASL"), "secrets", GROUP, **kafka.sasl("PLAIN")).__enter__()


def test_a_transactional_id_or_a_group_without_permission_is_told(kafka: GuardedKafka) -> None:
    at, client = kafka.way("SASL"), kafka.sasl("PLAIN")
    with pytest.raises(KafkaProblem, match="grant WRITE on the transactional id") as refused:
        KafkaSink(at, "alerts", transactional_id="another/1", **client).__enter__()
    assert "\n" not in str(refused.value)
    with (
        KafkaSource(at, "sensors", "another", **QUICK, **client) as source,
        pytest.raises(KafkaProblem, match="grant READ on the group"),
    ):
        until(lambda: source.poll(0.5) is None, "a refusal")  # the group is asked for by the first poll


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"security_protocol": "SSL", "ssl_cafile": "nowhere.pem"},
            "ssl_cafile nowhere.pem: cannot be read: No such file",
        ),
        (
            {"security_protocol": "SSL", "ssl_cafile": "{files}/server.key"},
            "cannot be used (no certificate or crl found)",
        ),
        ({"security_protocol": "SSL", "ssl_certfile": "{files}/ca.pem"}, "ssl_certfile {files}/ca.pem: cannot be used"),
        (
            {"security_protocol": "SSL", "ssl_certfile": "{files}/client.pem", "ssl_keyfile": "{files}/server.key"},
            "cannot be used (key values mismatch)",
        ),
        ({"security_protocol": "SSL", "ssl_keyfile": "{files}/server.key"}, "set without ssl_certfile: set both"),
        ({"security_protocol": "SSL", "ssl_ciphers": "ROT13"}, "ssl_ciphers ROT13: OpenSSL knows none of them"),
        ({"security_protocol": "SSL", "ssl_crlfile": "{files}/server.key"}, "ssl_crlfile {files}/server.key: cannot"),
        ({"ssl_cafile": "{files}/ca.pem"}, "ssl_cafile is set, and security_protocol PLAINTEXT is without TLS"),
        ({"sasl_plain_password": "hunter2"}, "sasl_plain_password is set, and security_protocol PLAINTEXT is without"),
        ({"security_protocol": "SASL_SSL"}, "security_protocol SASL_SSL needs sasl_mechanism: set it"),
        (
            {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_plain_username": "u"},
            "security_protocol SASL_SSL needs sasl_plain_password: set it",
        ),
        (OAUTH, "needs sasl_oauth_token_provider: set it"),
        (OAUTH | {"sasl_oauth_token_provider": "tests.connectors.hooks:text"}, "hooks:text: is no function"),
        (OAUTH | {"sasl_oauth_token_provider": "no.where:f"}, "cannot be imported (ModuleNotFoundError: No module"),
        (OAUTH | {"sasl_oauth_token_provider": "f"}, "sasl_oauth_token_provider f: cannot be imported ("),
        (
            {"sasl_pasword": "hunter2"},
            "sasl_pasword is no option of the Kafka client; did you mean ssl_password?",
        ),
    ],
)
def test_what_cannot_be_used_is_told_before_any_broker_is_asked(
    options: Options, words: str, kafka: GuardedKafka
) -> None:
    files = str(kafka.files)
    with pytest.raises(KafkaProblem) as refused:
        secured({name: value.format(files=files) for name, value in options.items()})
    assert words.format(files=files) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "hunter" not in str(refused.value)


def test_the_password_of_an_encrypted_key_is_not_asked_for_at_the_terminal(kafka: GuardedKafka) -> None:
    from cryptography.hazmat.primitives import serialization as ser

    key = ser.load_pem_private_key((kafka.files / "client.key").read_bytes(), None)
    encrypted = kafka.files / "encrypted.key"
    encrypted.write_bytes(
        key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.BestAvailableEncryption(b"hunter2"))
    )
    with pytest.raises(KafkaProblem, match="the key of ssl_certfile is encrypted: set ssl_password"):
        secured(certified(kafka, "client", ssl_keyfile=str(encrypted)))
    with pytest.raises(KafkaProblem, match=r"cannot be used \(.*; it must be PEM, and key and password fit$"):
        secured(certified(kafka, "client", ssl_keyfile=str(encrypted), ssl_password="hunter3"))
    knock(kafka.way("MUTUAL"), certified(kafka, "client", ssl_keyfile=str(encrypted), ssl_password="hunter2"), {})


@pytest.mark.parametrize(
    ("answer", "words"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", "answers but not as a Kafka broker"), (b"", "answers but not as a Kafka")],
)
def test_whatever_is_no_kafka_is_told(answer: bytes, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reply() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.sendall(answer)

        threading.Thread(target=reply, daemon=True).start()
        with pytest.raises(KafkaProblem, match=words):
            knock(f"127.0.0.1:{server.getsockname()[1]}", {}, {})
        server.shutdown(socket.SHUT_RDWR)


def test_an_address_that_the_brokers_name_and_nobody_answers_at_is_told(kafka: GuardedKafka) -> None:
    """As where advertised.listeners is wrong: the client would look for it for ever."""
    at = kafka.way("ASTRAY")
    with pytest.raises(KafkaProblem) as refused:
        knock(at, kafka.tls(), {})
    told = f"{at} names as a broker 127.0.0.1:{kafka.nowhere}, which does not answer (Connection refused): check the"
    assert str(refused.value).startswith(told)


# -- the command ------------------------------------------------------------------------------------------------------


def configured(path: Path, kafka: GuardedKafka, options: Options, way: str = "SASL") -> list[str]:
    lines = [f"{name} = {json.dumps(value)}" for name, value in options.items()]
    file = path / "scrnn.toml"
    file.write_text("\n".join(["[kafka]", *lines]))
    flags = {"brokers": kafka.way(way), "group": GROUP, "instance": "1", "checkpoints": str(path / "models")}
    return ["--config", str(file), *(word for name, value in flags.items() for word in (f"--{name}", value))]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sasl_plain_password": "hunter3, also secret"}, "does not let in user 'worker' by SASL SCRAM-SHA-512"),
        ({"ssl_cafile": "{files}/strange-ca.pem"}, "that ssl_cafile does not vouch for"),
        ({"sasl_mechanism": "PLAIN", "sasl_plain_username": STRANGER}, "user 'stranger' may not write topic 'alerts'"),
    ],
)
def test_the_service_ends_with_one_line_and_code_2_and_has_sent_nothing(
    change: Options, words: str, kafka: GuardedKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = kafka.sasl("SCRAM-SHA-512") | {name: v.format(files=kafka.files) for name, v in change.items()}
    consumer = KafkaConsumer("alerts", bootstrap_servers=kafka.address)
    until(lambda: (consumer.poll(50), consumer.assignment())[1], "an assignment")
    before = consumer.end_offsets(consumer.assignment())
    assert main(["run", *configured(tmp_path, kafka, options)]) == 2
    told = capsys.readouterr()
    (line,) = [line for line in told.err.splitlines() if line.startswith("scrnn-stream: ")]
    assert words in line
    assert "hunter" not in told.err + told.out
    assert consumer.end_offsets(consumer.assignment()) == before
    consumer.close()


def test_the_service_works_and_not_even_its_debug_log_holds_a_secret(kafka: GuardedKafka, tmp_path: Path) -> None:
    """kafka-python logs the bytes of its requests, and those of SASL PLAIN are the password."""
    arguments = ["--log-level", "debug", "run", *configured(tmp_path, kafka, kafka.sasl("PLAIN"))]
    command = [sys.executable, "-m", "scrnn_stream", *arguments]
    root = Path(__file__).parents[2]
    environ = os.environ | {"PYTHONPATH": str(root)}

    def text() -> str:
        return (tmp_path / "log").read_text(encoding="utf-8")

    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd=root, env=environ) as service,
    ):
        try:
            until(lambda: service.poll() is not None or "Fetch" in text(), "work")
        finally:
            service.terminate()
        assert service.wait(20) == 0, text()[-2000:]
    assert "auth_bytes=***" in text()
    assert "Authenticated as worker via SASL / Plain" in text()
    assert "stopped after" in text()
    assert "hunter" not in text()
    assert PASSWORD not in text()
    assert USER in text()


# -- messages that only a real broker can show ------------------------------------------------------------------------


def bomb(kafka: GuardedKafka, topic: str, n_bytes: int = 50_000_000) -> Any:
    """A message that is a thousandth as large on its way."""
    producer = KafkaProducer(
        bootstrap_servers=kafka.address,
        compression_type="gzip",
        max_request_size=2 * n_bytes,
        batch_size=2 * n_bytes,
    )
    try:
        return producer.send(topic, key=b"m", value=b'{"flow": "' + bytes(n_bytes) + b'"}').get(20)
    finally:
        producer.close()


def test_a_message_that_unfolds_to_fifty_megabytes_is_a_dead_letter(kafka: GuardedKafka) -> None:
    create_topics(kafka.address, {"bombs": 1})
    bomb(kafka, "bombs")
    with KafkaSource(kafka.address, "bombs", "anyone", **QUICK) as source:
        (message,) = Reader(source).read(1)
    assert isinstance(message, Rejected)
    assert message.reason == "message is 50000012 bytes long, the limit is 1048576"
    assert len(encode_rejected(message)) < 1_000_000


def test_a_topic_that_is_kept_uncompressed_takes_no_message_that_unfolds_to_more_than_its_limit(
    kafka: GuardedKafka,
) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka.address)
    spec = {"num_partitions": 1, "replication_factor": 1, "configs": {"compression.type": "uncompressed"}}
    admin.create_topics({"uncompressed": spec}, wait_for_metadata=True)
    admin.close()
    with pytest.raises(kafka_errors.MessageSizeTooLargeError):
        bomb(kafka, "uncompressed", 10_000_000)


def test_a_clock_in_the_future_is_refused_by_the_broker_itself(kafka: GuardedKafka) -> None:
    """A sender gives its messages the broker's time too; since Kafka 4 that may be an hour ahead."""
    producer = KafkaProducer(bootstrap_servers=kafka.address)
    ahead_ms = round((time.time() + 7200) * 1000)
    with pytest.raises(kafka_errors.InvalidTimestampError):
        producer.send("sensors", value=b'{"flow": 1}', key=b"m", timestamp_ms=ahead_ms).get(10)
    producer.close()


def test_a_user_who_is_removed_while_the_service_runs_is_told(kafka: GuardedKafka) -> None:
    """The next connection is refused: here after a restart of the broker."""
    with KafkaSource(kafka.way("SASL"), "sensors", GROUP, **QUICK, **kafka.sasl("SCRAM-SHA-512")) as source:
        source.poll(0.5)
        kafka.forget()
        kafka.kill()
        kafka.start()
        with pytest.raises(KafkaProblem, match=r"SaslAuthenticationFailed.*; check user and password") as refused:
            until(lambda: source.poll(0.5) is None, "a refusal")
    assert "\n" not in str(refused.value)
    kafka.know()
