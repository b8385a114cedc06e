"""NAB's machine temperature: in how many of its four labelled windows is an alert raised?

    python -m benchmarks.machine_temperature --data NAB_DIR [--alerts-per-day 0.1] [--seeds N]

NAB_DIR is a copy of https://github.com/numenta/NAB with `data` and `labels`. With several seeds each gets its line;
with one, each alert does.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.replaying import replay_file
from scrnn_stream.alert import Alert

FILE = "realKnownCause/machine_temperature_system_failure.csv"
ALERTS_PER_DAY = 0.1

Window = tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="NAB_DIR")
    parser.add_argument("--alerts-per-day", type=float, default=ALERTS_PER_DAY)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    labels = json.loads((options.data / "labels" / "combined_windows.json").read_text())
    windows = [(_seconds(begin), _seconds(end)) for begin, end in labels[FILE]]
    for seed in range(options.seeds):
        replay = replay_file(options.data / "data" / FILE, options.alerts_per_day, seed=seed)
        firing = [alert for alert in replay.alerts if alert.state == "firing"]
        if options.seeds == 1:
            print(*(_line(alert, windows) for alert in firing), sep="\n")
        n_hit = sum(any(_is_in(alert, window) for alert in firing) for window in windows)
        print(
            f"seed {seed}: alerts {len(firing)}, windows in which one is raised {n_hit} of {len(windows)}", flush=True
        )


def _line(alert: Alert, windows: list[Window]) -> str:
    begin, raised = (datetime.fromtimestamp(time or 0, UTC) for time in (alert.begin, alert.raised))
    mark = "in a window" if any(_is_in(alert, window) for window in windows) else ""
    return f"{alert.kind:15} {alert.severity:9} begins {begin:%Y-%m-%d %H:%M}, raised {raised:%m-%d %H:%M}  {mark}"


def _is_in(alert: Alert, window: Window) -> bool:
    begin, end = window
    return begin <= (alert.raised or 0) <= end


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


if __name__ == "__main__":
    main()
