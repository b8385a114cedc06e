"""Simulated alarm logs in which what was set hundreds of events ago decides what happens now.

plant    Eight units. A message sets a unit to one of four grades; for `lag` events nothing comes of it, then for `lag`
         events more each start of a step of that unit is followed by an alarm of the unit, by which the grade decides.
         So an alarm depends on a message `lag` to 2 `lag` events back. The steps of all units come mixed, and between
         them noise, of which some messages come far more often than others and chatter, and sequences of trips. The
         first alarm after a message can be known from that message alone; the later ones from earlier alarms, too.
upset    One of four upsets, noise and sequences for three to five quarters of `lag` events, a restart, and the alarm
         that the upset leads to: the only event that depends on it. Nothing nearer tells.

Grades, noise and sequences are drawn from a seed. The probability of each event given all before it is known exactly:
the log itself tells what the plant does. What that costs on average is the entropy rate, which no model beats for long.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

N_UNITS, N_GRADES, N_NOISE, N_SEQUENCES, LENGTH = 8, 4, 12, 4, 4
P_STEP, P_SEQUENCE = 0.7, 0.1  # what comes next where nothing is under way; else noise
P_BY_CAUSE, P_REPEAT, P_GO_ON = 0.95, 0.3, 0.95


class Log(NamedTuple):
    """Events (n,) as numbers of their names, the true probability of each, and which depend on a cause long ago.

    `is_first` are those of them that nothing but the cause can tell.
    """

    names: list[str]
    events: Array
    p: Array
    is_determined: Array
    is_first: Array


class _Writer:
    """Draws events and keeps what is known of them; noise and sequences are the same in all logs."""

    def __init__(
        self, n: int, seed: int, causes: list[str], steps: list[str], alarms: list[str], p_step: float
    ) -> None:
        noise = [f"message {i}" for i in range(N_NOISE)]
        trips = [f"trip {i}.{k}" for i in range(N_SEQUENCES) for k in range(LENGTH)]
        self.names = [*causes, *steps, *alarms, *noise, *trips]
        self.step, self.alarm = len(causes), len(causes) + len(steps)
        self.noise = self.alarm + len(alarms)
        self.trip = self.noise + N_NOISE
        self.rng, self.n, self.p_step = np.random.default_rng(seed), n, p_step
        self.events: list[int] = []
        self._known: list[tuple[float, bool, bool]] = []
        common = 1 / np.arange(1, N_NOISE + 1)
        self._base = np.zeros(len(self.names))
        self._base[self.trip :: LENGTH] = P_SEQUENCE / N_SEQUENCES
        self._base[self.noise : self.trip] = (1 - p_step - P_SEQUENCE) * common / common.sum()

    @property
    def is_under_way(self) -> bool:
        """Whether a sequence is."""
        return self._last >= self.trip and (self._last - self.trip) % LENGTH < LENGTH - 1

    @property
    def _last(self) -> int:
        return self.events[-1] if self.events else self.noise

    def usual(self, steps: Array) -> Array:
        """Probabilities of what comes next, where such steps may be begun."""
        base = self._base.copy()
        base[self.step + steps] = self.p_step / max(1, len(steps))
        base /= base.sum()
        if self.is_under_way or self.noise <= self._last < self.trip:
            goes_on, p = (self._last + 1, P_GO_ON) if self.is_under_way else (self._last, P_REPEAT)
            base *= 1 - p
            base[goes_on] += p
        return base

    def one_of(self, first: int, number: int, likeliest: int | None = None) -> Array:
        """Probabilities of `number` events from `first` on: all alike, or one of them nearly sure."""
        p = np.zeros(len(self.names))
        p[first : first + number] = 1 / number if likeliest is None else (1 - P_BY_CAUSE) / (number - 1)
        if likeliest is not None:
            p[first + likeliest] = P_BY_CAUSE
        return p

    def write(self, p: Array, is_determined: bool = False, is_first: bool = False) -> int:
        event = int(self.rng.choice(len(p), p=p))
        self.events.append(event)
        self._known.append((p[event], is_determined, is_first))
        return event

    def log(self) -> Log:
        known = [np.array(column) for column in zip(*self._known[: self.n], strict=True)]
        return Log(self.names, np.array(self.events[: self.n]), *known)


def plant(n: int, lag: int, seed: int) -> Log:
    """Units whose grades were set long ago."""
    units = range(N_UNITS)
    causes, alarms = ([f"{word} {unit}.{k}" for unit in units for k in range(N_GRADES)] for word in ("set", "alarm"))
    writer = _Writer(n, seed, causes, [f"step {unit}" for unit in units], alarms, P_STEP)
    rng = writer.rng
    leads_to = np.stack([rng.permutation(N_GRADES) for _ in units])
    since, grade = -rng.integers(0, 2 * lag, N_UNITS), rng.integers(N_GRADES, size=N_UNITS)
    is_new = np.zeros(N_UNITS, bool)
    while len(writer.events) < n:
        age, unit = len(writer.events) - since, (writer.events or [0])[-1] - writer.step
        if 0 <= unit < N_UNITS:
            likeliest = int(leads_to[unit, grade[unit]])
            writer.write(writer.one_of(writer.alarm + unit * N_GRADES, N_GRADES, likeliest), True, bool(is_new[unit]))
            is_new[unit] = False
        elif age.max() >= 2 * lag and not writer.is_under_way:
            unit = int(age.argmax())
            grade[unit] = writer.write(writer.one_of(unit * N_GRADES, N_GRADES)) % N_GRADES
            since[unit], is_new[unit] = len(writer.events) - 1, True
        else:
            writer.write(writer.usual(np.flatnonzero((age >= lag) & (age < 2 * lag))))
    return writer.log()


def upset(n: int, lag: int, seed: int) -> Log:
    """Upsets that have one consequence each."""
    causes, alarms = ([f"{word} {k}" for k in range(N_GRADES)] for word in ("upset", "alarm"))
    writer, none = _Writer(n, seed, causes, ["restart"], alarms, 0.0), np.zeros(0, int)
    while len(writer.events) < n:
        cause = writer.write(writer.one_of(0, N_GRADES))
        for _ in range(int(lag * writer.rng.uniform(0.75, 1.25))):
            writer.write(writer.usual(none))
        writer.write(writer.one_of(writer.step, 1))
        writer.write(writer.one_of(writer.alarm, N_GRADES, cause), True, True)
        for _ in range(lag // 4):
            writer.write(writer.usual(none))
    return writer.log()


LOGS = {"plant": plant, "upset": upset}


class Disturbed(NamedTuple):
    """A log into which faults were brought: which events are wrong, and which only follow one that is (n,)."""

    log: Log
    is_wrong_alarm: Array
    is_out_of_order: Array
    is_after: Array


def disturbed(log: Log, seed: int, share: float = 0.02) -> Disturbed:
    """Of the alarms that had the cause's likeliest outcome, and of events within sequences, `share` are replaced.

    A wrong alarm is another one of the same unit; an event out of order is one of another sequence, from as far in it.
    """
    rng, events = np.random.default_rng(seed), log.events.copy()
    alarm, trip = log.names.index("alarm 0.0"), log.names.index("trip 0.0")
    at = events - trip
    inside = (at >= 0) & (at % LENGTH > 0) & (log.p > P_GO_ON / 2)
    wrong = log.is_determined & (log.p > 0.5) & (rng.random(len(events)) < share)
    moved = inside & (rng.random(len(events)) < share)
    other = rng.integers(1, N_GRADES, len(events))
    grade = (events - alarm) % N_GRADES
    events[wrong] += ((grade + other) % N_GRADES - grade)[wrong]
    events[moved] = (trip + (at + LENGTH * other) % (N_SEQUENCES * LENGTH))[moved]
    after = np.zeros(len(events), bool)
    after[1:] = moved[:-1] & ~moved[1:]
    return Disturbed(log._replace(events=events), wrong, moved, after)
