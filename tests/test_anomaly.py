"""The detector: it holds still while it scores, digests junk, flags faults, names them, and survives a restart."""

from __future__ import annotations

import datetime as dt
import math
import pickle
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from scrnn_stream import SCRNNDetector
from scrnn_stream import channels as ch
from scrnn_stream import places as at
from scrnn_stream.absorbing import N_CHANGES_KNOWN
from scrnn_stream.calibration import to_score
from scrnn_stream.encoding import decode, encode
from scrnn_stream.extremes import N_LEAST as N_JUDGED
from scrnn_stream.network import CLIP_GRADIENT, SCRNN
from scrnn_stream.places import MOST_DENSE, N_QUEUED

NAMES = ("flow", "pressure", "current", "vibration")
Stream = list[dict[str, Any]]


def machine(n: int, seed: int = 0, names: tuple[str, ...] = NAMES) -> Stream:
    """Sensors that follow one load, each with noise of its own. A longer stream begins like a shorter one."""
    design, demand, gauges = np.random.default_rng(seed).spawn(3)
    load = np.sin(np.arange(n) / 15) + np.convolve(demand.normal(size=n + 29), np.full(30, 1 / 8), "valid")
    gain, offset = design.uniform(0.5, 2, len(names)), design.uniform(-5, 5, len(names))
    readings = offset + gain * (load[:, None] + 0.2 * gauges.normal(size=(n, len(names))))
    return [dict(zip(names, row, strict=True)) for row in readings.tolist()]


def noise(n: int, n_sensors: int = 3, seed: int = 0) -> Stream:
    return [
        {f"s{j}": v for j, v in enumerate(row)}
        for row in np.random.default_rng(seed).normal(size=(n, n_sensors)).tolist()
    ]


def shifted(stream: Stream, sensor: str, by: float, begin: int, end: int | None = None) -> Stream:
    there = range(begin, len(stream) if end is None else end)
    return [x | {sensor: x[sensor] + by} if t in there else x for t, x in enumerate(stream)]


def run(detector: SCRNNDetector, stream: Stream) -> np.ndarray:
    """The score of each record before it is learned."""
    scores = np.empty(len(stream))
    for t, x in enumerate(stream):
        scores[t] = detector.score_one(x)
        detector.learn_one(x)
    return scores


def state_of(detector: SCRNNDetector) -> bytes:
    return encode(detector.to_state())


@pytest.fixture(scope="module")
def trained() -> Callable[[], SCRNNDetector]:
    """Copies of one detector that knows the machine after 800 records."""
    detector = SCRNNDetector(seed=1)
    run(detector, machine(800))
    frozen = pickle.dumps(detector)
    return lambda: pickle.loads(frozen)


# -- junk -------------------------------------------------------------------------------------------------------------


