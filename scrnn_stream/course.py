"""Where each sensor of a machine is, and where the others say it should be: what an alert's picture is drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import places as at
from scrnn_stream._compile import jit, view
from scrnn_stream.channels import SENSOR
from scrnn_stream.evidence import contributions

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
    contributions(out, SENSOR, machine, desk)
    known, x = machine[3][at.KNOWN], desk[4]
    for j in range(D):
        out[READING, j] = x[j]
        if not known[j] > 0:
            out[AVERAGE:, j] = np.nan
