"""The sentence of an alert: what a person reads first, and can check."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scrnn_stream.anomaly import Cause
from scrnn_stream.channels import Quantity
from scrnn_stream.continuity import RunLength
from scrnn_stream.ranges import SensorRange
from scrnn_stream.wording import lasting

VERBS: dict[Quantity, str] = {
    "reading": "reads",
    "average": "averages",
    "long average": "averages, in the long run,",
    "change": "changes, on average, by",
    "error": "misses its forecast by",
}
N_NAMED = 3  # sensors named after the first


def of_anomaly(causes: dict[str, Cause]) -> str:
    """The leading sensor, what it does, and what would be normal."""
    if not causes:
        return "departs from its normal behaviour"
    sensor, cause = max(causes.items(), key=lambda item: item[1].share)
    share = f"{100 * cause.share:.0f}% of the evidence"
    if math.isnan(cause.actual):
        return f"{sensor} is missing ({share})"
    verb = VERBS[cause.quantity]
    if math.isnan(cause.low):
        return f"{sensor} {verb} {cause.actual:.4g} ({share})"
    normal = f"{cause.low:.4g} to {cause.high:.4g} is normal"
    if cause.low <= cause.actual <= cause.high:
        return f"an unusual state; most of all {sensor} {verb} {cause.actual:.4g} ({share})"
    return f"{sensor} {verb} {cause.actual:.4g} where {normal} ({share})"


def of_run(sensor: str, kind: str, run: RunLength) -> str:
    """A sensor that is stuck or silent, against its own past."""
    what = "has repeated one reading" if kind == "stuck" else "has sent no reading"
    return f"{sensor} {what} for {run.length:.0f} records; never before for more than {run.longest:.0f}"


def of_range(sensor: str, watched: SensorRange) -> str:
    """A sensor that has passed a limit of the user's."""
    reading, (low, high) = watched.farthest, watched.limits.ends
    side, limit = ("above", high) if reading > high else ("below", low)
    return f"{sensor} reads {reading:.4g}, {side} its limit of {limit:.4g}"


def of_silence(quiet_s: float, usual_s: float) -> str:
    """A machine that says nothing."""
    return f"no data for {lasting(quiet_s)}; usually every {lasting(usual_s)}"


def of_regime(n_records: int) -> str:
    """A new state that was adopted."""
    return f"the new state has lasted for {n_records} records and is now taken as normal"


def as_well(sensors: Sequence[str]) -> str:
    """The sensors that share the fate of the first."""
    if not sensors:
        return ""
    more = f" and {len(sensors) - N_NAMED} more" if len(sensors) > N_NAMED else ""
    return f"; as well as {', '.join(sensors[:N_NAMED])}{more}"
