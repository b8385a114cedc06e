"""Score a pump's records one by one, learn from each, and ask which sensor is to blame when a score is high."""

import math
import random

from scrnn_stream import SCRNNDetector

FAULT_BEGINS = 2000


def pump(n_records: int, seed: int = 0):
    """Flow, motor current and vibration follow the load; from FAULT_BEGINS on a worn bearing shakes the pump."""
    noise = random.Random(seed).gauss
    load = 0.7
    for t in range(n_records):
        load += 0.05 * (0.7 + 0.2 * math.sin(t / 40) - load) + noise(0, 0.01)
        wear = min(0.8, 0.05 * (t - FAULT_BEGINS)) if t >= FAULT_BEGINS else 0.0
        yield {
            "flow": 120 * load + noise(0, 0.8),
            "current": 15 + 40 * load**2 + noise(0, 0.4),
            "vibration": (1 + load) * (1 + wear) + noise(0, 0.08),
        }


detector = SCRNNDetector(seed=1)
scores = []
for t, x in enumerate(pump(FAULT_BEGINS + 20)):
    scores.append(detector.score_one(x))  # changes nothing
    if t == FAULT_BEGINS + 19:
        causes = detector.explain_one(x)  # before learn_one, like the score
    detector.learn_one(x)

print("Scores: 0.5 is one calm record in a thousand, 0.67 one in a million.")
print(f"highest of the last 500 calm records: {max(scores[FAULT_BEGINS - 500 : FAULT_BEGINS]):.2f}")
print("from the begin of the fault:         ", " ".join(f"{s:.2f}" for s in scores[FAULT_BEGINS:]))
for sensor, cause in sorted(causes.items(), key=lambda item: -item[1].share):
    normal = f"normal {cause.low:.2f} to {cause.high:.2f}"
    print(f"{sensor:10} {cause.actual:7.2f}, {normal}, {cause.share:.0%} of the evidence")
culprit = max(causes, key=lambda sensor: causes[sensor].share)
print(f"to blame: {culprit}")
