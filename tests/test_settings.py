"""What a user may set, and what is refused."""

from __future__ import annotations

import math

import pytest

from scrnn_stream.limits import Limits, SensorLimits
from scrnn_stream.settings import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, v) for name in ("alerts_per_day", "alerts_per_week") for v in (0, -1, math.nan, math.inf)]
    + [("accept_after", 0), ("seed", -1), ("max_sensors", 0), ("max_known_machines", 0)],
)
def test_a_bad_setting_is_refused_with_its_name_and_value(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        Settings(**{name: value})


def test_two_budgets_are_refused_with_a_line_that_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"alerts_per_day and alerts_per_week.*give one of them; got 1\.0 and 3\.0"):
        Settings(alerts_per_day=1.0, alerts_per_week=3.0)


def test_a_budget_by_the_week_is_one_by_the_day_and_none_is_one_alert_a_day() -> None:
    assert Settings(alerts_per_week=3.5).budget_per_day == 0.5
    assert Settings(alerts_per_day=0.5).budget_per_day == 0.5
    assert Settings().budget_per_day == 1.0


def test_the_plain_settings_are_these() -> None:
    assert Settings.names() == (
        *("alerts_per_day", "alerts_per_week", "accept_after", "seed", "max_sensors", "max_known_machines"),
    )


def test_limits_are_those_of_the_machine_or_else_of_every_machine() -> None:
    low, high = SensorLimits(direction="low"), SensorLimits(direction="high")
    settings = Settings(limits=Limits({"flow": low, "load": low}, {"pump-4": {"flow": high}}))
    assert settings.limits.of("pump-4") == {"flow": high, "load": low}
    assert settings.limits.of("pump-5") == {"flow": low, "load": low}
