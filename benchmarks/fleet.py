"""The demo's pump fleet over many seeds: faults caught, delay, right sensor first, false alerts against the budget.

python -m benchmarks.fleet [--first 3000] [--seeds 20] [--days 40]
"""

from __future__ import annotations

import argparse
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from statistics import median

from scrnn_stream.demo import ALERTS_PER_DAY
from scrnn_stream.monitor import Settings
from scrnn_stream.pipeline import Pipeline
from scrnn_stream.simulate import FAULT_KINDS, simulate_fleet
from scrnn_stream.verdict import Judgement, judge


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=3000, help="first seed")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--days", type=float, default=40.0)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    with ProcessPoolExecutor() as pool:
        judgements = list(pool.map(partial(run_fleet, days=options.days), seeds))
    for seed, judgement in zip(seeds, judgements, strict=True):
        caught = " ".join(c.fault.kind for c in judgement.catches if c.alert) or "none"
        print(f"seed {seed}: caught {judgement.n_caught} ({caught}), false {len(judgement.false_alerts)}")
    _tell_kinds(judgements)
    n_caught = median(j.n_caught for j in judgements)
    n_false = median(len(j.false_alerts) for j in judgements)
    budget = ALERTS_PER_DAY * options.days * 5
    print(f"median of {len(seeds)} seeds: caught {n_caught:g} of 5, false alerts {n_false:g} (budget {budget:g})")


def run_fleet(seed: int, days: float) -> Judgement:
    """One fleet through the pipeline at the demo's budget."""
    fleet = simulate_fleet(days=days, seed=seed)
    alerts = Pipeline(Settings(alerts_per_day=ALERTS_PER_DAY)).process(fleet.records).alerts
    return judge(fleet.faults, alerts)


def _tell_kinds(judgements: list[Judgement]) -> None:
    for kind in FAULT_KINDS:
        catches = [c for j in judgements for c in j.catches if c.fault.kind == kind]
        found = [c for c in catches if c.alert is not None]
        delays = [c.delay_s / 3600 for c in found if c.delay_s is not None]
        named = sum(c.names_sensor for c in found)
        by = ", ".join(f"{n} {k}" for k, n in Counter(c.alert.kind for c in found if c.alert).items())
        delay = f"median delay {median(delays):.1f} h" if delays else ""
        print(f"{kind:13} caught {len(found):3} of {len(catches)}  {delay}  right sensor first {named}  ({by})")


if __name__ == "__main__":
    main()
