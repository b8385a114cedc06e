"""From tail probabilities to episodes: on and off delay, hysteresis, and a budget of alerts.

The words are those of alarm management, ANSI/ISA-18.2. An episode opens after ON_DELAY improbable records in a row and
closes after OFF_DELAY probable ones. What counts as improbable follows from the budget: with N records a day, asking
for b alerts a day means p < 3 b / N, since the on-delay suppresses about two improbable stretches of three. Whoever
would spend more than the budget allows so far must show more: two decades for each alert too many; half a decade less
will do for each alert that was allowed and not raised. Severe evidence, p < 1e-9, is never held back; of a machine that
has shown it more often than the budget allows, only what goes clearly beyond that is severe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, NamedTuple

import msgspec

ON_DELAY = 4  # records
OFF_DELAY = 10  # records
OFF_P = 1e-3  # hysteresis: an episode stays open while p is below this
SEVERE_P = 1e-9
BEYOND = 1.5  # times the decades of what a machine has shown too often: clearly beyond it
N_HABIT = 2  # severe alerts that are no chance any more: after a single one nothing is held back
N_REMEMBERED = 20  # severe alerts
LEAST_P = 1e-300  # there is no smaller one
DECADES_PER_EXCESS = 2.0  # by which the threshold falls for each alert beyond the budget, where 1e-9 is severe
DECADES_PER_LACK = 0.5  # by which it rises for each one that was not raised
MOST_OWED, MOST_SAVED = 3.0, 4.0  # alerts that are remembered as too many, or as not raised: no longer past binds
SUPPRESSED = 3.0  # of so many improbable stretches the on-delay lets about one through
LARGEST_P = 0.05  # the threshold stays below it, however large the budget
RECORDS_PER_DAY = 1440.0  # assumed of data without time: one record a minute
DAY_S = 86400.0


class Budget(NamedTuple):
    """Alerts asked for and alerts raised, of one machine or of many.

    `asked_per_day` is for each machine; `days` are those that were watched, summed over machines: the time in which a
    machine was still learning is not among them.
    """

    asked_per_day: float
    n_raised: int
    days: float

    @property
    def achieved_per_day(self) -> float:
        """Alerts raised in a day of one machine; 0 before anything was watched."""
        return self.n_raised / self.days if self.days > 0 else 0.0

    @property
    def allowance(self) -> float:
        """Alerts that the budget has allowed so far."""
        return self.asked_per_day * self.days

    @property
    def used(self) -> float:
        """Alerts raised as a share of those allowed; of one alert in the time before the first is allowed."""
        return self.n_raised / max(1.0, self.allowance)

    @classmethod
    def total(cls, asked_per_day: float, budgets: Iterable[Budget]) -> Budget:
        """Of many machines together."""
        pairs = [(budget.n_raised, budget.days) for budget in budgets]
        return cls(asked_per_day, sum(n for n, _ in pairs), sum(days for _, days in pairs))


def always() -> bool:
    """Every improbable stretch may open an episode."""
    return True


@dataclass
class AlertPolicy:
    """Decides for one machine when its `anomaly` episode opens and closes.

    Parameters
    ----------
    alerts_per_day
        The budget: how many anomaly episodes a day this machine is to raise while nothing is wrong with it.
    """

    alerts_per_day: float = 1.0
    n_raised: int = 0
    is_open: bool = False
    n_records: Annotated[int, msgspec.Meta(ge=0)] = 0
    n_judged: int = 0  # the others came while the detector was learning
    first_time: float | None = None
    last_time: float | None = None
    n_improbable: int = 0  # in a row
    n_probable: int = OFF_DELAY  # in a row
    balance: Annotated[float, msgspec.Meta(ge=-MOST_OWED, le=MOST_SAVED)] = (
        0.0  # alerts allowed and not raised, as far as they are remembered
    )
    closing_p: float = OFF_P  # p above it is probable; what is open keeps the one it was opened with
    least_p: float = 1.0  # of what is open
    severe_ps: list[float] = field(default_factory=list)  # the least p of the last severe alerts
    severe_days: list[float] = field(default_factory=list)  # and the days watched when they were over

    def skip(self, time: float | None) -> None:
        """Take a record that cannot be judged, because the detector is learning. What was open is over."""
        self._count(time)
        self.close()

    def update(self, p: float, time: float | None, may_open: Callable[[], bool] = always) -> None:
        """Take the tail probability of the next record; `is_open` then tells whether an episode is open.

        `may_open` is asked at each record that would open one: what it refuses is not counted, and asked again as long
        as the stretch goes on.
        """
        self._count(time)
        self.n_judged += 1
        threshold = self.threshold
        if not self.is_open:
            self.closing_p = max(OFF_P, threshold)
        self.n_improbable = self.n_improbable + 1 if p < threshold else 0
        self.n_probable = self.n_probable + 1 if p > self.closing_p else 0
        if self.is_calm:
            self._end()
        elif not self.is_open and self.n_improbable >= ON_DELAY and may_open():
            self.is_open = True
            self.n_raised += 1
            self.balance = max(-MOST_OWED, self.balance - 1)
        if self.is_open:
            self.least_p = min(self.least_p, p)
        self.balance = min(MOST_SAVED, self.balance + self.alerts_per_day / self.records_per_day)

    def close(self) -> None:
        """End what is open or about to open: what was improbable is the new normal."""
        self._end()
        self.n_improbable, self.n_probable = 0, OFF_DELAY

    @property
    def may_open_next(self) -> bool:
        """Whether the next record can open an episode."""
        return not self.is_open and self.n_improbable >= ON_DELAY - 1

    @property
    def is_calm(self) -> bool:
        """True if the last records were all probable; from the first one that is not, something may be wrong."""
        return self.n_probable >= OFF_DELAY

    @property
    def days(self) -> float:
        """Days watched: those of the records that were judged."""
        return self.n_judged / self.records_per_day

    @property
    def records_per_day(self) -> float:
        if self.first_time is None or self.last_time is None or self.last_time <= self.first_time:
            return RECORDS_PER_DAY
        return self.n_records / (self.last_time - self.first_time) * DAY_S

    @property
    def budget(self) -> Budget:
        """Asked and achieved so far."""
        return Budget(self.alerts_per_day, self.n_raised, self.days)

    @property
    def threshold(self) -> float:
        """The tail probability below which a record counts as improbable now."""
        asked = SUPPRESSED * self.alerts_per_day / self.records_per_day
        return max(self.severe_p, min(LARGEST_P, asked * 10**-self.brake))

    @property
    def brake(self) -> float:
        """Decades that the threshold falls by, if another alert is more than the budget allows; below 0 it rises."""
        excess = 1 - self.balance
        if excess <= 0:
            return DECADES_PER_LACK * excess
        return DECADES_PER_EXCESS * excess * math.log(self.severe_p) / math.log(SEVERE_P)

    @property
    def severe_p(self) -> float:
        """Evidence below it is never held back: what the machine has not shown more often than the budget allows.

        Of n allowed since the oldest severe alert that is remembered, the n-th worst is what it may show; further
        evidence must go clearly beyond.
        """
        if len(self.severe_ps) < N_HABIT:
            return SEVERE_P
        since = self.severe_days[0] if len(self.severe_days) == N_REMEMBERED else 0.0
        n_allowed = max(N_HABIT, int(self.alerts_per_day * (self.days - since)))
        if len(self.severe_ps) < n_allowed:
            return SEVERE_P
        return max(LEAST_P, math.pow(sorted(self.severe_ps)[n_allowed - 1], BEYOND))

    def _end(self) -> None:
        if self.is_open and self.least_p < SEVERE_P:
            self.severe_ps = [*self.severe_ps, self.least_p][-N_REMEMBERED:]
            self.severe_days = [*self.severe_days, self.days][-N_REMEMBERED:]
        self.is_open, self.least_p = False, 1.0

    def _count(self, time: float | None) -> None:
        self.n_records += 1
        if time is not None:
            self.first_time = time if self.first_time is None else self.first_time
            self.last_time = time

    def to_state(self) -> dict[str, Any]:
        return asdict(self)
