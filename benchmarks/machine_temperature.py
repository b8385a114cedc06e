"""NAB's machine temperature: in how many of its four labelled windows does an alert begin, at 0.1 alerts a day?

    python -m benchmarks.machine_temperature --data NAB_DIR

NAB_DIR is a copy of https://github.com/numenta/NAB with `data` and `labels`.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.replaying import replay_file

FILE = "realKnownCause/machine_temperature_system_failure.csv"
ALERTS_PER_DAY = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="NAB_DIR")
    data = parser.parse_args().data
    windows = json.loads((data / "labels" / "combined_windows.json").read_text())[FILE]
    replay = replay_file(data / "data" / FILE, ALERTS_PER_DAY)
    firing = [alert for alert in replay.alerts if alert.state == "firing"]
    for alert in firing:
        inside = any(_seconds(a) <= (alert.begin or 0) <= _seconds(b) for a, b in windows)
        begin = datetime.fromtimestamp(alert.begin or 0, UTC)
        print(f"{begin:%Y-%m-%d %H:%M}  {alert.kind:15} {alert.severity:9} {'in a window' if inside else ''}")
    n_hit = sum(any(_seconds(a) <= (x.begin or 0) <= _seconds(b) for x in firing) for a, b in windows)
    print(f"alerts {len(firing)}, windows with an alert that begins inside {n_hit} of {len(windows)}")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


if __name__ == "__main__":
    main()
