"""Frames of pandas, polars or pyarrow to records and back, as River reads them: through narwhals, none is needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from river.utils.dataframe import into_frame, into_series, to_native_frame, to_native_series

__all__ = ["labelled", "like", "records", "table_like"]


def records(X: Any) -> Iterator[dict[Any, Any]]:
    """Each row of a frame as a record."""
    return into_frame(X).iter_rows(named=True)


def labelled(X: Any, y: Any) -> Iterator[tuple[dict[Any, Any], Any]]:
    """Each row of a frame, and its target from a series.

    Raises
    ------
    ValueError
        If they differ in length.
    """
    rows, targets = into_frame(X), into_series(y)
    if len(rows) != len(targets):
        raise ValueError(f"y must have one value for each row of X, got {len(targets)} for {len(rows)}")
    return zip(rows.iter_rows(named=True), targets.to_list(), strict=True)


def like(X: Any, values: Sequence[Any], name: str | None) -> Any:
    """A series of one value for each row, of the library of the frame X, with its index."""
    return to_native_series(values, name=name, like=into_frame(X))


def table_like(X: Any, columns: dict[Any, Sequence[Any]]) -> Any:
    """The same of several columns: a frame."""
    return to_native_frame(columns, like=into_frame(X))
