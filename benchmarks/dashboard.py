"""The dashboard, the rules and the notifications against a real Prometheus and a real Alertmanager.

    apt-get install prometheus prometheus-alertmanager
    python -m benchmarks.dashboard [--seconds 90] [--picture docs/monitoring/panels.svg]

100 machines send to the service, and one that never comes back into its limits; some messages are junk. Half-way the
service is killed and started again. Then each query of each panel is asked, and what became of the alerts.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from kafka import KafkaProducer

from benchmarks.live_service import CONFIG, TOPIC, Fleet, Service
from benchmarks.panels import Panel, ask, drawn, get
from connectors.broker import EmbeddedBroker, end_with_parent, free_port

MONITORING = Path(__file__).parent.parent / "docs" / "monitoring"
PER_SECOND, JUNK_EVERY = 200, 150
PATIENCE_S = 300.0  # kernels may have to be compiled
HOT = "hot"  # the machine that stays outside its limits


class Told(NamedTuple):
    """What the Alertmanager knew of the machine that stays out: the fingerprint, since when, last told."""

    fingerprint: str
    since: str
    updated: str


class Watchers:
    """A Prometheus and an Alertmanager, while the block lasts."""

    def __enter__(self) -> Watchers:
        self._stack = ExitStack()
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="scrnn-stream-watch-")))
        service, prometheus, alertmanager = free_port(), free_port(), free_port()
        self.service = f"127.0.0.1:{service}"
        self.prometheus, self.alertmanager = f"http://127.0.0.1:{prometheus}", f"http://127.0.0.1:{alertmanager}"
        route = {"receiver": "nobody", "group_by": ["machine"]}
        _write(directory / "am.yml", {"route": route, "receivers": [{"name": "nobody"}]})
        scrape = {"job_name": "scrnn-stream", "scrape_interval": "1s", "static_configs": [{"targets": [self.service]}]}
        rules = [str(MONITORING / "rules.yml")]
        _write(directory / "prom.yml", {"scrape_configs": [scrape], "rule_files": rules})
        self._start("prometheus", f"--config.file={directory}/prom.yml", f"--storage.tsdb.path={directory}/tsdb",
                    f"--web.listen-address=127.0.0.1:{prometheus}")  # fmt: skip
        self._start("prometheus-alertmanager", f"--config.file={directory}/am.yml", f"--storage.path={directory}/am",
                    f"--web.listen-address=127.0.0.1:{alertmanager}", "--cluster.listen-address=")  # fmt: skip
        _wait(lambda: get(f"{self.prometheus}/api/v1/rules") and get(f"{self.alertmanager}/api/v2/status"))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _start(self, *command: str) -> None:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=end_with_parent()
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.terminate)

    def told(self) -> Told | None:
        """Of the hot machine; None if nothing of it is open."""
        for alert in get(f"{self.alertmanager}/api/v2/alerts"):
            if alert["labels"]["machine"] == HOT:
                return Told(alert["fingerprint"], alert["startsAt"], alert["updatedAt"])
        return None

    def n_rules(self) -> int:
        groups = get(f"{self.prometheus}/api/v1/rules")["data"]["groups"]
        return sum(rule["health"] in ("ok", "unknown") for group in groups for rule in group["rules"])


def main() -> int:
    """Run it, and print what was answered."""
    options = _options()
    with Watchers() as watchers, EmbeddedBroker() as broker:
        config = f'{CONFIG}\n[notify]\nalertmanager = ["{watchers.alertmanager}"]\n'
        flags = ["--http", watchers.service, "--checkpoint-every", "5"]
        with Service(broker.address, "at-least-once", flags, config) as service:
            begin = time.time()
            seen = _drive(broker.address, service, watchers, options.seconds)
            panels = list(ask(watchers.prometheus, MONITORING / "dashboard.json", begin, time.time()))
        n_rules = watchers.n_rules()
    options.picture.write_text(drawn(panels), encoding="utf-8")
    return _report(panels, n_rules, seen)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--picture", type=Path, default=MONITORING / "panels.svg")
    options = parser.parse_args()
    if missing := [name for name in ("prometheus", "prometheus-alertmanager") if shutil.which(name) is None]:
        parser.error(f"{' and '.join(missing)} must be installed, of Debian for instance")
    return options


def _drive(brokers: str, service: Service, watchers: Watchers, seconds: float) -> list[Told | None]:
    """What the Alertmanager knew of the hot machine before the kill, every second after it, and at the end."""
    feed = _Feed(brokers)
    _wait(lambda: feed.send() and watchers.told())
    feed.send_for(seconds / 2)
    seen = [watchers.told()]
    service.start_again()
    for _ in range(round(seconds / 2)):
        feed.send_for(1.0)
        seen.append(watchers.told())
    feed.close()
    return seen


class _Feed:
    """Sends at a steady rate."""

    def __init__(self, brokers: str) -> None:
        self._producer, self._fleet, self._n = KafkaProducer(bootstrap_servers=brokers), Fleet(), 0

    def send(self) -> bool:
        """A tenth of a second's messages."""
        for _ in range(PER_SECOND // 10):
            partition, key, value = self._fleet.message(self._n, time.time())
            junk = self._n % JUNK_EVERY == 0
            self._producer.send(TOPIC, b"{junk" if junk else value, key, partition=partition)
            self._n += 1
        hot = {"machine": HOT, "timestamp": time.time(), "gauge": 2000.0}
        self._producer.send(TOPIC, json.dumps(hot).encode(), HOT.encode(), partition=0)
        time.sleep(0.1)
        return True

    def send_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.send()

    def close(self) -> None:
        self._producer.close()


def _report(panels: Sequence[Panel], n_rules: int, seen: Sequence[Told | None]) -> int:
    print("| Panel | Queries | Lines answered | Points |", "|---|--:|--:|--:|", sep="\n")
    for panel in panels:
        n_points = sum(len(series.points) for series in panel.series)
        print(f"| {panel.title} | {len(panel.queries)} | {len(panel.series)} | {n_points} |")
    before, *after = seen
    gaps = sum(told is None for told in after)
    same = {told[:2] for told in seen if told is not None}
    print(
        f"\n{n_rules} rules loaded. The open alert: {before}, then {after[-1]}; missing in {gaps} of {len(after)} looks"
    )
    is_well = all(panel.series for panel in panels) and before is not None and not gaps and len(same) == 1
    told_again = before is not None and after[-1] is not None and after[-1].updated > before.updated
    return 0 if is_well and told_again else 1


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def _wait(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"not within {PATIENCE_S:g} s")


if __name__ == "__main__":
    sys.exit(main())
