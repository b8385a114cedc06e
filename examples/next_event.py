"""Tell what a machine will stop for: the format decides, which was set 50 events ago. Counts of pairs cannot know."""

import itertools
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path

from scrnn_stream import SCRNNClassifier

STOPS = {"small": "jam", "large": "no cartons", "round": "label torn"}
N_JOBS, EVERY = 600, 50  # a point of the picture is the share of so many jobs


def log(seed: int = 5):
    """Each job: its format, 40 to 60 events of a packing line that do not depend on it, and what it stops for."""
    random_ = random.Random(seed)
    for _ in range(N_JOBS):
        size = random_.choice(sorted(STOPS))
        yield f"format {size}"
        for _ in range(random_.randrange(20, 30)):
            yield random_.choice(["belt slow", "belt fast", "door open", "film low"])
            yield random_.choice(["acknowledged", "cleared"])
        yield "feed empty"
        yield STOPS[size]


def picture(curves: dict[str, list[float]]) -> str:
    """Lines over the jobs, from 0 at the bottom to 1."""
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 300" font-family="sans-serif" font-size="13">']
    parts += ['<rect width="640" height="300" fill="white"/><text x="40" y="22">Stops told rightly, by job</text>']
    for share in (0, 1 / 3, 1):
        y = 260 - 220 * share
        parts.append(f'<path d="M40 {y:.0f}H520" stroke="#ddd"/>')
        parts.append(f'<text x="34" y="{y + 4:.0f}" text-anchor="end">{share:.0%}</text>')
    for (name, values), colour in zip(curves.items(), ("#0b61a4", "#c0504d"), strict=True):
        xs = [40 + 480 * (EVERY * (k + 1)) / N_JOBS for k in range(len(values))]
        points = " ".join(f"{x:.0f},{260 - 220 * v:.0f}" for x, v in zip(xs, values, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(f'<text x="528" y="{264 - 220 * values[-1]:.0f}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, f'<text x="520" y="282" text-anchor="end">{N_JOBS} jobs</text></svg>\n'])


model, pairs = SCRNNClassifier(memory=(10, 200), seed=1), defaultdict(Counter)  # a job has some 50 events
right: dict[str, list[bool]] = {"SCRNNClassifier": [], "pairs of events": []}
events = list(log())
for event, after in itertools.pairwise(events):
    if event == "feed empty":
        told = model.predict_proba_one({"event": event})
        right["SCRNNClassifier"].append(max(STOPS.values(), key=lambda stop: told.get(stop, 0.0)) == after)
        right["pairs of events"].append(pairs[event].most_common(1)[0][0] == after if pairs[event] else False)
    model.learn_one({"event": event}, after)
    pairs[event][after] += 1
shares = {name: [sum(r[k : k + EVERY]) / EVERY for k in range(0, N_JOBS, EVERY)] for name, r in right.items()}
for name, curve in shares.items():
    print(f"{name:16} of each {EVERY} stops told rightly:", " ".join(f"{share:4.0%}" for share in curve))
if len(sys.argv) > 1:
    Path(sys.argv[1]).write_text(picture(shares))
