"""SCRNNRegressor as a soft sensor: a thermometer fails, and the model goes on telling the temperature of the tank."""

import math
import random

from river import linear_model, metrics, preprocessing

from scrnn_stream import SCRNNRegressor


def tank(n_records: int, seed: int = 4):
    """Heat takes 12 records to arrive, and is lost over some 60; cold water comes in as the valve is open."""
    noise = random.Random(seed).gauss
    heat, temperature, power = [0.0] * 12, 50.0, 20.0
    for t in range(n_records):
        power += 0.1 * (20 + 8 * math.sin(t / 70) + 5 * math.sin(t / 19) - power) + noise(0, 0.5)
        heat.append(power)
        valve = 0.5 + 0.4 * math.sin(t / 33) + noise(0, 0.02)
        temperature += (heat[-12] * 3 - temperature) / 60 - 0.4 * valve * temperature / 60
        yield {"power": power + noise(0, 0.2), "valve": valve}, temperature + noise(0, 0.1)


N_RECORDS, FAILS = 4000, 3600
scrnn = SCRNNRegressor(seed=1)
line = preprocessing.StandardScaler() | linear_model.LinearRegression()
errors = {"the model": metrics.MAE(), "the last reading": metrics.MAE(), "a line": metrics.MAE()}
truth, told, told_by_line = [], [], []  # for the picture
last = 0.0
for t, (x, y) in enumerate(tank(N_RECORDS)):
    is_broken = t >= FAILS
    truth.append(y)
    told.append(scrnn.predict_one(x))
    told_by_line.append(line.predict_one(x))
    if is_broken:
        for error, guess in zip(errors.values(), (told[-1], last, told_by_line[-1]), strict=True):
            error.update(y, guess)
        scrnn.learn_one(x, None)  # time goes on, and what it expected stands for what is not known
    else:
        scrnn.learn_one(x, y)
        line.learn_one(x, y)
        last = y

print(f"{N_RECORDS - FAILS} records without a thermometer; mean error in degrees:")
for name, error in errors.items():
    print(f"{name:17} {error.get():6.2f}")
