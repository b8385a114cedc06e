"""`scrnn-stream config`: what `run` would do with the same options, as a configuration file, and who said so."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from connectors.layout import Layout
from connectors.messenger import hidden
from scrnn_stream.configuration import Configuration, configuration
from scrnn_stream.limits import SensorLimits
from scrnn_stream.notify_options import NotifyOptions
from scrnn_stream.settings import Settings
from scrnn_stream.store import masked

HIDDEN = "***"
_SECRET = re.compile(r"password|secret|token|credential|jaas", re.IGNORECASE)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 48  # up to the comment


def show(options: argparse.Namespace) -> int:
    """Print it. Secrets are not."""
    print("\n".join(lines(configuration(options))))
    return 0


def lines(config: Configuration) -> Iterator[str]:
    """TOML that `--config` would take, but for what is hidden."""
    options = {**config.options, **{name: getattr(config.settings, name) for name in Settings.names()}}
    if options["alerts_per_week"] is None:
        options["alerts_per_day"] = config.settings.budget_per_day
    for name, value in options.items():
        yield _line(name, value, config.sources[name])
    if config.client:
        yield "\n[kafka]"
    for name, value in config.client.items():
        yield _line(name, value, config.sources[f"kafka.{name}"])
    if config.notify:
        yield "\n[notify]"
        for name in NotifyOptions.names():
            yield _line(name, _shown(name, getattr(config.notify, name)), config.sources[f"notify.{name}"])
    yield from _reading(config.layout)
    limits = config.settings.limits
    for sensor, of_sensor in limits.sensors.items():
        yield from _limits(("sensors", sensor), of_sensor)
    for machine, sensors in limits.machines.items():
        for sensor, of_sensor in sensors.items():
            yield from _limits(("machines", machine, sensor), of_sensor)


def _shown(name: str, value: Any) -> Any:
    """URLs of messengers hold secrets anywhere, those of an Alertmanager where URLs do."""
    if name in ("urls", "alertmanager"):
        return [hidden(url) if name == "urls" else masked(url) for url in value]
    return value


def _reading(layout: Layout) -> Iterator[str]:
    """How messages are read, where that is not as usual."""
    fields = layout.to_fields()
    for table, entries in (("fields", fields), ("units", layout.units.declared)):
        if entries:
            yield f"\n[{table}]"
        for name, value in entries.items():
            yield f"{_key(name)} = {_toml(value)}"


def _limits(path: tuple[str, ...], limits: SensorLimits) -> Iterator[str]:
    yield f"\n[{'.'.join(map(_key, path))}]"
    plain = SensorLimits()
    for name, value in asdict(limits).items():
        if value != getattr(plain, name):
            yield f"{name} = {_toml(value)}"


def _line(name: str, value: Any, source: str) -> str:
    if value is None:
        return f"# {name} is not set"
    shown = HIDDEN if _SECRET.search(name) else masked(value) if isinstance(value, str) else value
    return f"{f'{name} = {_toml(shown)}':{_WIDTH}}# {source}"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _toml(name)


def _toml(value: Any) -> str:
    """Text, numbers, truth values and lists of them; JSON writes them as TOML does."""
    return json.dumps(value, ensure_ascii=False)
