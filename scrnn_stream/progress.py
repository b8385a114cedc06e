"""How far a long replay of the log has come: a bar in a terminal, else a line of the log now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from scrnn_stream.wording import lasting

logger = logging.getLogger(__name__)

TELL_EVERY_S = 30.0


class ReplayProgress:
    """Told again and again how far the replay is, it shows that to people; the bar ends with the ``with`` block.

    Parameters
    ----------
    console
        Where the bar goes, if that is a terminal; None: standard error.
    clock
        Monotonic seconds.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console or Console(stderr=True)
        self.clock = clock
        self._bar: Progress | None = None
        self._begun: tuple[float, int] | None = None  # when, and how much was done then
        self._told_at = 0.0
        self._was_told = False

    def __enter__(self) -> ReplayProgress:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def tell(self, n_done: int, n_total: int) -> None:
        """So many messages of so many have been replayed."""
        if n_done < n_total:
            if self._begun is None:
                self._begun, self._told_at = (self.clock(), n_done), self.clock()
            self._show(n_done, n_total)
        elif self._begun is not None:
            self._end()

    def _show(self, n_done: int, n_total: int) -> None:
        if self.console.is_terminal:
            self._bar = self._bar or _bar(self.console)
            self._bar.update(self._bar.task_ids[0], completed=n_done, total=n_total)
        elif self.clock() - self._told_at >= TELL_EVERY_S:
            self._told_at, self._was_told = self.clock(), True
            logger.info(
                "replayed %.0f%% of %d messages%s", 100 * n_done / n_total, n_total, self._left(n_done, n_total)
            )

    def _left(self, n_done: int, n_total: int) -> str:
        assert self._begun is not None
        begun_at, n_before = self._begun
        if n_done <= n_before:
            return ""
        seconds = (self.clock() - begun_at) / (n_done - n_before) * (n_total - n_done)
        return f", about {lasting(seconds)} left"

    def _end(self) -> None:
        assert self._begun is not None
        if self._was_told:
            logger.info("the replay is over after %s: alerts go out again", lasting(self.clock() - self._begun[0]))
        self._begun, self._was_told = None, False
        self.__exit__()


def _bar(console: Console) -> Progress:
    percentage = TextColumn("{task.percentage:>3.0f}%")
    bar = Progress(
        TextColumn("replaying"), BarColumn(), percentage, TimeRemainingColumn(), console=console, transient=True
    )
    bar.add_task("replaying", total=None)
    bar.start()
    return bar
