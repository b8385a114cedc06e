"""Where each sensor of a machine is, and where the others say it should be: what an alert's picture is drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import places as at
from scrnn_stream._compile import jit
from scrnn_stream.channels import SENSOR
from scrnn_stream.evidence import contributions
from scrnn_stream.judging import judge, learn_judged, rooms_of

Array = NDArray[Any]

LINES = ("reading", "average", "expected", "low", "high")  # of a course (5, D); the average is that over a few records
READING, AVERAGE, EXPECTED, LOW, HIGH = range(len(LINES))


@jit
def draw(
    out: Array, assessment: Array, i: int, numbers: Array, counts: Array, calm: Array, work: Array, work32: Array
) -> None:
    """The course (5, D) of machine i at a record that was assessed and not learned yet; NaN for what is not known."""
    D = out.shape[1]
    machine = at.machine_of(numbers[i], counts[i], calm[i], D)
    _, _, desk = rooms_of(work, work32, D)
    work[: assessment.size] = assessment
    draw_desk(out, machine, desk)


@jit
def draw_desk(out: Array, machine: tuple[Array, ...], desk: tuple[Array, ...]) -> None:
    """The same of the assessment on the desk."""
    contributions(out, SENSOR, machine, desk)
    known, x = machine[3][at.KNOWN], desk[4]
    for j in range(x.size):
        out[READING, j] = x[j]
        if not known[j] > 0:
            out[AVERAGE:, j] = np.nan


@jit
def take(
    assessment: Array,
    out: Array,
    record: Array,
    i: int,
    numbers: Array,
    counts: Array,
    calm: Array,
    networks: Array,
    readouts: Array,
    work: Array,
    work32: Array,
    work64: Array,
    sizes: Array,
    rates: Array,
) -> None:
    """Learn a record (D + 1) of machine i as `judging.process` does; on the way its assessment and its course are kept.

    To assess, to draw and then to learn would take three calls, and assess the record twice.
    """
    D = out.shape[1]
    machine = at.machine_of(numbers[i], counts[i], calm[i], D)
    scratch, forecast, desk = rooms_of(work, work32, D)
    judge(forecast, scratch, work64, record, machine, networks[i], readouts[i], desk, sizes, rates, True)
    assessment[:] = work[: assessment.size]
    draw_desk(out, machine, desk)
    learn_judged(float(record[D]), machine, readouts[i], desk, sizes)
