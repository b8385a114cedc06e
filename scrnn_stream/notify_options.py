"""The table `[notify]`: whom to tell of alerts beside their topic, of which, and how often."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from connectors.courier import GROUP_S, PER_HOUR
from connectors.notifications import SEVERITIES
from scrnn_stream.alert import Kind

LISTS = ("urls", "alertmanager", "machines", "kinds")
NUMBERS = ("group_within", "per_hour")


@dataclass(frozen=True)
class NotifyOptions:
    """What the user wants told, and where.

    Parameters
    ----------
    urls
        Of messengers, as Apprise has them; each can hold secrets anywhere.
    alertmanager
        URLs of Alertmanagers.
    min_severity, machines, kinds
        Which alerts, as :class:`~connectors.notifications.Interest` has it.
    group_within
        Seconds in which alerts go in one message.
    per_hour
        Messages to each of `urls` in any hour.

    Raises
    ------
    ValueError
        If one of them is wrong; the message begins with its name.
    """

    urls: tuple[str, ...] = ()
    alertmanager: tuple[str, ...] = ()
    min_severity: str = SEVERITIES[0]
    machines: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    group_within: float = GROUP_S
    per_hour: int = PER_HOUR

    def __post_init__(self) -> None:
        for name in LISTS:
            texts = getattr(self, name)
            if not all(isinstance(text, str) and text for text in texts):  # never quoted: it can hold a secret
                raise ValueError(f"{name} must be a list of texts")
        if self.min_severity not in SEVERITIES:
            raise ValueError(f"min_severity must be {' or '.join(SEVERITIES)}, got {self.min_severity!r}")
        for kind in self.kinds:
            if kind not in get_args(Kind):
                raise ValueError(f"kinds has {kind!r}{_near(kind, get_args(Kind))}")
        for name in NUMBERS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
                raise ValueError(f"{name} must be a number above 0, got {value!r}")
        if self.per_hour != int(self.per_hour):
            raise ValueError(f"per_hour must be a whole number, got {self.per_hour!r}")

    def __bool__(self) -> bool:
        """Whether anybody is told."""
        return bool(self.urls or self.alertmanager)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls))

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> NotifyOptions:
        """From a table of the configuration file; ValueError as above, for unknown names too."""
        for name, value in table.items():
            if name not in cls.names():
                raise ValueError(f"has an unknown key {name!r}{_near(name, cls.names())}")
            if name in LISTS and not isinstance(value, list):
                raise ValueError(f"{name} must be a list of texts")
        typed: dict[str, Any] = {name: tuple(value) if name in LISTS else value for name, value in table.items()}
        return cls(**typed)


def from_text(name: str, text: str) -> Any:
    """A variable of the environment as the table would hold it: URLs stand between spaces, other lists have commas."""
    if name in ("urls", "alertmanager"):
        return text.split()
    if name in LISTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    if name in NUMBERS:
        try:
            return float(text) if name == "group_within" else int(text)
        except ValueError:
            return text
    return text


def _near(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
