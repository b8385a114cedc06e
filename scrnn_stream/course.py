"""Where each sensor of a machine is, and where the others say it should be: what an alert's picture is drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import places as at
from scrnn_stream import readout
from scrnn_stream._compile import jit, view
from scrnn_stream._layout import N_COUNTS
from scrnn_stream.channels import SENSOR
from scrnn_stream.evidence import contributions
from scrnn_stream.features import scaled
from scrnn_stream.judging import assess, learn, read, steps_since

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
    desk = at.desk_of(work, view(work32, work32.size - at.N_MOVING - D, (at.N_MOVING,)), D)
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
    n, time, machine = work32.size - at.N_MOVING - D, float(record[D]), at.machine_of(numbers[i], counts[i], calm[i], D)
    shape = (sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], sizes[7], sizes[8])
    kind, pace = (sizes[9], sizes[10], sizes[11], sizes[12]), (rates[0], rates[1], rates[2])
    scratch, forecast = view(work32, 0, (n,)), view(work32, n + at.N_MOVING, (D,))
    desk = at.desk_of(work, view(work32, n, (at.N_MOVING,)), D)
    x, z, previous = desk[4], desk[5][at.SCALED_X], machine[3][at.PREVIOUS]
    own, own_counts = networks[i], view(counts[i], at.N_COUNTS, (N_COUNTS,))
    step = steps_since(numbers[i], time)
    read(x, record)
    scaled(z, machine[3], x)
    readout.learn(forecast, work64, scratch, readouts[i], own, own_counts, previous, z, step, shape, kind, pace)
    assess(forecast, time, step, machine, desk)
    assessment[:] = work[: assessment.size]
    draw_desk(out, machine, desk)
    n_regimes = counts[i, at.N_REGIMES]
    learn(time, sizes[0], sizes[1], machine, desk)
    if counts[i, at.N_REGIMES] > n_regimes:  # the scale starts anew
        readout.doubt(readouts[i], shape)
