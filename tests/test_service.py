"""What the service says of itself while it runs."""

from __future__ import annotations

import logging

import pytest

from scrnn_stream.pipeline import Pipeline
from scrnn_stream.service import STATUS_EVERY_S, Status
from tests.monitoring import readings, recorded


def test_the_log_says_now_and_then_how_it_goes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="scrnn_stream.service")
    pipeline, now = Pipeline(), [0.0]
    status = Status(pipeline, lambda: now[0])
    pipeline.process(recorded(readings(50)))
    for now[0] in (1.0, STATUS_EVERY_S - 1, STATUS_EVERY_S, STATUS_EVERY_S + 1):
        status.tell()
    budget, learning = caplog.messages
    assert budget.startswith("1 machines; budget: 1 a day asked of each machine; 0 raised")
    assert learning.startswith("1 still learning")
