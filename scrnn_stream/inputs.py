"""Inputs: what a network sees of a record. Numbers are scaled, categories are columns, dates are clocks."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scrnn_stream.features import LARGEST_READING, as_reading, learn_scale, scaled
from scrnn_stream.places import N_SCALED, SCALE_MEAN, SCALE_VARIANCE

Array = NDArray[np.float64]

N_VALUES = 32  # columns that the values of one category get; all later values share one more
NUMBER, CATEGORY, OTHER, CLOCK = "number", "category", "other", "clock"
DAY_S = 86400.0
PLAIN = (float, int)  # types that need no look: the fast path


class Column(NamedTuple):
    """One number that the network sees: of which feature, of what kind, and which of its values or hands."""

    name: Hashable
    kind: str
    value: str = ""


class Inputs:
    """From a River record to the vector that a network sees; features may come and go.

    A number, a bool included, is a column, scaled by a running mean and deviation and limited to 8 deviations. Text,
    or anything else that can be a key of a dict, is a category: one column of 0 and 1 for each value, by its text; from
    the 33rd value of a feature on they share one. A datetime is a clock: sine and cosine of the day, the week and the
    year, as its own zone shows them; a date has no day, a time of day nothing else. A duration counts as its seconds.
    None, NaN, NaT, an infinity, a list, or a feature that is absent is missing.

    Parameters
    ----------
    n_values
        Columns that the values of one category get; all later values share one more.

    Examples
    --------
    >>> inputs = Inputs()
    >>> for flow, mode in [(10.0, "run"), (12.0, "run"), (14.0, "idle")]:
    ...     inputs.learn({"flow": flow, "mode": mode})
    >>> [f"{column.name} {column.value}".strip() for column in inputs.columns]
    ['flow', 'mode run', 'mode idle']
    >>> inputs.read({"flow": 16.0, "mode": "idle"}).round(1).tolist()
    [2.2, 0.0, 1.0]
    >>> inputs.read({"mode": "never seen"}).tolist()
    [nan, 0.0, 0.0]
    """

    def __init__(self, n_values: int = N_VALUES) -> None:
        self.n_values = n_values
        self.columns: list[Column] = []
        self._place: dict[Column, int] = {}
        self._numbers: dict[Hashable, int] = {}
        self._n_values_of: dict[Hashable, int] = {}
        self._blank: list[float] = []
        self._table = np.zeros((3, 0))

    def __len__(self) -> int:
        return len(self.columns)

    # -- reading ------------------------------------------------------------------------------------------------------

    def read(self, x: Mapping[Any, Any]) -> Array:
        """The vector (D,) of a record, scaled; NaN for a missing number, 0 for what is unknown. Changes nothing."""
        return self.scaled(self.raw(x))

    def raw(self, x: Mapping[Any, Any]) -> Array:
        """The same in the record's own units. Changes nothing."""
        return np.array(self._laid_out(x)[0])

    def scaled(self, raw: Array) -> Array:
        """Numbers of `raw` (D,) in deviations from their means; 0 while a number has no scale yet."""
        z = np.empty(raw.size)
        scaled(z, self._table, raw)
        return z

    @property
    def table(self) -> Array:
        """The scales (3, D) that `features.scaled` sees through."""
        return self._table

    def place(self, name: Hashable) -> int:
        """The column of a number; -1 if there is none of that name."""
        return self._numbers.get(name, -1)

    def _laid_out(self, x: Mapping[Any, Any]) -> tuple[list[float], bool]:
        """The raw vector as a list, and whether there is a column for all that x says."""
        row, is_known = list(self._blank), True
        for name, value in x.items():
            if type(value) in PLAIN:
                if not -LARGEST_READING <= value <= LARGEST_READING:
                    continue
                place = self._numbers.get(name)
                if place is None:
                    is_known = False
                else:
                    row[place] = value
                continue
            for column, number in _cells(name, value):
                place = self._place_of(column)
                if place is None:
                    is_known = False
                else:
                    row[place] = number
        return row, is_known

    def _place_of(self, column: Column) -> int | None:
        place = self._place.get(column)
        if place is None and column.kind == CATEGORY:
            place = self._place.get(Column(column.name, OTHER))
        return place

    # -- learning -----------------------------------------------------------------------------------------------------

    def learn(self, x: Mapping[Any, Any]) -> None:
        """Give columns to what is new in a record, and move the scales."""
        self.follow(self.admit(x))

    def admit(self, x: Mapping[Any, Any]) -> Array:
        """Give columns to what is new in a record; returns it raw."""
        row, is_known = self._laid_out(x)
        if not is_known:
            for name in sorted(x, key=str):  # a record says the same in any order
                for column, _ in _cells(name, x[name]):
                    self._add(column)
            row, _ = self._laid_out(x)
        return np.array(row)

    def follow(self, raw: Array) -> None:
        """Move the scales of numbers by a raw record; those of categories and clocks stay."""
        learn_scale(self._table, np.where(np.isnan(self._blank), raw, math.nan))

    def _add(self, column: Column) -> None:
        if self._place_of(column) is not None:
            return
        if column.kind == CATEGORY:
            n = self._n_values_of.get(column.name, 0)
            self._n_values_of[column.name] = n + 1
            if n >= self.n_values:
                column = Column(column.name, OTHER)
        self._put(column)
        is_number = column.kind == NUMBER
        scale = np.zeros((3, 1))
        if not is_number:
            scale[SCALE_VARIANCE], scale[N_SCALED] = 1.0, 2.0  # as it is
        self._table = np.hstack([self._table, scale])

    def _put(self, column: Column) -> None:
        place = len(self.columns)
        self.columns.append(column)
        self._place[column] = place
        self._blank.append(math.nan if column.kind == NUMBER else 0.0)
        if column.kind == NUMBER:
            self._numbers[column.name] = place

    # -- keeping ------------------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """All there is, as plain data, if the names of features are."""
        columns = [list(column) for column in self.columns]
        return {"n_values": self.n_values, "columns": columns, "table": self._table.copy()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become the inputs whose `to_state` this is. ValueError where its parts do not fit."""
        new = Inputs(int(state["n_values"]))
        for name, kind, value in state["columns"]:
            column = Column(as_key(name), kind, value)
            if kind not in (NUMBER, CATEGORY, OTHER, CLOCK) or column in new._place:
                raise ValueError(f"columns must be different and of a known kind, got {column}")
            new._put(column)
            if kind in (CATEGORY, OTHER):
                new._n_values_of[column.name] = new._n_values_of.get(column.name, 0) + 1
        new._table = checked_scale(state["table"], len(new))
        vars(self).update(vars(new))


class Scale:
    """The running scale of n numbers that are always there, such as a target."""

    def __init__(self, n: int = 1) -> None:
        self.table = np.zeros((3, n))

    def scaled(self, values: Array) -> Array:
        """(values - mean) / deviation, (n,); NaN stays NaN, and 0 stands for numbers as long as there is no scale."""
        z = np.empty(values.size)
        scaled(z, self.table, values)
        return z

    def unscaled(self, z: float, j: int = 0) -> float:
        """z deviation + mean of number j; its deviation is 1 as long as it has not moved."""
        return float(self.table[SCALE_MEAN, j] + z * (math.sqrt(self.table[SCALE_VARIANCE, j]) or 1.0))

    def follow(self, values: Array) -> None:
        """Move by values (n,); NaN moves nothing."""
        learn_scale(self.table, values)


def checked_scale(table: Any, n: int) -> Array:
    """A kept scale of n numbers, (3, n). ValueError if it is none."""
    array = np.array(table, np.float64, order="C")
    if array.shape != (3, n) or not np.isfinite(array).all() or (array[SCALE_VARIANCE] < 0).any():
        raise ValueError(f"table must be finite and of shape (3, {n}), got {array.shape}")
    return array


def as_key(name: Any) -> Hashable:
    """A name as it was before it was written: tuples come back as lists."""
    return tuple(as_key(part) for part in name) if isinstance(name, list) else name


def is_missing(value: Any) -> bool:
    """None, NaN, NaT, NA."""
    if value is None:
        return True
    try:
        return bool(value != value)  # what is not itself
    except (TypeError, ValueError):
        return True


def _cells(name: Hashable, value: Any) -> Iterator[tuple[Column, float]]:
    """The columns that a feature has something to say to, and what it says; none if it is missing."""
    if isinstance(value, (np.datetime64, np.timedelta64)):
        value = value.astype(f"{'M' if isinstance(value, np.datetime64) else 'm'}8[us]").item()
    if isinstance(value, (dt.date, dt.time)):
        return _hands(name, value)
    if isinstance(value, (str, bytes)):
        return iter([(Column(name, CATEGORY, str(value)), 1.0)])
    if value is None or not isinstance(value, Hashable):
        return iter(())
    try:
        number = value.total_seconds() if isinstance(value, dt.timedelta) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return iter(() if is_missing(value) else [(Column(name, CATEGORY, str(value)), 1.0)])
    except OverflowError:
        return iter(())
    return iter(() if math.isnan(as_reading(number)) else [(Column(name, NUMBER), number)])


def _hands(name: Hashable, value: dt.date | dt.time) -> Iterator[tuple[Column, float]]:
    """Sine and cosine of where a time stands in the day, the week and the year."""
    if is_missing(value):
        return
    turns, day = {}, 0.0
    if isinstance(value, (dt.datetime, dt.time)):
        seconds = value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
        day = turns["day"] = seconds / DAY_S
    if isinstance(value, dt.date):
        first = dt.date(value.year, 1, 1).toordinal()
        turns["week"] = (value.weekday() + day) / 7
        turns["year"] = (value.toordinal() - first + day) / 365.25
    for period, turn in turns.items():
        yield Column(name, CLOCK, f"{period} sine"), math.sin(2 * math.pi * turn)
        yield Column(name, CLOCK, f"{period} cosine"), math.cos(2 * math.pi * turn)
