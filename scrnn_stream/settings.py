"""What a user sets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from scrnn_stream.joining import Joining
from scrnn_stream.limits import Limits

ALERTS_PER_DAY = 1.0  # where the user does not say
DAYS_PER_WEEK = 7.0
MAX_SENSORS = 1_000  # of a machine: 4 MB
MAX_KNOWN_MACHINES = 10_000  # of a partition: 2 GB with 8 sensors each
BUDGETS = ("alerts_per_day", "alerts_per_week")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user sets; the same for every machine.

    Parameters
    ----------
    alerts_per_day, alerts_per_week
        Budget of `anomaly` alerts for each machine while nothing is wrong with it: one of the two, or neither for one
        alert a day.
    accept_after
        Improbable records in a row after which a lasting new state becomes the new normal.
    seed
        For the starting weights of the networks.
    max_sensors
        Most sensors of a machine. A record that would give it more is refused.
    max_known_machines
        Most machines of a partition (or file). A record of one more is refused.
    limits
        What is known of single sensors.
    joining
        How readings that come one by one are put together; None: each message is a record.
    """

    alerts_per_day: float | None = None
    alerts_per_week: float | None = None
    accept_after: int = 500
    seed: int = 0
    max_sensors: int = MAX_SENSORS
    max_known_machines: int = MAX_KNOWN_MACHINES
    limits: Limits = field(default_factory=Limits)
    joining: Joining | None = None

    def __post_init__(self) -> None:
        if self.alerts_per_day is not None and self.alerts_per_week is not None:
            both = f"{self.alerts_per_day} and {self.alerts_per_week}"
            raise ValueError(f"alerts_per_day and alerts_per_week are one budget, give one of them; got {both}")
        for name in BUDGETS:
            budget = getattr(self, name)
            if budget is not None and not 0 < budget < math.inf:
                raise ValueError(f"{name} must be a number above 0, got {budget}")
        for name in ("accept_after", "max_sensors", "max_known_machines"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Of the plain ones, that are options of the command too."""
        return tuple(f.name for f in fields(cls) if f.name not in ("limits", "joining"))

    @property
    def budget_per_day(self) -> float:
        """The budget, whichever way it was given."""
        if self.alerts_per_week is not None:
            return self.alerts_per_week / DAYS_PER_WEEK
        return ALERTS_PER_DAY if self.alerts_per_day is None else float(self.alerts_per_day)
