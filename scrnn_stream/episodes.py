"""From tail probabilities to episodes: on and off delay, hysteresis, and a budget of alerts.

The words are those of alarm management, ANSI/ISA-18.2. An episode opens after ON_DELAY improbable records in a row and
closes after OFF_DELAY probable ones. What counts as improbable follows from the budget: with N records a day, asking
for b alerts a day means p < 3 b / N, since the on-delay suppresses about two improbable stretches of three. Whoever
would spend more than the budget allows so far must show more: two decades for each alert too many. Severe evidence,
p < 1e-9, is never held back.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

ON_DELAY = 4  # records
OFF_DELAY = 10  # records
OFF_P = 1e-3  # hysteresis: an episode stays open while p is below this
SEVERE_P = 1e-9
DECADES_PER_EXCESS = 2.0  # by which the threshold falls for each alert beyond the budget
SUPPRESSED = 3.0  # of so many improbable stretches the on-delay lets about one through
LARGEST_P = 1e-2  # the threshold stays below it, however large the budget
RECORDS_PER_DAY = 1440.0  # assumed of data without time: one record a minute
DAY_S = 86400.0


@dataclass
class AlertPolicy:
    """Decides for one machine when its `anomaly` episode opens and closes.

    Parameters
    ----------
    alerts_per_day
        The budget: how many anomaly episodes a day this machine may raise while nothing is wrong with it.
    """

    alerts_per_day: float = 1.0
    n_raised: int = 0
    is_open: bool = False
    n_records: int = 0
    first_time: float | None = None
    last_time: float | None = None
    n_improbable: int = 0  # in a row, while closed
    n_probable: int = 0  # in a row, while open

    def update(self, p: float, time: float | None) -> None:
        """Take the tail probability of the next record; `is_open` then tells whether an episode is open."""
        self.n_records += 1
        if time is not None:
            self.first_time = time if self.first_time is None else self.first_time
            self.last_time = time
        if self.is_open:
            self.n_probable = self.n_probable + 1 if p > OFF_P else 0
            if self.n_probable >= OFF_DELAY:
                self.is_open, self.n_improbable = False, 0
        else:
            self.n_improbable = self.n_improbable + 1 if p < self.threshold else 0
            if self.n_improbable >= ON_DELAY:
                self.is_open, self.n_probable = True, 0
                self.n_raised += 1

    @property
    def days(self) -> float:
        """Days watched."""
        if self.first_time is None or self.last_time is None:
            return self.n_records / RECORDS_PER_DAY
        return (self.last_time - self.first_time) / DAY_S

    @property
    def records_per_day(self) -> float:
        return self.n_records / self.days if self.days > 0 else RECORDS_PER_DAY

    @property
    def allowance(self) -> float:
        """Alerts that the budget has allowed so far."""
        return self.alerts_per_day * self.days

    @property
    def budget_used(self) -> float:
        """Alerts raised as a share of those allowed; of one alert in the time before the first is allowed."""
        return self.n_raised / max(1.0, self.allowance)

    @property
    def threshold(self) -> float:
        """The tail probability below which a record counts as improbable now."""
        excess = max(0.0, self.n_raised + 1 - self.allowance)
        p = min(LARGEST_P, SUPPRESSED * self.alerts_per_day / self.records_per_day) * 10 ** (
            -DECADES_PER_EXCESS * excess
        )
        return max(p, SEVERE_P)

    def to_state(self) -> dict[str, Any]:
        return asdict(self)
