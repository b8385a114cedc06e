"""The configuration file: what it holds, and one line that says what to do where it cannot be used."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from connectors.layout import Layout
from scrnn_stream.configuration import DEFAULTS, Configuration, configuration
from scrnn_stream.joining import Joining
from scrnn_stream.limits import SensorLimits
from scrnn_stream.usage import UsageError


def read(tmp_path: Path, text: str, **flags: object) -> Configuration:
    path = tmp_path / "scrnn.toml"
    path.write_text(text, encoding="utf-8")
    return configuration(argparse.Namespace(config=path, **flags))


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text)
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_without_a_file_there_are_the_defaults() -> None:
    config = configuration(argparse.Namespace(config=None, group="g", seed=None))
    assert config.options == {**DEFAULTS, "group": "g", **dict.fromkeys(config.settings.names())}
    assert config.settings.budget_per_day == 1.0
    assert config.client == {}


def test_flags_go_before_the_file_and_the_file_before_the_defaults(tmp_path: Path) -> None:
    config = read(tmp_path, 'topic = "a"\ngroup = "b"\naccept_after = 7\n', topic="c", seed=3)
    assert (config.options["topic"], config.options["group"]) == ("c", "b")
    assert config.options["alerts_topic"] == DEFAULTS["alerts_topic"]
    assert (config.settings.accept_after, config.settings.seed) == (7, 3)


def test_a_budget_given_as_a_flag_goes_before_the_other_one_in_the_file(tmp_path: Path) -> None:
    text = "alerts_per_week = 7\n"
    assert read(tmp_path, text).settings.budget_per_day == 1.0
    assert read(tmp_path, text, alerts_per_day=3.0).settings.budget_per_day == 3.0


def test_the_environment_goes_before_the_file_and_flags_before_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "scrnn.toml"
    path.write_text(
        'topic = "a"\ngroup = "a"\nalerts_per_week = 7\n[kafka]\nssl_cafile = "a"\nrequest_timeout_ms = 5\n'
    )
    environ = {
        "SCRNN_STREAM_CONFIG": str(path), "SCRNN_STREAM_TOPIC": "b", "SCRNN_STREAM_GROUP": "b",
        "SCRNN_STREAM_ALERTS_PER_DAY": "0.5", "SCRNN_STREAM_SEED": "7", "SCRNN_STREAM_INSTANCE": "", "TOPIC": "z",
        "SCRNN_STREAM_KAFKA_SSL_CAFILE": "b", "SCRNN_STREAM_KAFKA_SSL_CHECK_HOSTNAME": "false",
        "SCRNN_STREAM_KAFKA_SASL_PLAIN_PASSWORD": "123",
    }  # fmt: skip
    config = configuration(argparse.Namespace(config=None, group="c"), environ)
    assert (config.options["topic"], config.options["group"], config.options["instance"]) == ("b", "c", None)
    assert (config.settings.budget_per_day, config.settings.seed) == (0.5, 7)
    assert config.client == {
        "ssl_cafile": "b", "request_timeout_ms": 5, "ssl_check_hostname": False, "sasl_plain_password": "123",
    }  # fmt: skip
    assert [config.sources[name] for name in ("brokers", "topic", "group")] == ["default", "environment", "flag"]
    assert (config.sources["kafka.request_timeout_ms"], config.sources["kafka.ssl_cafile"]) == (
        str(path),
        "environment",
    )


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("TOPICS", "a", ["unknown variable SCRNN_STREAM_TOPICS", "did you mean 'topic'?"]),
        ("SEED", "one", ["SCRNN_STREAM_SEED must be a whole number, got 'one'"]),
        ("CHECKPOINT_EVERY", "-1", ["SCRNN_STREAM_CHECKPOINT_EVERY must be a number above 0, got -1"]),
        ("KAFKA_SASL_PLAIN_PASWORD", "secret", ["is no option of the Kafka client; did you mean sasl_plain_password?"]),
        ("KAFKA_SSL_CHECK_HOSTNAME", "secret", ["SCRNN_STREAM_KAFKA_SSL_CHECK_HOSTNAME must be true or false"]),
        ("KAFKA_REQUEST_TIMEOUT_MS", "secret", ["SCRNN_STREAM_KAFKA_REQUEST_TIMEOUT_MS must be a whole number"]),
    ],
)
def test_a_variable_that_cannot_be_used_is_told_in_one_line(name: str, text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        configuration(argparse.Namespace(config=None), {f"SCRNN_STREAM_{name}": text})
    message = str(refused.value)
    assert "\n" not in message
    assert "secret" not in message
    for part in words:
        assert part in message


def test_tables_say_how_messages_are_read(tmp_path: Path) -> None:
    text = 'format = "long"\n[fields]\nmachine = "asset.id"\nusable = ["good", 192]\n[units]\n"flow rate" = "m3/h"\n'
    config = read(tmp_path, text)
    assert config.layout == Layout.of(
        {"machine": "asset.id", "usable": ["good", 192]}, {"flow rate": "m3/h"}, config.options["format"]
    )
    assert config.layout.form == "long"
    assert read(tmp_path, text, format="wide").layout.form == "wide"


@pytest.mark.parametrize(
    ("text", "joining"),
    [
        ("", None),
        ('join = "0s"', Joining(0.0, 0.0)),
        ('join = "500ms"\nlateness = "10s"', Joining(0.5, 10.0)),
        ('join = "2s"', Joining(2.0, 2.0)),
    ],
)
def test_readings_are_joined_where_the_user_says_so(tmp_path: Path, text: str, joining: Joining | None) -> None:
    assert read(tmp_path, text).settings.joining == joining


def test_tables_hold_the_client_s_options_and_the_limits_of_sensors(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """
        [kafka]
        security_protocol = "SSL"
        [sensors.vibration]
        direction = "high"
        min_deviation = 0.3
        [machines.pump-4.vibration]
        high = 7
        deadband = 0.5
        [machines."data/b.csv"."flow rate"]
        low = -1.5
        """,
    )
    vibration = SensorLimits(min_deviation=0.3, direction="high")
    assert config.client == {"security_protocol": "SSL"}
    assert config.settings.limits.of("pump-1") == {"vibration": vibration}
    assert config.settings.limits.of("pump-4") == {"vibration": SensorLimits(high=7, deadband=0.5)}
    assert config.settings.limits.of("data/b.csv") == {"vibration": vibration, "flow rate": SensorLimits(low=-1.5)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[fields]\nmachin = 'a'", ["unknown [fields] key 'machin'", "did you mean 'machine'?"]),
        ("[fields]\nmachine = 7", ["[fields] machine must name a field, got 7"]),
        ("[units]\nflow = 7", ["[units] flow must be a unit such as 'bar', got 7"]),
        ("lateness = '5s'", ["--lateness 5s is for readings that are joined; give --join"]),
        ("join = '5s'\nlateness = '1s'", ["--lateness 1s is below --join 5s"]),
        ("join = 'soon'", ["--join soon: is no span of time"]),
        ("join = 5", ["join must be text, got 5"]),
        ("units = 7", ["units must be a table, as in [units]; got 7"]),
        ("format = 'xml'", ["format must be auto or wide or long or senml or registry, got 'xml'"]),
        ("=", ["not TOML"]),
        ("topics = 'a'", ["unknown option 'topics'", "did you mean 'topic'"]),
        ("sensor = 1", ["unknown option 'sensor'", "did you mean 'sensors'"]),
        ("zzz = 1", ["unknown option 'zzz'", "known are", "alerts_per_week"]),
        ("alerts_per_day = 0", ["alerts_per_day must be a number above 0, got 0"]),
        ("alerts_per_week = true", ["alerts_per_week must be a number above 0, got True"]),
        ("alerts_per_day = 1\nalerts_per_week = 3", ["give one of them"]),
        ("accept_after = 1.5", ["accept_after must be a whole number, got 1.5"]),
        ("max_machines = 2.5", ["max_machines must be a whole number, got 2.5"]),
        ("checkpoint_every = inf", ["checkpoint_every must be a number above 0, got inf"]),
        ("max_machines = 0", ["max_machines must be a number above 0, got 0"]),
        ("delivery = 'twice'", ["delivery must be exactly-once or at-least-once, got 'twice'"]),
        ("topic = 1", ["topic must be text, got 1"]),
        ("kafka = 1", ["kafka must be a table, as in [kafka]; got 1"]),
        ("sensors = 1", ["sensors must be a table"]),
        ("[sensors]\nflow = 3", ["sensors.flow must be a table, as in [sensors.flow]; got 3"]),
        ("[machines]\npump-4 = 3", ["machines.pump-4 must be a table"]),
        ("[machines.pump-4]\nhigh = 3", ["machines.pump-4.high must be a table"]),
        ("[sensors.flow]\nhihg = 3", ["unknown [sensors.flow] key 'hihg'", "did you mean 'high'"]),
        ("[sensors.flow]\nhigh = '3'", ["[sensors.flow] high must be a number, got '3'"]),
        ("[sensors.flow]\nhigh = true", ["[sensors.flow] high must be a number, got True"]),
        ("[sensors.flow]\ndirection = 'up'", ['[sensors.flow] direction must be "high", "low" or "both"']),
        ("[machines.p.flow]\nlow = 3\nhigh = 2", ["[machines.p.flow] low must be below high, got 3 and 2"]),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(text: str, words: list[str], tmp_path: Path) -> None:
    message = refusal(tmp_path, text)
    for part in words:
        assert part in message


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml: cannot be read"):
        configuration(argparse.Namespace(config=Path("nowhere.toml")))
