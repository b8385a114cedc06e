"""SCRNNDetector inside River: a pipeline whose filter turns scores into flags, judged on labelled synthetic data."""

import math
import random

from river import anomaly, metrics, preprocessing

from scrnn_stream import SCRNNDetector


def pump(n_records: int, seed: int = 0):
    """Flow, pressure and current follow the load; now and then a valve takes 15% of the flow for 30 records."""
    random_ = random.Random(seed)
    noise = random_.gauss
    load, n_blocked = 0.7, 0
    for t in range(n_records):
        load += 0.05 * (0.7 + 0.2 * math.sin(t / 40) - load) + noise(0, 0.01)
        if t > 1000 and n_blocked == 0 and random_.random() < 1 / 500:
            n_blocked = 30
        is_fault = n_blocked > 0
        n_blocked -= is_fault
        flow = load * (0.85 if is_fault else 1.0)
        x = {
            "flow": 120 * flow + noise(0, 0.8),
            "pressure": 2 + 4 * load**2 + noise(0, 0.05),
            "current": 15 + 40 * flow * load + noise(0, 0.4),
        }
        yield x, is_fault


# The detector keeps a scale of its own and needs no scaler. One in front matters in one place: explain_one then speaks
# of standard deviations, no longer of bar and amperes.
# The filter must not shield the detector from what it flags: the detector protects itself, and only learn_one moves
# time for it.
model = preprocessing.StandardScaler() | anomaly.QuantileFilter(
    SCRNNDetector(seed=1), q=0.95, protect_anomaly_detector=False
)
quantile_filter = model["QuantileFilter"]

auc = metrics.ROCAUC()
precision, recall = metrics.Precision(), metrics.Recall()
for x, is_fault in pump(5000):
    score = model.score_one(x)
    if quantile_filter.anomaly_detector.state == "ready":
        auc.update(is_fault, score)
        is_flagged = bool(quantile_filter.classify(score))
        precision.update(is_fault, is_flagged)
        recall.update(is_fault, is_flagged)
    model.learn_one(x)

print(f"ROC AUC of the scores: {auc.get():.3f}")
print(f"the 5% highest scores: precision {precision.get():.2f}, recall {recall.get():.2f}")
