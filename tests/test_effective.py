"""What `scrnn-stream config` prints can be read again, says who said what, and holds no secret."""

from __future__ import annotations

import argparse
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from scrnn_stream.cli import main
from scrnn_stream.configuration import Configuration, configuration
from scrnn_stream.effective import HIDDEN, lines

FILE = """
accept_after = 100
checkpoints = "s3://me:hunter2@bucket/models"
[kafka]
security_protocol = "SASL_SSL"
sasl_plain_password = "hunter2"
[sensors."flow rate"]
high = 6.5
direction = "high"
[machines.pump-4.pressure]
low = -1
[fields]
machine = "asset.id"
quality = "q"
ignore = ["site"]
[units]
"flow rate" = "m3/h"
"""


@pytest.fixture
def config(tmp_path: Path) -> Configuration:
    path = tmp_path / "scrnn.toml"
    path.write_text(FILE)
    return configuration(argparse.Namespace(config=path, topic='a "topic"'), {"SCRNN_STREAM_GROUP": "g"})


def test_it_is_a_configuration_file_with_the_same_meaning(config: Configuration, tmp_path: Path) -> None:
    text = "\n".join(lines(config))
    read = tomllib.loads(text)
    assert (read["topic"], read["accept_after"], read["alerts_per_day"]) == ('a "topic"', 100, 1.0)
    again = tmp_path / "again.toml"
    again.write_text(text)
    config_again = configuration(argparse.Namespace(config=again), {})
    assert config_again.settings == replace(config.settings, alerts_per_day=1.0)
    assert config_again.layout == config.layout


def test_it_says_where_each_value_comes_from(config: Configuration, tmp_path: Path) -> None:
    text = [" ".join(line.split()) for line in lines(config)]
    assert 'brokers = "127.0.0.1:9092" # default' in text
    assert 'group = "g" # environment' in text
    assert f"accept_after = 100 # {tmp_path / 'scrnn.toml'}" in text
    assert '"SASL_SSL" # ' in next(line for line in text if line.startswith("security_protocol"))
    assert "# instance is not set" in text


def test_no_secret_is_in_it(config: Configuration) -> None:
    text = "\n".join(lines(config))
    assert "hunter2" not in text
    assert f'sasl_plain_password = "{HIDDEN}"' in text
    assert f"s3://{HIDDEN}@bucket/models" in text
    registry = {**config.options, "registry": "http://me:hunter2@registry:8081/x?key=hunter2"}
    text = "\n".join(lines(config._replace(options=registry)))
    assert "hunter2" not in text
    assert f"http://{HIDDEN}@registry:8081/x?{HIDDEN}" in text


def test_the_command_prints_it_and_refuses_what_run_would_refuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "--topic", "t", "--alerts-per-week", "2"]) == 0
    assert tomllib.loads(capsys.readouterr().out)["alerts_per_week"] == 2
    path = tmp_path / "wrong.toml"
    path.write_text("tpic = 'a'")
    assert main(["config", "--config", str(path)]) == 2
    assert "did you mean 'topic'" in capsys.readouterr().err
