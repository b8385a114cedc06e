"""SCRNNFeatures: a classifier without memory is told what came before. Was the door open within the last 40 records?"""

import random

from river import linear_model, metrics, preprocessing, tree, utils

from scrnn_stream import SCRNNFeatures


def cold_room(n_records: int, seed: int = 2):
    """A contact tells when the door opens, a thermometer little; goods suffer for 40 records after each opening."""
    draw, since = random.Random(seed), 99
    for _ in range(n_records):
        since = 0 if draw.random() < 1 / 60 else since + 1
        yield {"door": since == 0, "temperature": 4 + draw.gauss(0, 0.5) + 0.3 * (since < 15)}, since < 40


models = {
    "logistic regression": preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    "Hoeffding tree": tree.HoeffdingTreeClassifier(),
    "features | logistic regression": SCRNNFeatures(seed=1) | linear_model.LogisticRegression(),
    "features | Hoeffding tree": SCRNNFeatures(seed=1) | tree.HoeffdingTreeClassifier(),
}
recent = {name: utils.Rolling(metrics.Accuracy, window_size=500) for name in models}
history = {name: [] for name in models}  # for the picture
for t, (x, y) in enumerate(cold_room(3000)):
    for name, model in models.items():
        recent[name].update(y, model.predict_one(x))
        model.learn_one(x, y)
        if t % 20 == 0 and t >= 200:
            history[name].append((t, recent[name].get()))

print("share of right answers among the last 500:")
for name, accuracy in recent.items():
    print(f"{name:31} {accuracy.get():.0%}")
