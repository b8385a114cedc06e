"""What `run` and `replay` are told: flags, before the environment, before a file, before defaults.

The file holds options of the command, and tables for Kafka, notifications, sensors and machines, and for how messages
are read:

alerts_per_week = 2

[sensors.vibration]          # of every machine
direction = "high"
min_deviation = 0.3

[machines.pump-4.pressure]   # of one machine, in place of what is said for every one
low = 0.2
high = 6.5

[fields]                     # where in a message things stand
machine = "asset.id"
ignore = ["site"]

[units]                      # what readings become, whichever unit a message gives them in
pressure = "bar"

In the environment SCRNN_STREAM_TOPIC is `topic`, SCRNN_STREAM_KAFKA_SASL_PLAIN_PASSWORD is `sasl_plain_password` of the
table `kafka`, SCRNN_STREAM_NOTIFY_URLS is `urls` of the table `notify`, and SCRNN_STREAM_CONFIG names the file.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import math
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from connectors.kafka import check_option, client_option
from connectors.layout import PATHS, Layout
from scrnn_stream.joining import Joining
from scrnn_stream.limits import Limits, SensorLimits
from scrnn_stream.notify_options import NotifyOptions, from_text
from scrnn_stream.settings import BUDGETS, Settings
from scrnn_stream.usage import DELIVERIES, EXACTLY_ONCE, FORMATS, UsageError, seconds
from scrnn_stream.worker import CHECKPOINT_EVERY_S

STOP_WITHIN_S = 25.0  # Kubernetes kills after 30, Docker after 10
DEFAULTS: dict[str, Any] = {  # of `run`; `replay` passes over them, so that both can share a file
    "brokers": "127.0.0.1:9092",
    "topic": "sensors",
    "alerts_topic": "alerts",
    "dead_letter_topic": None,
    "group": "scrnn-stream",
    "instance": None,
    "delivery": EXACTLY_ONCE,
    "checkpoints": None,
    "checkpoint_every": CHECKPOINT_EVERY_S,
    "max_machines": None,
    "warmup": None,
    "http": None,
    "stop_within": STOP_WITHIN_S,
    "format": "auto",
    "registry": None,
    "join": None,
    "lateness": None,
}
TABLES = ("kafka", "notify", "sensors", "machines", "fields", "units")  # the first: security_protocol and so on
POSITIVE = (*BUDGETS, "checkpoint_every", "max_machines", "stop_within")
WHOLE = (*(name for name in Settings.names() if name not in BUDGETS), "max_machines")


PREFIX, KAFKA, NOTIFY = "SCRNN_STREAM_", "KAFKA_", "NOTIFY_"  # of variables of the environment


class Configuration(NamedTuple):
    """What was asked for: options of the command by name, settings of the pipeline, options of the Kafka clients, how
    messages are read, and whom to notify.

    ``sources`` says of each option, and of each ``kafka.NAME`` and ``notify.NAME``, where its value comes from.
    """

    options: dict[str, Any]
    settings: Settings
    client: dict[str, Any]
    sources: dict[str, str]
    layout: Layout
    notify: NotifyOptions = NotifyOptions()


def configuration(given: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Configuration:
    """Flags before environment before file before defaults."""
    environment = _Environment(environ)
    path = given.config if given.config is not None else environment.path
    file = _File(path) if path is not None else None
    known = {**DEFAULTS, **dict.fromkeys(Settings.names())}
    flags = {name: value for name, value in vars(given).items() if name in known and value is not None}
    options, sources = known, dict.fromkeys(known, "default")
    for source, said in (
        (str(path), file.options(known) if file is not None else {}),
        ("environment", environment.options(known)),
        ("flag", flags),
    ):
        if said.keys() & set(BUDGETS):  # one budget goes before the other one of what comes after it
            said = {**dict.fromkeys(BUDGETS), **said}
        options = {**options, **said}
        sources |= dict.fromkeys(said, source)
    limits = file.limits() if file is not None else Limits()
    joining = _joining(options["join"], options["lateness"])
    try:
        plain = {name: v for name in Settings.names() if (v := options[name]) is not None}
        settings = Settings(**plain, limits=limits, joining=joining)
    except ValueError as error:
        raise UsageError(str(error)) from error
    client = file.client() if file is not None else {}
    sources |= {f"kafka.{name}": str(path) for name in client}
    sources |= {f"kafka.{name}": "environment" for name in environment.client}
    layout = file.layout(options["format"]) if file is not None else Layout(form=options["format"])
    notify = file.notify() if file is not None else {}
    sources |= {f"notify.{name}": "default" for name in NotifyOptions.names()}
    sources |= {f"notify.{name}": str(path) for name in notify}
    sources |= {f"notify.{name}": "environment" for name in environment.notify}
    asked = NotifyOptions.of({**notify, **environment.notify})
    return Configuration(options, settings, {**client, **environment.client}, sources, layout, asked)


def _joining(join: str | None, lateness: str | None) -> Joining | None:
    """Readings of the same time wait for each other no longer than until the next, unless the user says so."""
    if join is None:
        if lateness is not None:
            raise UsageError(f"--lateness {lateness} is for readings that are joined; give --join, such as --join 0s")
        return None
    within_s = seconds(join, "--join", may_be_none=True)
    lateness_s = within_s if lateness is None else seconds(lateness, "--lateness", may_be_none=True)
    if lateness_s < within_s:
        raise UsageError(
            f"--lateness {lateness} is below --join {join}: readings would not wait for those of their frame"
        )
    return Joining(within_s, lateness_s)


class _Environment:
    """The variables that are meant for us; their errors name them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        ours = {name.removeprefix(PREFIX): text for name, text in environ.items() if name.startswith(PREFIX) and text}
        config = ours.pop("CONFIG", None)
        self.path = Path(config) if config is not None else None
        self.client = {
            name.removeprefix(KAFKA).lower(): self._kafka(name, text)
            for name, text in ours.items()
            if name.startswith(KAFKA)
        }
        self.notify = {
            (of_table := name.removeprefix(NOTIFY).lower()): from_text(of_table, text)
            for name, text in ours.items()
            if name.startswith(NOTIFY)
        }
        for name, value in self.notify.items():
            _check_notify(f"the environment: {PREFIX}{NOTIFY}{name.upper()}", {name: value})
        self._texts = {name.lower(): text for name, text in ours.items() if not name.startswith((KAFKA, NOTIFY))}

    def options(self, known: Iterable[str]) -> dict[str, Any]:
        options = {name: _typed(name, text) for name, text in self._texts.items()}
        for name, value in options.items():
            _check_name("the environment", name, known, f"variable {PREFIX}{name.upper()} for option")
            _check_type(f"{PREFIX}{name.upper()}", name, value)
        return options

    def _kafka(self, name: str, text: str) -> Any:
        try:
            return client_option(name.removeprefix(KAFKA).lower(), text)
        except ValueError as error:
            raise UsageError(f"{PREFIX}{name} {error}") from None


