"""Lines of text: what was asked and achieved, who is still learning."""

from __future__ import annotations

from scrnn_stream.episodes import Budget
from scrnn_stream.monitor import Monitor
from scrnn_stream.settings import Settings
from scrnn_stream.show import budget_line, learning_line
from tests.monitoring import made, readings, recorded


def test_asked_and_achieved_stand_in_one_line() -> None:
    assert budget_line(Budget(0.5, 3, 12.0)) == (
        "budget: 0.5 a day asked of each machine; 3 raised in 12 machine-days, 0.25 a day; 50% of it used"
    )


def test_the_machine_that_needs_longest_is_named_with_the_time_it_needs() -> None:
    young, old = (made(f"pump-{n}", recorded(readings(n)))[0] for n in (10, 100))
    line = learning_line([young, old])
    assert line.startswith("2 still learning")
    assert f"pump-10 is ready after {young.n_records_to_ready} more records, about 5 h" in line


def test_data_without_time_is_told_in_records_alone() -> None:
    assert learning_line([Monitor("m", Settings())]).endswith("more records")


def test_nothing_is_said_where_nobody_learns() -> None:
    assert learning_line([made("m", recorded(readings(400)))[0]]) == ""
    assert learning_line([]) == ""
