"""Which options of the Kafka clients a configuration may hold."""

from __future__ import annotations

import pytest
from kafka import KafkaConsumer, KafkaProducer

from connectors.kafka_options import REFUSED, check_option, client_option
from scrnn_stream.cli import main

BREAKING = (
    *("acks", "auto_offset_reset", "enable_auto_commit", "enable_idempotence", "group_id", "isolation_level"),
    *("key_deserializer", "transactional_id", "value_serializer", "allow_auto_create_topics", "group_instance_id"),
)


@pytest.mark.parametrize("name", BREAKING)
def test_what_would_break_delivery_is_refused_from_file_and_environment(name: str) -> None:
    for refused in (lambda: check_option(name, "all"), lambda: client_option(name, "all")):
        with pytest.raises(ValueError, match=r"^(would break the delivery|is what --|is made of --)"):
            refused()


def test_every_option_that_takes_an_object_is_refused() -> None:
    for client in (KafkaConsumer, KafkaProducer):
        for name, default in client.DEFAULT_CONFIG.items():
            if default is not None and not isinstance(default, str | int | float):
                assert name in REFUSED


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("sasl_mechanisms", "PLAIN", "is no option of the Kafka client; did you mean sasl_mechanism?"),
        ("group", "g", "is no option of the Kafka client"),
        ("security_protocol", "TLS", "must be one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        ("sasl_mechanism", "SCRAM", "must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"),
        ("sasl_plain_password", 123, "must be text"),
        ("session_timeout_ms", "10", "must be a whole number"),
        ("session_timeout_ms", True, "must be a whole number"),
        ("ssl_check_hostname", "no", "must be true or false"),
        ("receive_buffer_bytes", 1.5, "must be a whole number"),
    ],
)
def test_a_wrong_value_is_told_without_the_value(name: str, value: object, words: str) -> None:
    with pytest.raises(ValueError) as refused:
        check_option(name, value)
    assert str(refused.value).startswith(words)
    assert "123" not in str(refused.value)


def test_the_rest_is_allowed() -> None:
    allowed = {"session_timeout_ms": 10_000, "ssl_check_hostname": False, "proxy_url": "socks5://h:1", "client_id": "a"}
    for name, value in allowed.items():
        check_option(name, value)
        assert client_option(name, str(value)) == value


def test_the_file_s_table_is_checked_when_it_is_read(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "scrnn.toml"
    file.write_text("[kafka]\nenable_auto_commit = true\n")
    assert main(["run", "--config", str(file)]) == 2
    told = (
        f"scrnn-stream: {file}: [kafka] enable_auto_commit would break the delivery that is promised: it is set here\n"
    )
    assert capsys.readouterr().err == told
