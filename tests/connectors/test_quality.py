"""Flags of OPC UA, of IEC 61850 and of one's own make."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.quality import Flags

UNCERTAIN, BAD = 0x40900000, 0x80310000  # UncertainLastUsableValue, BadNoCommunication


@pytest.mark.parametrize(
    ("flag", "counts"),
    [
        (None, True), ("Good", True), ("GoodClamped", True), ("good_local_override", True), (" OK ", True),
        ("valid", True), ("UncertainLastUsableValue", True), ("questionable", True), ("Bad", False),
        ("BadNoCommunication", False), ("invalid", False), ("ERROR", False), (True, True), (False, False), (0, True),
        (UNCERTAIN, True), (BAD, False), (0xC0000000, False), (0.0, True),
    ],
)  # fmt: skip
def test_usually_good_and_uncertain_readings_count(flag: object, counts: bool) -> None:
    assert Flags().count(flag) == counts


def test_a_user_may_take_good_ones_alone() -> None:
    flags = Flags.of(["good"])
    told = [flags.count(flag) for flag in ("Good", 0, True, "Uncertain", UNCERTAIN, False)]
    assert told == [True, True, True, False, False, False]


def test_numbers_that_the_user_names_are_compared_and_are_no_status_codes() -> None:
    flags = Flags.of([192, 216])  # good and good with local override, in OPC DA
    assert [flags.count(flag) for flag in (192, 216.0, 0, 64)] == [True, True, False, False]


def test_words_that_the_user_names_count_and_others_do_not() -> None:
    flags = Flags.of(["good", "In Betrieb"])
    assert [flags.count(flag) for flag in ("in betrieb", "Good", "gestört")] == [True, True, False]


@pytest.mark.parametrize("flag", ["purple", "", -1, 1.5, 1 << 32, float("nan"), float("inf"), [], {}])
def test_a_flag_that_nobody_knows_is_told(flag: object) -> None:
    with pytest.raises(ValueError):
        Flags().count(flag)


@given(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8), st.sampled_from([None, ["good", 3]])
)
def test_a_flag_counts_or_does_not_or_is_a_value_error(flag: object, usable: object) -> None:
    with contextlib.suppress(ValueError):
        assert Flags.of(usable).count(flag) in (True, False)