class _File:
    """A TOML file, read at once; its errors name it and the place in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: not TOML: {error}") from error

    def options(self, known: Iterable[str]) -> dict[str, Any]:
        """All that stands outside of the tables."""
        options = {name: value for name, value in self.content.items() if name not in TABLES}
        for name, value in options.items():
            _check_name(self.path, name, (*known, *TABLES), "option")
            _check_type(f"{self.path}: {name}", name, value)
        return options

    def table(self, name: str) -> dict[str, Any]:
        return self._as_table(name, self.content.get(name, {}))

    def client(self) -> dict[str, Any]:
        """The options of the Kafka clients."""
        client = self.table(TABLES[0])
        for name, value in client.items():
            try:
                check_option(name, value)
            except ValueError as error:
                raise UsageError(f"{self.path}: [{TABLES[0]}] {name} {error}") from None
        return client

    def notify(self) -> dict[str, Any]:
        """The table of notifications, found right."""
        table = self.table("notify")
        _check_notify(f"{self.path}: [notify]", table)
        return table

    def limits(self) -> Limits:
        """The tables of sensors, for every machine and for one."""
        machines = {name: self._as_table(f"machines.{name}", of_one) for name, of_one in self.table("machines").items()}
        return Limits(
            self._sensors("sensors", self.table("sensors")),
            {name: self._sensors(f"machines.{name}", sensors) for name, sensors in machines.items()},
        )

    def layout(self, form: Any) -> Layout:
        """The tables that say how messages are read."""
        for name in self.table("fields"):
            _check_name(self.path, name, (*PATHS, "ignore", "usable"), "[fields] key")
        try:
            return Layout.of(self.table("fields"), self.table("units"), form)
        except ValueError as error:
            raise UsageError(f"{self.path}: {error}") from error

    def _sensors(self, place: str, sensors: dict[str, Any]) -> dict[str, SensorLimits]:
        return {name: self._sensor(f"{place}.{name}", limits) for name, limits in sensors.items()}

    def _sensor(self, place: str, limits: Any) -> SensorLimits:
        for name, value in self._as_table(place, limits).items():
            _check_name(self.path, name, SensorLimits.names(), f"[{place}] key")
            if name != "direction" and not _is_number(value):
                raise UsageError(f"{self.path}: [{place}] {name} must be a number, got {value!r}")
        try:
            return SensorLimits(**limits)
        except ValueError as error:
            raise UsageError(f"{self.path}: [{place}] {error}") from error

    def _as_table(self, place: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise UsageError(f"{self.path}: {place} must be a table, as in [{place}]; got {value!r}")
        return value


def _check_name(where: object, name: str, known: Iterable[str], what: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
        raise UsageError(f"{where}: unknown {what} {name!r}{hint}")


def _check_notify(where: str, table: Mapping[str, Any]) -> None:
    try:
        NotifyOptions.of(table)
    except ValueError as error:
        raise UsageError(f"{where} {error}") from None


def _check_type(what_it_is: str, name: str, value: Any) -> None:
    if name in WHOLE and (isinstance(value, bool) or not isinstance(value, int)):
        right, what = False, "a whole number"
    elif name in POSITIVE:
        right, what = _is_number(value) and 0 < value < math.inf, "a number above 0"
    elif name in WHOLE:
        right, what = True, "a whole number"
    elif name == "delivery":
        right, what = value in DELIVERIES, " or ".join(DELIVERIES)
    elif name == "format":
        right, what = value in FORMATS, " or ".join(FORMATS)
    else:
        right, what = isinstance(value, str), "text"
    if not right:
        raise UsageError(f"{what_it_is} must be {what}, got {value!r}")


def _typed(name: str, text: str) -> Any:
    """The text of a variable as a file would hold it; what is no number stays text, and is refused."""
    for number in (int, float) if name in (*WHOLE, *POSITIVE) else ():
        with contextlib.suppress(ValueError):
            return number(text)
    return text


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