def vanishing(n: int) -> Stream:
    return [{k: v for k, v in x.items() if k != "flow" or t < n // 2} for t, x in enumerate(machine(n))]


def emerging(n: int) -> Stream:
    return [x | ({"new": x["flow"] * 2} if t >= n // 2 else {}) for t, x in enumerate(machine(n))]


def dirty(n: int) -> Stream:
    junk = [math.nan, math.inf, -math.inf, 1e308, -1e308, 1e99, None, "broken", True, False, b"\0", 10**400, 0]
    rng = np.random.default_rng(7)
    stream = [x | {"flow": junk[t % len(junk)]} if rng.random() < 0.1 else x for t, x in enumerate(machine(n))]
    return [{} if rng.random() < 0.05 else x for x in stream]


STREAMS: dict[str, Stream] = {
    "dirty": dirty(700),
    "dirty from the start": [{"a": v, "b": 1.0} for v in (math.nan, math.inf, 1e308, 1e99, -1e99, "x", None, True, 0)]
    * 60,
    "nothing but text": [{"a": "on", "b": "off"}] * 400,
    "empty": [{}] * 400,
    "all missing": [{"a": math.nan, "b": None}] * 400,
    "vanishing sensor": vanishing(700),
    "emerging sensor": emerging(700),
    "constant sensor": [x | {"constant": 5.0} for x in machine(500)],
    "all constant": [{"a": 5.0, "b": 0.0}] * 450,
    "constant that moves once": [{"a": 5.0 if t < 500 else 6.0, "b": 1.0} for t in range(700)],
    "two values": [{"a": float(t % 2)} for t in range(700)],
    "one sensor": noise(600, 1),
    "tiny": [{k: v * 1e-30 for k, v in x.items()} for x in noise(450)],
    "huge": [{k: v * 1e30 for k, v in x.items()} for x in noise(450)],
    "more sensors than correlations are kept for": noise(400, MOST_DENSE + 6),
    "names that are no text": [{0: x["s0"], ("a", 1): x["s1"], "b": x["s2"]} for x in noise(400)],  # type: ignore[dict-item]
}


@pytest.mark.parametrize("name", STREAMS)
def test_every_score_lies_between_zero_and_one_whatever_comes(name: str) -> None:
    detector = SCRNNDetector(seed=1)
    for t, x in enumerate(STREAMS[name]):
        assert 0 <= detector.score_one(x) < 1
        detector.learn_one(x)
        if t % 10 == 0:
            shares = [cause.share for cause in detector.explain_one(x).values()]
            assert sum(shares) == pytest.approx(1, abs=1e-9) or not shares
    assert np.isfinite(detector.assess_one(STREAMS[name][-1]).p)


def test_one_wild_reading_is_over_after_a_hundred_records(trained: Callable[[], SCRNNDetector]) -> None:
    stream = machine(1200)
    stream[800]["flow"] = 1e12
    scores = run(trained(), stream[800:])
    assert scores[0] > to_score(1e-5)
    assert scores[100:].max() < to_score(1e-5)


def test_the_loss_of_a_sensor_does_not_make_the_others_improbable() -> None:
    scores = run(SCRNNDetector(seed=1), vanishing(2000))
    assert (scores[1000:] > to_score(1e-5)).mean() < 0.01


def plant(n: int, n_sensors: int, seed: int = 5) -> Stream:
    """Sensors that follow one load, each with noise and an offset of its own."""
    rng = np.random.default_rng(seed)
    load = 10 * np.sin(np.arange(n) / 40) + np.convolve(rng.normal(size=n + 19), np.ones(20) / 4, "valid")
    readings = load[:, None] * rng.uniform(0.5, 2, n_sensors) + rng.normal(size=(n, n_sensors))
    readings += rng.uniform(-1000, 1000, n_sensors)
    return [{f"s{j}": value for j, value in enumerate(row)} for row in readings.tolist()]


def without(stream: Stream, sensors: Iterable[str], begin: int, end: int) -> Stream:
    gone = frozenset(sensors)
    return [{k: v for k, v in x.items() if not (k in gone and begin <= t < end)} for t, x in enumerate(stream)]


LEAVING: dict[str, Stream] = {
    "a sensor joins four": without(plant(4000, 5), ["s4"], 0, 2000),
    "the 65th sensor joins": without(plant(2500, MOST_DENSE + 1), [f"s{MOST_DENSE}"], 0, 1200),
    "one of two leaves and returns": without(plant(4000, 2), ["s1"], 1500, 3000),
    "seven of eight leave and return": without(plant(4000, 8), [f"s{j}" for j in range(1, 8)], 1500, 3000),
    "a sensor leaves, says little and leaves again": without(
        without(plant(4000, 4), ["s3"], 1500, 2800), ["s3"], 2805, 4000
    ),
    "a sensor that reports every fiftieth record": [
        {k: v for k, v in x.items() if k != "s1" or t % 50 == 0} for t, x in enumerate(plant(4000, 4))
    ],
    "a constant begins to move": [x | ({"s2": 7.0} if t < 2000 else {}) for t, x in enumerate(plant(4000, 4))],
}


@pytest.mark.parametrize("name", LEAVING)
def test_sensors_that_come_and_go_make_nothing_improbable(name: str) -> None:
    detector = SCRNNDetector(seed=1)
    scores = run(detector, LEAVING[name])
    assert (scores[1000:] > to_score(1e-5)).mean() < 0.04
    assert detector.n_regimes == 0


def test_growing_beyond_the_most_dense_keeps_the_scores_in_range() -> None:
    detector = SCRNNDetector(seed=1)
    few, many = noise(500, MOST_DENSE - 1, seed=3), noise(500, MOST_DENSE + 6, seed=4)
    scores = run(detector, few + many)
    assert ((scores >= 0) & (scores < 1)).all()
    assert len(detector.sensors) == MOST_DENSE + 6


# -- purity -----------------------------------------------------------------------------------------------------------


def odd_records() -> Iterator[dict[str, Any]]:
    yield from machine(3, seed=9)
    yield {}
    yield {"flow": 1e6, "pressure": None, "new": 3.0, "text": "x"}


@pytest.mark.parametrize("method", ["score_one", "explain_one", "assess_one"])
def test_looking_at_a_record_changes_nothing(method: str, trained: Callable[[], SCRNNDetector]) -> None:
    for detector in (SCRNNDetector(seed=1), trained()):
        before = state_of(detector)
        for x in odd_records():
            getattr(detector, method)(x)
        assert state_of(detector) == before


def test_the_record_is_not_changed_nor_kept(trained: Callable[[], SCRNNDetector]) -> None:
    detector, x = trained(), {"flow": 1.0, "new": 2.0, "text": "x"}
    detector.learn_one(x)
    assert x == {"flow": 1.0, "new": 2.0, "text": "x"}
    before = state_of(detector)
    x["flow"] = 1e9
    assert state_of(detector) == before


def test_the_order_of_the_sensors_does_not_matter() -> None:
    stream = shifted(machine(700), "flow", 3.0, begin=600)
    rng = np.random.default_rng(1)
    shuffled = [{k: x[k] for k in rng.permutation(list(x)).tolist()} for x in stream]
    one, other = SCRNNDetector(seed=1), SCRNNDetector(seed=1)
    np.testing.assert_array_equal(run(one, stream), run(other, shuffled))


@pytest.mark.parametrize(("factor", "offset"), [(1000, 0), (1, 1000), (0.001, 0), (1000, -40)])
def test_units_do_not_matter(factor: float, offset: float) -> None:
    stream = shifted(machine(1500), "flow", 1.5, begin=1200, end=1300)
    times = 1.7e9 + 600.0 * np.arange(1500)  # ten days: the season is judged, too
    stream = [x | {"time": t} for x, t in zip(stream, times.tolist(), strict=True)]
    rescaled = [x | {"flow": factor * x["flow"] + offset} for x in stream]
    one, other = (run(SCRNNDetector(seed=1, time_key="time"), some) for some in (stream, rescaled))
    assert one.max() > 0.5
    assert (np.abs(one - other) < 1e-3).mean() > 0.99


def test_the_same_seed_gives_the_same_scores() -> None:
    stream = machine(500)
    np.testing.assert_array_equal(run(SCRNNDetector(seed=5), stream), run(SCRNNDetector(seed=5), stream))


# -- learning ---------------------------------------------------------------------------------------------------------


def test_the_records_to_ready_are_counted_down_to_zero_and_until_then_only_new_extremes_score() -> None:
    detector = SCRNNDetector(seed=1)
    stream = noise(600)
    left = []
    for x in stream:
        if not left or left[-1] > 0:
            left.append(detector.n_records_to_ready)
            assert (detector.state == "learning") == (left[-1] > 0)
            if left[-1] > 0:
                assert (detector.score_one(x | {"s0": 1e6}) > 0) == (len(left) > N_CHANGES_KNOWN + N_JUDGED)
                assert detector.assess_one(x | {"s0": 1e6}).p_of_tails == 1  # by which alerts are raised
        detector.learn_one(x)
    assert left[-1] == 0
    assert detector.state == "ready"
    assert detector.score_one(stream[-1] | {"s0": 1e6}) > 0.5
    first_step = left[0] - left[1]  # the first record only tells that there are sensors
    assert first_step in (0, 1)
    assert all(now - after == 1 for now, after in pairwise(left[1:]))


@pytest.mark.parametrize("seed", [1, 2])
def test_calm_noise_is_rarely_improbable_and_never_severe(seed: int) -> None:
    detector = SCRNNDetector(seed=1)
    scores = run(detector, noise(4000, seed=seed))
    places = np.flatnonzero(scores[400:] > to_score(1e-3))
    n_clusters = 1 + (np.diff(places) > 30).sum() if len(places) else 0
    assert n_clusters < 20  # 3.6 are due; the tails are fitted to 200 values at first
    assert scores.max() < to_score(1e-8)
    assert detector.n_regimes == 0


# -- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sensor", NAMES)
def test_a_shift_of_one_sensor_is_flagged_and_that_sensor_named_first(
    sensor: str, trained: Callable[[], SCRNNDetector]
) -> None:
    detector = trained()
    stream = machine(860)
    spread = np.std([x[sensor] for x in stream])
    for x in shifted(stream, sensor, 3 * spread, begin=0)[800:815]:
        score, causes = detector.score_one(x), detector.explain_one(x)
        detector.learn_one(x)
    assert score > to_score(1e-5)
    assert max(causes, key=lambda name: causes[name].share) == sensor
    assert causes[sensor].share > 0.5
    assert causes[sensor].actual > causes[sensor].high > causes[sensor].expected > causes[sensor].low


def test_a_fault_of_four_hundred_records_is_still_flagged_at_its_end_and_calm_returns_after_it() -> None:
    detector = SCRNNDetector(seed=1)
    scores = run(detector, shifted(machine(2600), "pressure", 6.0, begin=1600, end=2000))
    assert scores[500:1600].max() < to_score(1e-6)
    assert scores[1600:1610].max() > to_score(1e-5)
    assert (scores[1610:2000] > to_score(1e-3)).mean() > 0.9
    assert (scores[1980:2000] > to_score(1e-3)).all()
    assert (scores[2100:] > to_score(1e-5)).mean() < 0.01
    assert detector.n_regimes == 0


def test_a_lasting_new_state_is_adopted_after_so_many_records_and_then_is_calm() -> None:
    detector = SCRNNDetector(seed=1, accept_after=200)
    stream = shifted(machine(2600), "pressure", 8.0, begin=1000)
    run(detector, stream[:1000])
    assert not detector.in_episode
    run(detector, stream[1000:1190])
    assert detector.in_episode
    assert detector.n_regimes == 0
    run(detector, stream[1190:1260])
    assert detector.n_regimes == 1
    assert detector.state == "learning"
    scores = run(detector, stream[1260:])
    assert detector.state == "ready"
    assert (scores > to_score(1e-5)).mean() < 0.1  # clustered: the longest average has not seen its range yet
    assert scores.max() < to_score(1e-9)
    assert detector.n_regimes == 1


def test_a_protected_record_moves_time_but_does_not_count_as_calm(trained: Callable[[], SCRNNDetector]) -> None:
    detector = trained()
    fault = dict.fromkeys(NAMES, 1e4)
    calm = detector.to_state()["counts"][at.N_CALM : at.N_FITTED]
    for _ in range(50):
        detector.learn_one(fault)
    assert detector.in_episode
    np.testing.assert_array_equal(detector.to_state()["counts"][at.N_CALM : at.N_FITTED], calm)
    assert detector.score_one(fault) > to_score(1e-6)


def test_what_led_up_to_a_fault_is_not_learned(trained: Callable[[], SCRNNDetector]) -> None:
    detector = trained()
    assert detector.to_state()["counts"][at.N_WAITING] == N_QUEUED
    detector.learn_one(dict.fromkeys(NAMES, 1e4))
    assert detector.to_state()["counts"][at.N_WAITING] == 0


def test_a_sensor_not_known_yet_is_not_to_blame(trained: Callable[[], SCRNNDetector]) -> None:
    detector = trained()
    for t, x in enumerate(machine(830)[800:]):
        detector.learn_one(x | {"new": float(t)})
    causes = detector.explain_one(machine(831)[830] | {"new": 1e6, "flow": 1e3})
    assert causes["new"].share == 0
    assert causes["new"].channel == "none"
    assert math.isnan(causes["new"].expected)


def test_a_missing_reading_is_explained_as_nan(trained: Callable[[], SCRNNDetector]) -> None:
    cause = trained().explain_one({"pressure": 1.0})["flow"]
    assert math.isnan(cause.actual)
    assert math.isfinite(cause.expected)


# -- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "as_time", [float, lambda s: dt.datetime.fromtimestamp(s, dt.UTC), lambda s: dt.datetime.fromtimestamp(s)]
)
def test_gaps_in_time_are_accepted_in_seconds_and_as_datetimes(as_time: Callable[[float], Any]) -> None:
    detector = SCRNNDetector(seed=1, time_key="time")
    seconds = 1.7e9 + 60.0 * np.arange(900)
    seconds[500:] += 3600
    seconds[700:] += 1e6
    scores = run(detector, [x | {"time": as_time(t)} for x, t in zip(machine(900), seconds.tolist(), strict=True)])
    assert "time" not in detector.sensors
    assert ((scores >= 0) & (scores < 1)).all()
    assert scores[480:].max() < to_score(1e-12)


def test_a_calm_machine_is_calm_after_a_gap() -> None:
    detector = SCRNNDetector(seed=1, time_key="time")
    times = 60.0 * np.arange(900) + 3600.0 * (np.arange(900) >= 700)
    scores = run(detector, [x | {"time": t} for x, t in zip(machine(900), times.tolist(), strict=True)])
    assert scores[700:].max() < to_score(1e-5)


def test_after_a_gap_errors_say_nothing_for_as_many_records_as_were_missed() -> None:
    detector, heard = SCRNNDetector(seed=1, time_key="time"), []
    for t, x in enumerate(machine(470)):
        record = x | {"time": 60.0 * t + 600.0 * (t >= 450)}
        assessed = detector.assess_one(record)
        heard.append(bool(np.isfinite(assessed.numbers[at.HEADER + at.STATISTICS + ch.ERROR])))
        detector.learn_assessed(assessed, record)
    assert heard[440:450] == [True] * 10
    assert heard[450:470] == [False] * 11 + [True] * 9


@pytest.mark.parametrize("junk", [None, "yesterday", math.nan, math.inf, -5.0, dt.date(2026, 1, 5)])
def test_a_time_that_is_none_is_one_step(junk: Any) -> None:
    detector = SCRNNDetector(seed=1, time_key="time")
    for t, x in enumerate(machine(450)):
        detector.learn_one(x | {"time": 60.0 * t})
    x = machine(451)[450] | {"time": junk}
    assert 0 <= detector.score_one(x) < 1
    assert detector.assess_one(x).dt == 1.0
    detector.learn_one(x)


def test_a_gap_is_measured_in_usual_intervals() -> None:
    detector = SCRNNDetector(seed=1, time_key="time")
    for t, x in enumerate(machine(450)):
        detector.learn_one(x | {"time": 60.0 * t})
    assert detector.assess_one({"time": 60.0 * 450}).dt == 1.0
    assert detector.assess_one({"time": 60.0 * 549}).dt == pytest.approx(100, rel=1e-3)


# -- restart ----------------------------------------------------------------------------------------------------------


def through_bytes(detector: SCRNNDetector) -> SCRNNDetector:
    twin = SCRNNDetector(**detector._get_params())
    twin.restore(decode(encode(detector.to_state())))
    return twin


def through_pickle(detector: SCRNNDetector) -> SCRNNDetector:
    return pickle.loads(pickle.dumps(detector))


@pytest.mark.parametrize("through", [through_bytes, through_pickle])
@pytest.mark.parametrize("n", [0, 110, 333, 1005, 1250])
def test_a_restored_detector_goes_on_bit_identically(n: int, through: Callable[[SCRNNDetector], SCRNNDetector]) -> None:
    stream = shifted(emerging(1800), "flow", 4.0, begin=1000, end=1100)
    times = 1.7e9 + 60.0 * np.arange(1800) + 600.0 * (np.arange(1800) > 1300)
    stream = [x | {"time": t} for x, t in zip(stream, times.tolist(), strict=True)]
    original = SCRNNDetector(seed=1, time_key="time", accept_after=80)
    run(original, stream[:n])
    twin = through(original)
    np.testing.assert_array_equal(run(twin, stream[n : n + 500]), run(original, stream[n : n + 500]))
    assert state_of(twin) == state_of(original)
    assert twin.explain_one(stream[-1]) == original.explain_one(stream[-1])
    assert (twin.state, twin.n_regimes, twin.sensors) == (original.state, original.n_regimes, original.sensors)


def test_a_state_stands_still_while_its_detector_learns_on(trained: Callable[[], SCRNNDetector]) -> None:
    detector = trained()
    state = detector.to_state()
    before = encode(state)
    run(detector, machine(100))
    assert encode(state) == before


def test_a_restored_detector_shares_nothing_with_the_state(trained: Callable[[], SCRNNDetector]) -> None:
    state = trained().to_state()
    before = encode(state)
    twin = SCRNNDetector(seed=1)
    twin.restore(state)
    run(twin, machine(100))
    assert encode(state) == before


# -- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"grace_period": 0},
        {"accept_after": 0},
        {"n_hidden": -1},
        {"memory": (5, 2)},
        {"truncation_length": 0},
        {"lr": 0.0},
    ],
    ids=str,
)
def test_a_bad_argument_is_refused_at_once_with_its_name_and_value(arguments: dict[str, Any]) -> None:
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=rf"{name}.*{value if name != 'memory' else ''}"):
        SCRNNDetector(**arguments)


