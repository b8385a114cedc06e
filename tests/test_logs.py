"""The log: one line for each record, whatever is in it, as text and as JSON."""

from __future__ import annotations

import json
import logging

import pytest

from scrnn_stream import cli
from scrnn_stream.logs import TEXT, _Json, _Log, _Text
from scrnn_stream.masking import hide

HOSTILE = "pump\nERROR scrnn_stream.worker: all is lost\x1b[31m"


def logged(formatter: logging.Formatter, message: str, *arguments: object, exc_info: object = None) -> str:
    record = logging.LogRecord("scrnn_stream.monitor", logging.INFO, "", 0, message, arguments, exc_info)  # type: ignore[arg-type]
    return formatter.format(record)


def raised(text: str) -> object:
    try:
        raise ValueError(text)
    except ValueError as error:
        return type(error), error, error.__traceback__


def test_a_machine_s_name_cannot_forge_a_line() -> None:
    text = logged(_Text(TEXT), "%s is learning", HOSTILE)
    assert text == r"INFO scrnn_stream.monitor: pump\nERROR scrnn_stream.worker: all is lost\x1b[31m is learning"
    fields = json.loads(logged(_Json(), "%s is learning", HOSTILE))
    assert fields["message"] == r"pump\nERROR scrnn_stream.worker: all is lost\x1b[31m is learning"


def test_nor_can_the_text_of_an_exception() -> None:
    lines = logged(_Text(TEXT), "failed", exc_info=raised(HOSTILE)).split("\n")
    assert lines[0] == "INFO scrnn_stream.monitor: failed"
    assert all(line.startswith("  ") and line.isprintable() for line in lines[1:])
    assert len(logged(_Json(), "failed", exc_info=raised(HOSTILE)).splitlines()) == 1


@pytest.mark.parametrize("formatter", [_Text(TEXT), _Json()])
def test_no_secret_is_in_message_or_exception(formatter: logging.Formatter) -> None:
    hide('hunter2 "and more"')
    text = logged(formatter, "password %r", 'hunter2 "and more"', exc_info=raised('hunter2 "and more" is wrong'))
    assert "hunter" not in text
    assert text.count("***") == 2


def test_a_fault_of_the_program_is_told_without_secrets(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(options: object) -> int:  # noqa: ARG001
        hide("hunter2 again")
        raise ZeroDivisionError("hunter2 again\nERROR forged")

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main(["run"]) == 1
    (record,) = caplog.records
    text = _Text(TEXT).format(record)
    assert text.startswith("CRITICAL scrnn_stream.cli: a fault of this program ends it\n  Traceback")
    assert "ZeroDivisionError: ***" in text
    assert "\nERROR" not in text


def test_the_kafka_client_is_heard_and_drivers_of_stores_only_from_a_warning_on() -> None:
    def is_heard(name: str, level: int) -> bool:
        return bool(_Log().filter(logging.LogRecord(name, level, "", 0, "", None, None)))

    assert is_heard("kafka.net", logging.DEBUG)
    assert not is_heard("s3fs", logging.INFO)
    assert is_heard("s3fs", logging.WARNING)
