"""When an episode opens and closes, and what the budget allows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrnn_stream.encoding import decode, encode
from scrnn_stream.episodes import (
    BEYOND,
    DAY_S,
    DECADES_PER_LACK,
    LARGEST_P,
    LEAST_P,
    MOST_OWED,
    N_HABIT,
    N_REMEMBERED,
    OFF_DELAY,
    OFF_P,
    ON_DELAY,
    SEVERE_P,
    AlertPolicy,
    Budget,
)

SEVERE = SEVERE_P / 10
BETWEEN = OFF_P / 2  # improbable enough to stay open


def fed(policy: AlertPolicy, *ps: float) -> list[bool]:
    """Whether an episode is open after each p, a minute apart."""
    is_open = []
    for p in ps:
        policy.update(p, 60.0 * policy.n_records)
        is_open.append(policy.is_open)
    return is_open


def aged(days: float, alerts_per_day: float = 1.0) -> AlertPolicy:
    policy = AlertPolicy(alerts_per_day)
    fed(policy, *[1.0] * int(days * 1440))
    return policy


def raises(policy: AlertPolicy, p: float) -> bool:
    """Whether a stretch of such evidence opens an episode; it is over afterwards."""
    n = policy.n_raised
    fed(policy, *[p] * ON_DELAY, *[1.0] * OFF_DELAY)
    return policy.n_raised > n


def opened() -> AlertPolicy:
    policy = AlertPolicy()
    fed(policy, *[SEVERE] * ON_DELAY)
    assert policy.is_open
    return policy


def test_an_episode_opens_with_the_last_record_of_the_on_delay() -> None:
    assert fed(AlertPolicy(), *[SEVERE] * ON_DELAY) == [False] * (ON_DELAY - 1) + [True]


def test_one_probable_record_starts_the_on_delay_anew() -> None:
    assert not any(fed(AlertPolicy(), *([SEVERE] * (ON_DELAY - 1) + [1.0]) * 50))


def test_an_episode_closes_with_the_last_record_of_the_off_delay() -> None:
    assert fed(opened(), *[1.0] * OFF_DELAY) == [True] * (OFF_DELAY - 1) + [False]


def test_one_improbable_record_starts_the_off_delay_anew() -> None:
    assert all(fed(opened(), *([1.0] * (OFF_DELAY - 1) + [SEVERE]) * 50))


def test_after_an_episode_the_on_delay_counts_from_nothing() -> None:
    policy = opened()
    fed(policy, *[1.0] * OFF_DELAY)
    assert fed(policy, *[SEVERE] * ON_DELAY) == [False] * (ON_DELAY - 1) + [True]


def test_what_keeps_an_episode_open_would_not_open_one() -> None:
    policy = opened()
    assert policy.threshold < BETWEEN
    assert all(fed(policy, *[BETWEEN] * 100))
    fed(policy, *[1.0] * OFF_DELAY)
    assert not any(fed(policy, *[BETWEEN] * 100))


def test_an_alert_is_counted_once_however_long_it_lasts() -> None:
    policy = opened()
    fed(policy, *[SEVERE] * 500)
    assert policy.n_raised == 1


@pytest.mark.parametrize("alerts_per_day", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("run", [1, ON_DELAY, 3 * ON_DELAY])
def test_uniform_probabilities_raise_no_more_alerts_than_the_budget(alerts_per_day: float, run: int) -> None:
    """Calm records come in runs of one p, as averages do. A run that is long enough is one alert."""
    rng = np.random.default_rng(run)
    policy, days = AlertPolicy(alerts_per_day), 60
    for p in np.repeat(rng.random(days * 1440 // run), run).tolist():
        policy.update(p, 60.0 * policy.n_records)
    assert policy.days == pytest.approx(days, rel=1e-3)
    assert policy.n_raised <= 1.2 * alerts_per_day * days + 3
    assert policy.budget.used == policy.n_raised / max(1, policy.budget.allowance)


@given(st.lists(st.floats(0, 1), min_size=20, max_size=400), st.floats(0.01, 100))
def test_the_budget_never_lets_the_threshold_below_severe_evidence(ps: list[float], alerts_per_day: float) -> None:
    policy = AlertPolicy(alerts_per_day)
    for p in ps:
        policy.update(p, 60.0 * policy.n_records)
        assert policy.threshold >= policy.severe_p
        assert LEAST_P <= policy.severe_p <= SEVERE_P
        assert policy.budget.used >= 0


def test_severe_evidence_passes_however_much_was_spent_until_it_is_a_habit() -> None:
    policy = AlertPolicy(alerts_per_day=0.01)
    for n in range(1, N_HABIT + 1):
        assert policy.severe_p == SEVERE_P
        assert raises(policy, SEVERE)
        assert policy.n_raised == n
    assert policy.severe_p == pytest.approx(SEVERE**BEYOND)
    assert not raises(policy, SEVERE)


def test_evidence_that_goes_beyond_what_a_machine_ever_showed_passes_however_much_was_spent() -> None:
    policy, p = AlertPolicy(alerts_per_day=0.01), SEVERE
    for _ in range(10):
        assert raises(policy, p)
        p **= 1.1 * BEYOND
    assert policy.balance < -0.9 * MOST_OWED


def test_one_grave_fault_does_not_set_what_the_next_must_exceed() -> None:
    policy = AlertPolicy(alerts_per_day=0.01)
    assert raises(policy, 1e-100)
    assert raises(policy, SEVERE)
    assert policy.severe_p == pytest.approx(SEVERE**BEYOND)


def test_a_machine_that_shows_severe_evidence_again_and_again_holds_its_budget() -> None:
    rng = np.random.default_rng(3)
    policy, days = AlertPolicy(alerts_per_day=0.1), 200
    n_severe = 0
    for _ in range(4 * days):  # an hour of calm, or once in two days such a burst; its decades are exponential
        n_severe += (is_burst := rng.random() < 1 / 8)
        p = 10 ** -(9 + rng.exponential(5.0)) if is_burst else 1.0
        fed(policy, *[p] * ON_DELAY, *[1.0] * (360 - ON_DELAY))
    assert n_severe > 4 * 0.1 * days
    assert 0.7 <= policy.n_raised / (0.1 * days) <= 1.4


def test_a_habit_of_severe_evidence_is_none_once_the_budget_has_allowed_it() -> None:
    policy = AlertPolicy(alerts_per_day=1.0)
    assert raises(policy, SEVERE)
    assert raises(policy, SEVERE)
    assert policy.severe_p < SEVERE_P
    fed(policy, *[1.0] * 4 * 1440)
    assert policy.severe_p == SEVERE_P


def test_only_the_last_severe_alerts_are_remembered() -> None:
    policy = AlertPolicy(alerts_per_day=1.0)
    for n in range(2 * N_REMEMBERED):
        assert raises(policy, 10.0 ** -(10 + n))
        fed(policy, *[1.0] * 1440)
    assert policy.severe_ps == [10.0 ** -(10 + n) for n in range(N_REMEMBERED, 2 * N_REMEMBERED)]
    assert len(policy.severe_days) == N_REMEMBERED


def test_the_threshold_falls_with_each_alert_beyond_the_budget_and_recovers_with_time() -> None:
    policy = aged(days=1)
    thresholds = [policy.threshold]
    for n in range(4):
        assert raises(policy, SEVERE**2.0**n)
        thresholds.append(policy.threshold)
    assert 1 / 1440 <= thresholds[0] <= 5 / 1440  # within the budget: about one improbable stretch a day
    assert all(after <= 1.01 * before for before, after in pairwise(thresholds))
    assert thresholds[2] < 0.02 * thresholds[1]  # two decades, while time goes on
    fed(policy, *[1.0] * 1440 * 4)
    assert policy.threshold == pytest.approx(thresholds[0], rel=0.3)


def test_what_the_budget_allows_and_nobody_raised_makes_the_threshold_rise_up_to_a_limit() -> None:
    thresholds = [aged(days=days).threshold for days in (1, 2, 3, 30)]
    assert thresholds[1] == pytest.approx(10**DECADES_PER_LACK * thresholds[0], rel=0.1)
    assert thresholds[0] < thresholds[1] < thresholds[2] < thresholds[3] == LARGEST_P


def test_before_any_time_has_passed_only_the_credit_may_be_spent() -> None:
    assert AlertPolicy().threshold < 0.5 * aged(days=1).threshold


@pytest.mark.parametrize("interval_s", [1.0, 60.0, 3600.0])
def test_the_budget_is_one_of_time_not_of_records(interval_s: float) -> None:
    policy = AlertPolicy(alerts_per_day=1.0)
    for n in range(5000):
        policy.update(1.0, 1e9 + interval_s * n)
    assert policy.days == pytest.approx(4999 * interval_s / DAY_S)
    assert policy.records_per_day == pytest.approx(DAY_S / interval_s, rel=0.01)
    assert policy.budget.allowance == pytest.approx(policy.days)


def test_data_without_time_counts_as_one_record_a_minute() -> None:
    policy = AlertPolicy()
    for _ in range(1440):
        policy.update(1.0, None)
    assert policy.days == pytest.approx(1.0)


def test_with_a_large_budget_an_episode_stays_open_at_what_opened_it() -> None:
    policy = aged(days=2, alerts_per_day=100.0)
    opens = LARGEST_P / 2
    assert policy.threshold > opens > OFF_P
    fed(policy, *[opens] * ON_DELAY)
    assert all(fed(policy, *[opens] * 100))


# -- what the user does not want to know ------------------------------------------------------------------------------


def test_what_may_not_open_is_not_counted_and_is_asked_again_while_it_lasts() -> None:
    policy, answers = AlertPolicy(), iter([False, False, True])
    is_open = []
    for n in range(ON_DELAY + 3):
        policy.update(SEVERE, 60.0 * n, lambda: next(answers))
        is_open.append(policy.is_open)
    assert is_open == [False] * (ON_DELAY + 1) + [True, True]
    assert policy.n_raised == 1


def test_what_may_never_open_spends_no_budget() -> None:
    policy = AlertPolicy()
    for n in range(1000):
        policy.update(SEVERE, 60.0 * n, lambda: False)
    assert (policy.is_open, policy.n_raised, policy.budget.used) == (False, 0, 0.0)


def test_a_probable_stretch_is_not_asked_about() -> None:
    policy = AlertPolicy()
    for n in range(100):
        policy.update(1.0, 60.0 * n, lambda: pytest.fail("asked"))


# -- asked and achieved -----------------------------------------------------------------------------------------------


def test_asked_and_achieved_can_be_read_at_any_time() -> None:
    policy = aged(days=2, alerts_per_day=0.5)
    fed(policy, *[SEVERE] * ON_DELAY, *[1.0] * OFF_DELAY)
    budget = policy.budget
    assert (budget.asked_per_day, budget.n_raised) == (0.5, 1)
    assert budget.achieved_per_day == pytest.approx(0.5, rel=0.01)
    assert budget.used == pytest.approx(1.0, rel=0.01)


def test_before_anything_was_watched_nothing_was_achieved() -> None:
    budget = AlertPolicy(3.0).budget
    assert budget == Budget(3.0, 0, 0.0)
    assert (budget.achieved_per_day, budget.used) == (0.0, 0.0)


def test_the_time_of_learning_is_not_watched_and_allows_nothing() -> None:
    policy = AlertPolicy()
    for n in range(1440):
        policy.skip(60.0 * n)
    assert policy.days == policy.budget.allowance == 0.0
    fed(policy, *[1.0] * 1440)
    assert policy.days == pytest.approx(1.0, rel=1e-3)
    assert policy.records_per_day == pytest.approx(1440, rel=1e-3)


def test_an_episode_ends_where_learning_begins() -> None:
    policy = opened()
    policy.skip(1e6)
    assert not policy.is_open
    assert policy.is_calm


def test_many_machines_add_up() -> None:
    total = Budget.total(0.5, [Budget(0.5, 3, 2.0), Budget(0.5, 0, 6.0)])
    assert total == Budget(0.5, 3, 8.0)
    assert (total.achieved_per_day, total.used) == (3 / 8, 3 / 4)
    assert Budget.total(0.5, []) == Budget(0.5, 0, 0)


def test_a_restored_policy_goes_on_identically() -> None:
    rng = np.random.default_rng(5)
    original = AlertPolicy(alerts_per_day=20.0)
    fed(original, *np.repeat(rng.random(300), 5).tolist(), *[SEVERE] * (ON_DELAY + 2))
    restored = AlertPolicy(**decode(encode(original.to_state())))
    assert restored == original
    ps = np.repeat(rng.random(400), 5).tolist()
    assert fed(restored, *ps) == fed(original, *ps)
    assert restored == original
