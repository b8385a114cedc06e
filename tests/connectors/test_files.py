from __future__ import annotations

import gzip
import io
import logging
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.codecs import decode_alert
from connectors.files import FileSource, InputError, JsonLinesSink, ScoresWriter
from scrnn_stream.alert import Alert
from scrnn_stream.records import Batch, Partition, Position, Record, Rejected

Write = Callable[..., Path]
NOON = 1386018900.0  # 2013-12-02 21:15:00 UTC


def read(*paths: object, skip: int = 0, **options: object) -> list[Record | Rejected]:
    """Everything a source brings, answering each assignment as the worker does."""
    messages: list[Record | Rejected] = []
    with FileSource([str(path) for path in paths], **options) as source:  # type: ignore[arg-type]
        while (batch := source.poll()) is not None:
            for partition, offset in batch.assigned.items():
                assert not batch.messages
                source.seek(partition, offset + skip)
            messages += batch.messages
        assert source.total_bytes is None or source.bytes_read == source.total_bytes
    return messages


def records(*paths: object, **options: object) -> list[Record]:
    messages = read(*paths, **options)
    assert all(isinstance(message, Record) for message in messages), messages
    return messages  # type: ignore[return-value]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_a_csv_row_becomes_a_record(write: Write) -> None:
    path = write("machine,timestamp,flow,current\npump-1,2013-12-02 21:15:00,1.5,7\n")
    assert records(path) == [
        Record(Position(Partition(str(path), 0), 0), "pump-1", NOON, {"flow": 1.5, "current": 7.0})
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(write: Write, delimiter: str) -> None:
    path = write(delimiter.join(["time", '"a, b; c|d"', "x"]) + "\n" + delimiter.join(["5", "1", "2"]) + "\n")
    assert records(path)[0].values == {"a, b; c|d": 1.0, "x": 2.0}


@pytest.mark.parametrize("cell", ["", "NaN", "NA", "null", " n/a ", "None"])
def test_an_empty_cell_is_a_missing_reading(write: Write, cell: str) -> None:
    record = records(write(f"a,b\n{cell},2\n"))[0]
    assert math.isnan(record.values["a"])
    assert record.values["b"] == 2.0


def test_the_file_is_the_machine_when_no_column_is(write: Write) -> None:
    path = write("flow\n1\n")
    assert (records(path)[0].machine, records(path)[0].time) == (str(path), None)


def test_named_columns_give_machine_and_time(write: Write) -> None:
    path = write("asset,when,flow,status,Time\np7,2013-12-02T21:15:00Z,1,ok,x\n")
    record = records(path, key_column="asset", time_column="when", ignore=["status"])[0]
    assert (record.machine, record.time, record.values) == ("p7", NOON, {"flow": 1.0})


def test_a_saved_row_number_and_a_trailing_delimiter_are_no_sensors(write: Write) -> None:
    assert records(write(",flow,\n0,1.5,\n"))[0].values == {"flow": 1.5}


def test_a_byte_order_mark_and_windows_line_ends_are_no_data(write: Write) -> None:
    assert records(write(b"\xef\xbb\xbfflow,x\r\n1,2\r\n\r\n3,4\r\n"))[1].values == {"flow": 3.0, "x": 4.0}


def test_every_row_yields_one_message_in_order(write: Write) -> None:
    rows = ["2013-12-02 21:15:00,1", "noon,2", "2013-12-02 21:16:00,3,4", "2013-12-02 21:17:00,on", ",5"]
    messages = read(write("ts,flow\n" + "\n".join(rows) + "\n"))
    assert [message.position.offset for message in messages] == [0, 1, 2, 3, 4]
    reasons = [message.reason if isinstance(message, Rejected) else None for message in messages]
    assert reasons == [
        None,
        "ts ('noon'): not ISO 8601 and not an epoch number",
        "row has 3 cells, the header 2",
        "column 'flow' must be a number, got 'on'",
        None,
    ]
    assert isinstance(messages[2], Rejected)
    assert messages[2].payload == rows[2].encode()


def test_undecodable_bytes_cost_their_row_only(write: Write) -> None:
    messages = read(write(b"machine,flow\nm,\xff\n\xff,2\nm,3\n"))
    assert [type(message) for message in messages] == [Rejected, Rejected, Record]
    assert "not valid UTF-8" in messages[0].reason  # type: ignore[union-attr]
    assert messages[0].payload == b"m,\xff"  # type: ignore[union-attr]


def test_a_row_that_is_not_csv_is_rejected_and_the_next_is_read(write: Write) -> None:
    messages = read(write("a,b\n1,2\n3\r4,5\n6,7\n"))
    assert [type(message) for message in messages] == [Record, Rejected, Record]


def test_a_quoted_cell_may_span_lines(write: Write) -> None:
    messages = read(write('machine,a\n"m\n1",1\nm,2\n'))
    assert [message.machine for message in messages] == ["m\n1", "m"]  # type: ignore[union-attr]


def test_json_lines_are_found_by_suffix_or_first_character(write: Write) -> None:
    lines = '\n{"machine": "m", "ts": 5, "flow": 1}\n\n{"ts": 6, "flow": "x"}\n{"sensor": "flow", "value": 2}\n'
    for name in ("a.jsonl", "b.txt"):
        path = write(lines, name)
        first, second, third = read(path)
        assert first == Record(Position(Partition(str(path), 0), 0), "m", 5.0, {"flow": 1.0})
        assert isinstance(second, Rejected)
        assert isinstance(third, Record)
        assert (third.machine, third.position.offset) == (str(path), 2)


def test_json_lines_take_named_columns_too(write: Write) -> None:
    path = write('{"asset": "p7", "when": 5, "status": "ok", "flow": 1}\n', "a.ndjson")
    record = records(path, key_column="asset", time_column="when", ignore=["status"])[0]
    assert (record.machine, record.time, record.values) == ("p7", 5.0, {"flow": 1.0})


def test_a_compressed_file_reads_like_a_plain_one(write: Write) -> None:
    path = write(gzip.compress(b"flow\n1\n2\n"), "data.csv.gz")
    assert [record.values["flow"] for record in records(path)] == [1.0, 2.0]


def test_standard_input_is_a_machine_of_its_own() -> None:
    assert records("-", stdin=io.BytesIO(b"flow\n1\n"))[0].machine == "stdin"


def test_files_come_one_after_the_other_in_batches(write: Write) -> None:
    long, short = write("x\n" + "1\n" * 2500, "long.csv"), write("x\n2\n", "short.csv")
    with FileSource([long, short]) as source:
        sizes = []
        while (batch := source.poll()) is not None:
            sizes.append(len(batch.messages))
            for partition, offset in batch.assigned.items():
                assert source.poll() == Batch([], {}, frozenset())  # nothing before the answer
                source.seek(partition, offset)
    assert sizes == [0, 1000, 1000, 500, 0, 1]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_seek_goes_to_a_later_row_and_back(write: Write, name: str) -> None:
    rows = [f'{{"x": {i}}}' if name == "a.jsonl" else str(i) for i in range(5)]
    path = write("\n".join(rows if name == "a.jsonl" else ["x", *rows]), name)
    assert [message.position.offset for message in read(path, skip=3)] == [3, 4]
    assert read(path, skip=9) == []
    with FileSource([path]) as source:
        [partition] = source.poll().assigned  # type: ignore[union-attr]
        source.seek(partition, 4)
        source.seek(partition, 2)
        batch = source.poll()
    assert batch is not None
    assert [(message.position.offset, message.values["x"]) for message in batch.messages] == [(2, 2), (3, 3), (4, 4)]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("", {}, "is empty"),
        ("\n\n", {}, "is empty"),
        ("1,2\n3,4\n", {}, "no header; add a first line with the column names"),
        ("a,b,a\n1,2,3\n", {}, "two columns are named 'a'; rename one"),
        ("machine,time\nm,1\n", {}, "no sensor column is left among machine, time"),
        ("asset,flow\nm,1\n", {"key_column": "aset"}, "no column 'aset'; did you mean 'asset'?"),
        ("asset,flow\nm,1\n", {"time_column": "qqq"}, "no column 'qqq'; it has asset, flow"),
        ("asset,flow\nm,1\n", {"ignore": ["Flow"]}, "no column 'Flow'; did you mean 'flow'?"),
        ('{"flow": 1}\n', {"ignore": ["flo"]}, "no column 'flo'; did you mean 'flow'?"),
        ("status,x\nok,1\n", {}, "column 'status' is text ('ok'); leave it out with --ignore status"),
        ('{"status": "ok", "x": 1}\n', {}, "column 'status' is text ('ok'); leave it out with --ignore status"),
        ("a,b\n1,2\n".encode("utf-16"), {}, "not text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", {}, "not text in UTF-8"),
        ("a\rb\r1\r", {}, "its header is not CSV"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_meant_is_refused_with_advice(
    write: Write, content: str | bytes, options: dict[str, object], expected: str
) -> None:
    with pytest.raises(InputError, match=re.escape(expected)) as raised:
        read(write(content), **options)
    assert "\n" not in str(raised.value)


def test_missing_files_directories_and_damaged_archives_are_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv: No such file.*check the path"):
        read(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="is a directory; name the files in it"):
        read(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read(write(gzip.compress(b"flow\n" + b"1\n" * 99)[:-9], "cut.csv.gz"))
    with pytest.raises(InputError, match="named twice"):
        read("-", "-")
    with pytest.raises(InputError, match="no input file"):
        read()


def test_alerts_are_written_one_json_line_each(tmp_path: Path) -> None:
    at = Position(Partition("t", 0), 1)
    alert = Alert(
        id="a", machine="m", kind="stuck", state="firing", severity="warning", begin=None, raised=None, position=at,
        score=0.5, p_value=0.1, message="flow\nfroze",
    )  # fmt: skip
    with JsonLinesSink(tmp_path / "alerts.jsonl") as sink:
        sink.send(alert)
        sink.send(alert)
        sink.flush()
        lines = (tmp_path / "alerts.jsonl").read_bytes().splitlines()
    assert [decode_alert(line) for line in lines] == [alert, alert]


def test_alerts_to_standard_output_leave_it_open(capfd: pytest.CaptureFixture[str]) -> None:
    with ScoresWriter("-"):
        pass
    print("still open")
    assert capfd.readouterr().out == "time,machine,anomaly_score,alert\nstill open\n"


def test_dead_letters_are_counted_and_the_first_five_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), JsonLinesSink(tmp_path / "a") as sink:
        for offset in range(8):
            sink.reject(Rejected(Position(Partition("t", 0), offset), "why"))
    assert caplog.messages[4:] == ["rejected t/0@4: why", "rejected 8 messages in all"]


def test_scores_are_written_as_csv(tmp_path: Path) -> None:
    with ScoresWriter(tmp_path / "scores.csv") as scores:
        scores.write(NOON, "m", 0.25, False)
        scores.write(NOON + 0.5, "m, n", 1.0, True)
        scores.write(None, "m", math.nan, False)
    assert (tmp_path / "scores.csv").read_text() == (
        "time,machine,anomaly_score,alert\n"
        "2013-12-02 21:15:00,m,0.25,0\n"
        '2013-12-02 21:15:00.500000,"m, n",1.0,1\n'
        ",m,nan,0\n"
    )


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    writer = ScoresWriter(tmp_path / "no" / "x")
    with pytest.raises(InputError, match=r"cannot be written: No such file.*check the path"), writer:
        pass


@pytest.mark.parametrize(("option", "said"), [(None, r"--ignore 'b\x1b[2J'"), ("m", r"it has a, 'b\x1b[2J'")])
def test_the_name_of_a_column_cannot_write_to_the_terminal(write: Write, option: str | None, said: str) -> None:
    path = write("a,b\x1b[2J\n1,x\n")
    with pytest.raises(InputError, match=re.escape(said) + "$"):
        read(path, key_column=option)
