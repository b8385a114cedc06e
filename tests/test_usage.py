"""What users write in short."""

from __future__ import annotations

import pytest

from scrnn_stream.usage import UsageError, seconds


@pytest.mark.parametrize(
    ("span", "expected"), [("90s", 90), ("1.5m", 90), ("12h", 43200), ("7d", 604800), (" 2 w ", 1209600)]
)
def test_a_span_is_a_number_and_a_unit(span: str, expected: float) -> None:
    assert seconds(span, "--warmup") == expected


@pytest.mark.parametrize("span", ["", "7", "0d", "-1d", "7 moons", "1e3s", "d"])
def test_what_is_no_span_is_told(span: str) -> None:
    with pytest.raises(UsageError, match=r"^--warmup .*such as 12h or 7d$"):
        seconds(span, "--warmup")
