"""The command `scrnn-stream`: options, and errors as one line that says what to do."""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from scrnn_stream.logs import log_to_stderr
from scrnn_stream.masking import harmless
from scrnn_stream.usage import DELIVERIES, FORMATS, UsageError

TABLES = (
    "The file, and variables such as SCRNN_STREAM_NOTIFY_URLS, may also hold tables: [kafka] with options of the Kafka "
    "clients; [notify] with urls, alertmanager, min_severity, machines, kinds, group_within and per_hour; and, in the "
    "file alone, [sensors], [machines], [fields] and [units]."
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 our fault, 2 a wrong option or something missing, 130 stopped."""
    options = _parser().parse_args(arguments)
    level = options.log_level or ("info" if options.command == "run" else "warning")
    log_to_stderr(level, options.log_format == "json")
    try:
        return _run(options)
    except UsageError as error:
        print(f"scrnn-stream: {harmless(str(error))}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has gone
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception:  # through the log, so that no secret is in it, and nothing that could pass for another line
        logging.getLogger(__name__).critical("a fault of this program ends it", exc_info=True)
        return 1


def _run(options: argparse.Namespace) -> int:
    """Only now are the connectors imported: their absence or their errors are the command's."""
    from connectors.broker import BrokerProblem
    from connectors.files import InputError
    from connectors.kafka import KafkaProblem
    from connectors.registry import RegistryProblem
    from scrnn_stream.store import StoreProblem

    try:
        if options.command == "replay":
            from scrnn_stream.replay import replay

            return replay(options)
        if options.command == "run":
            from scrnn_stream.service import serve

            return serve(options)
        if options.command == "config":
            from scrnn_stream.effective import show

            return show(options)
        if options.command == "notify":
            from scrnn_stream.notify import try_out

            return try_out(options)
        from scrnn_stream.demo import demo

        return demo(options)
    except (InputError, KafkaProblem, BrokerProblem, RegistryProblem, StoreProblem) as error:
        raise UsageError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="scrnn-stream", description="Learns how each machine behaves and raises an alert when it departs."
    )
    levels = ("debug", "info", "warning", "error")
    parser.add_argument("--log-level", choices=levels, help="what is logged to stderr [run: info, else warning]")
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="lines, or JSON lines [text]")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    replay = commands.add_parser("replay", help="run the pipeline over recorded files")
    replay.add_argument("files", nargs="+", metavar="FILE", help="CSV with any delimiter or JSON lines; - is stdin")
    replay.add_argument("--key", metavar="COL", help="column that names the machine [machine, else the file]")
    replay.add_argument("--time", metavar="COL", help="column of event time [timestamp, datetime, time or ts]")
    replay.add_argument("--ignore", metavar="COL,COL", type=_names, default=(), help="columns that are not sensors")
    _add_config(replay)
    _add_joining(replay)
    _add_format(replay, "JSON lines are", FORMATS[:-1])
    replay.add_argument("--scores", metavar="OUT.csv", help="write time, machine, anomaly_score, alert of each row")
    replay.add_argument("--alerts", metavar="OUT.jsonl", help="write each alert as a line of JSON")
    replay.add_argument("--report", metavar="DIR", type=Path, help="write an HTML card for each alert")
    _add_settings(replay)

    run = commands.add_parser("run", help="watch a Kafka topic until SIGTERM", epilog=TABLES)
    _add_run(run)
    config = commands.add_parser(
        "config", help="print what `run` would do with these options, and who said so", epilog=TABLES
    )
    _add_run(config)

    notify = commands.add_parser(
        "notify", help="send a test to everybody whom [notify] of the file names", epilog=TABLES
    )
    _add_config(notify)

    demo = commands.add_parser("demo", help="real pipe flow and a simulated pump fleet, through a real broker")
    demo.add_argument("--seed", type=int, default=0, help="which fleet and which faults [0]")
    demo.add_argument("--days", type=_positive, default=40.0, help="length of the fleet's history [40]")
    _add_budget(demo, "0.05 a day")
    demo.add_argument(
        "--report", metavar="DIR", type=Path, default=Path("demo-report"), help="alert cards [demo-report]"
    )
    return parser


def _add_run(run: argparse.ArgumentParser) -> None:
    _add_config(run)
    run.add_argument("--brokers", metavar="HOST:PORT", help="several with commas [127.0.0.1:9092]")
    run.add_argument("--topic", help="sensor readings come from it [sensors]")
    run.add_argument("--alerts-topic", help="alerts go to it [alerts]")
    run.add_argument("--dead-letter-topic", help="refused messages go to it [counted and logged only]")
    run.add_argument("--group", help="consumer group [scrnn-stream]")
    run.add_argument("--instance", help="static name of this member of the group: a restart does not rebalance")
    run.add_argument("--delivery", choices=DELIVERIES, help="of alerts; the first needs transactions [exactly-once]")
    run.add_argument(
        "--checkpoints", metavar="URL", help="directory, or s3:// and the like, of models [.scrnn-stream/GROUP]"
    )
    run.add_argument("--checkpoint-every", metavar="SECONDS", type=_positive, help="[30]")
    run.add_argument(
        "--max-machines", metavar="N", type=_whole, help="so many stay in memory, the others in checkpoints [all]"
    )
    run.add_argument(
        "--http", metavar="[HOST:]PORT", help="/metrics, /healthz and /readyz; without HOST on 127.0.0.1 alone [none]"
    )
    run.add_argument(
        "--stop-within", metavar="SECONDS", type=_positive, help="after SIGTERM; what is not finished comes again [25]"
    )
    _add_format(run, "messages are", FORMATS)
    run.add_argument("--registry", metavar="URL", help="of schemas of Avro and JSON messages, for --format registry")
    _add_joining(run)
    run.add_argument("--rebuild", action="store_true", help="pass over the checkpoints and learn again from the topic")
    run.add_argument("--warmup", metavar="SPAN", help="how far back that reaches, such as 12h or 7d [all of the topic]")
    _add_settings(run)


def _add_format(parser: argparse.ArgumentParser, what: str, formats: Sequence[str]) -> None:
    parser.add_argument(
        "--format", choices=formats, help=f"what {what}; auto: wide or long JSON, each by itself [auto]"
    )


def _add_joining(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--join", metavar="SPAN", help="readings of a machine whose times differ by no more are one record [never]"
    )
    parser.add_argument(
        "--lateness", metavar="SPAN", help="so long, by their own times, a record waits for its readings [as --join]"
    )


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", metavar="FILE.toml", type=Path, help="options and limits of sensors; a flag overrides what it says"
    )


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """The options that become Settings; None where the user says nothing."""
    _add_budget(parser, "1 a day")
    parser.add_argument("--accept-after", metavar="N", type=int, help="records until a new state is normal [500]")
    parser.add_argument("--seed", type=int, help="of the networks' starting weights [0]")
    parser.add_argument("--max-sensors", metavar="N", type=_whole, help="of a machine; more are refused [1,000]")
    parser.add_argument(
        "--max-known-machines", metavar="N", type=_whole, help="of a partition or file; more are refused [10,000]"
    )


def _add_budget(parser: argparse.ArgumentParser, default: str) -> None:
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--alerts-per-day", metavar="X", type=_positive, help=f"alert budget of a machine [{default}]")
    budget.add_argument("--alerts-per-week", metavar="X", type=_positive, help="the same by the week")


def _positive(text: str) -> float:
    with contextlib.suppress(ValueError):
        number = float(text)
        if math.isfinite(number) and number > 0:
            return number
    raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")


def _whole(text: str) -> int:
    number = _positive(text)
    if number != int(number):
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}")
    return int(number)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
