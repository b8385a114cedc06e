"""Messages as Hypothesis makes them: nearly right, so that they get far."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

KNOWN = ("flow", "current", "machine", "timestamp", "sensor", "value", "quality", "a.b", "", "<script>", "__class__")
NAMES = st.one_of(st.sampled_from(KNOWN), st.text(max_size=12))
NUMBERS = st.one_of(
    st.floats(), st.integers(), st.floats(-100, 100), st.sampled_from([0, -0.0, 1e308, -1e308, 5e-324, 10**400])
)
ODD_TIMES = ("2023-11-14T22:13:20Z", "now", "", None, 1e18, -1, "9" * 30)
TIMES = st.one_of(st.integers(1_700_000_000, 1_700_003_600), st.sampled_from(ODD_TIMES), NUMBERS)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(NUMBERS, st.none(), st.booleans(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=5,
)
MACHINES = st.one_of(st.sampled_from(["p", "q"]), st.text(max_size=5), VALUES)
MESSAGES = st.one_of(
    st.builds(
        lambda machine, time, values: {"machine": machine, "timestamp": time, **values},
        MACHINES,
        TIMES,
        st.dictionaries(NAMES, VALUES, max_size=4),
    ),
    st.builds(
        lambda machine, time, sensor, value: {"machine": machine, "ts": time, "sensor": sensor, "value": value},
        MACHINES,
        TIMES,
        NAMES,
        VALUES,
    ),
    VALUES,
)


def _line(message: Any) -> bytes:
    return json.dumps(message).encode("utf-8", "surrogatepass").replace(b"\n", b" ")


lines_of_messages = st.lists(st.one_of(MESSAGES.map(_line), st.binary(max_size=20)), min_size=1, max_size=12).map(
    b"\n".join
)