def spoilt(state: dict[str, Any], change: str) -> dict[str, Any]:
    """The state of a detector with parts that do not fit each other; a kernel would write beyond its arrays."""
    counts = state["counts"].copy()
    if change == "sensors":
        return {**state, "sensors": [*state["sensors"], "another"]}
    if change == "network":
        return {**state, "network": SCRNN(1, 1, seed=0).to_state()}
    if change == "no network":
        return {**state, "network": None}
    if change == "numbers":
        return {**state, "numbers": state["numbers"][:1]}
    counts[{"head": at.HEAD, "waiting": at.N_WAITING, "calm": at.N_CALM, "fitted": at.N_FITTED}[change]] = 10**9
    return {**state, "counts": counts}


@pytest.mark.parametrize("change", ["sensors", "network", "no network", "numbers", "head", "waiting", "calm", "fitted"])
def test_a_state_whose_parts_do_not_fit_is_refused(change: str, trained: Callable[[], SCRNNDetector]) -> None:
    with pytest.raises(ValueError, match=r"must be|contradict"):
        SCRNNDetector().restore(spoilt(trained().to_state(), change))


def test_a_gradient_was_shortened_just_where_its_norm_says_so() -> None:
    detector, n_shortened = SCRNNDetector(seed=1), 0
    assert detector.gradient_norm == 0.0
    for t, x in enumerate(noise(400, 4)):
        learned, shortened, _ = detector.updates
        detector.learn_one({name: value + 30 * (t % 50 == 40) for name, value in x.items()})
        if detector.updates[0] > learned:
            assert (detector.gradient_norm > CLIP_GRADIENT) == (detector.updates[1] > shortened)
        n_shortened += detector.updates[1] - shortened
    assert 10 < n_shortened < 300
