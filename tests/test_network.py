"""The network against its naive twin, finite differences and its promises."""

import copy
import math
import pickle

import numpy as np
import pytest

from scrnn_stream import _kernels, _layout
from scrnn_stream.encoding import EncodingError, encode
from scrnn_stream.network import SCRNN
from tests.naive import NAMES, Network, backpropagation, finite_differences, loss, run

# n_inputs, n_outputs, n_hidden, n_context
SHAPES = [(2, 3, 4, 3), (1, 1, 1, 1), (3, 2, 4, 0), (3, 2, 0, 4), (1, 2, 3, 5)]
RANDOM_SHAPES = [tuple(np.random.default_rng(seed).integers(1, 12, size=4).tolist()) for seed in range(3)]
ACTIVATIONS = ["sigmoid", "tanh", "relu"]
LOSSES = ["squared", "gaussian", "softmax"]
OPTIMIZERS = ["sgd", "rmsprop", "adam"]


def named(network, vector=None):
    """Copies of the weights, or of a vector laid out like them, by their letters."""
    theta = _layout.theta_of(network._network, network._shape) if vector is None else vector
    W, B, m, U, V, c, log_scale = _layout.parameters(theta, network._shape)
    H, C = network.n_hidden, network.n_context
    parts = (W[:, H + C : -1], W[:, :H], W[:, H : H + C], B.T, U, V, W[:, -1], c, m, log_scale)
    return {name: view.astype(float) for name, view in zip(NAMES, parts, strict=True)}


def weights_of(network):
    """W, B', m, U, V, c, l: views."""
    return _layout.parameters(_layout.theta_of(network._network, network._shape), network._shape)


def made(shape, seed=0, **arguments):
    """A float64 network with random weights everywhere, the readout too."""
    n_inputs, n_outputs, n_hidden, n_context = shape
    arguments = {"dtype": "float64", "memory": (2, 30), "seed": seed, **arguments}
    network = SCRNN(n_inputs, n_outputs, n_hidden=n_hidden, n_context=n_context, **arguments)
    rng = np.random.default_rng(seed)
    W, _, _, U, V, c, log_scale = weights_of(network)
    for weights in (U, V, W[:, -1], c, log_scale):
        weights[:] = rng.normal(size=weights.shape)
    return network


def stream(n, n_inputs, n_outputs, seed=0, missing=0.1, loss="squared"):
    """Inputs and targets with holes, and uneven time steps."""
    rng = np.random.default_rng(seed)
    xs, targets = rng.normal(size=(n, n_inputs)), rng.normal(size=(n, n_outputs))
    if loss == "softmax":
        targets = np.eye(n_outputs)[rng.integers(n_outputs, size=n)]
        targets[rng.random(n) < missing] = np.nan
        targets[-1] = np.eye(n_outputs)[0]
    else:
        targets[rng.random(targets.shape) < missing] = np.nan
        targets[-1, 0] = 0.7
    xs[rng.random(xs.shape) < missing] = np.nan
    return xs, targets, rng.choice([0.5, 1.0, 3.0], size=n)


def gradient_after(network, xs, dts, target):
    """The loss of the last sample and its gradient, early stop off."""
    for x, dt in zip(xs, dts, strict=True):
        network.advance(x, dt)
    y = np.zeros(network.n_outputs, network.dtype)
    rest = (network._work, network._network, network._counts, target, network._shape, network._kind, 0.0)
    loss_now = _kernels.gradient(y, *rest)
    return loss_now, named(network, _layout.scratch(network._work, network._shape)[0])


def assert_agree(gradient, expected, share, names=NAMES):
    """Each block of the gradient, to a share of its largest number."""
    for name in names:
        if expected[name].size:
            tolerance = share * max(np.abs(expected[name]).max(), 1e-3)
            np.testing.assert_allclose(gradient[name], expected[name], rtol=0, atol=tolerance, err_msg=name)


def same(one, other):
    """Two saved networks, equal to the last bit."""
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def cues(n, lag, seed):
    """A cue of +-1 in the first input is to be recalled `lag` samples later, when the second input asks for it."""
    rng = np.random.default_rng(seed)
    xs, targets = np.zeros((n, 2)), np.full((n, 1), np.nan)
    for start in range(0, n - lag, lag + 2):
        xs[start, 0] = targets[start + lag, 0] = rng.choice([-1.0, 1.0])
        xs[start + lag, 1] = 1.0
    return xs, targets


class TestTheForwardPass:
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    @pytest.mark.parametrize("shape", SHAPES)
    def test_predictions_are_those_of_the_equations(self, shape, activation):
        network = made(shape, activation=activation)
        xs, _, dts = stream(30, *shape[:2])
        expected = run(named(network), xs, dts, activation)
        for x, dt, y in zip(xs, dts, expected, strict=True):
            np.testing.assert_allclose(network.predict(x, dt), y, rtol=1e-9, atol=1e-12)
            network.advance(x, dt)

    def test_a_new_network_predicts_the_mean(self):
        np.testing.assert_array_equal(SCRNN(2, 3, seed=1).predict([1.0, -1.0]), np.zeros(3))

    def test_a_gap_of_two_is_two_steps_of_the_same_input_to_the_context_units(self):
        one, two = made((2, 1, 0, 4)), made((2, 1, 0, 4))
        one.advance([1.0, -2.0], dt=2.0)
        two.advance([1.0, -2.0])
        two.advance([1.0, -2.0])
        np.testing.assert_allclose(one.context, two.context, rtol=1e-12)

    def test_no_time_passes_for_the_context_units_when_dt_is_zero(self):
        network = made((2, 1, 2, 4))
        network.advance([1.0, 2.0])
        before = network.context
        network.advance([5.0, -5.0], dt=0.0)
        np.testing.assert_array_equal(network.context, before)

    def test_a_missing_input_counts_as_zero(self):
        missing, zero = made(SHAPES[0]), made(SHAPES[0])
        assert missing.learn([np.nan, 1.0], [1.0, 2.0, 3.0]) == zero.learn([0.0, 1.0], [1.0, 2.0, 3.0])
        assert same(missing.to_state(), zero.to_state())

    def test_time_constants_start_evenly_spaced_in_their_logarithm(self):
        tau = SCRNN(1, 1, n_context=4, memory=(2, 2000), dtype="float64", seed=0).time_constants
        np.testing.assert_allclose(tau, [2, 20, 200, 2000], rtol=1e-9)


class TestTheGradient:
    @pytest.mark.parametrize("loss_kind", LOSSES)
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    @pytest.mark.parametrize("shape", [*SHAPES, *RANDOM_SHAPES])
    def test_agrees_with_finite_differences(self, shape, activation, loss_kind):
        network = made(shape, activation=activation, truncation_length=12, loss=loss_kind)
        xs, targets, dts = stream(12, *shape[:2], loss=loss_kind)
        weights = named(network)
        loss_now, gradient = gradient_after(network, xs, dts, targets[-1])
        y = run(weights, xs, dts, activation)[-1]
        assert loss_now == pytest.approx(loss(y, targets[-1], loss_kind, weights["l"]), rel=1e-9)
        assert_agree(gradient, finite_differences(weights, xs, dts, targets[-1], activation, loss_kind), 1e-6)

    def test_agrees_with_finite_differences_at_truncation_one_after_one_step(self):
        network = made(SHAPES[0], truncation_length=1)
        xs, targets, dts = stream(1, 2, 3, missing=0.0)
        weights = named(network)
        _, gradient = gradient_after(network, xs, dts, targets[-1])
        assert_agree(gradient, finite_differences(weights, xs, dts, targets[-1], "sigmoid"), 1e-6)

    @pytest.mark.parametrize("shape", [(2, 1, 0, 3), (2, 1, 3, 3)])
    def test_of_the_context_is_exact_over_a_long_stream_at_truncation_one(self, shape):
        network = made(shape, memory=(2, 200), truncation_length=1)
        weights_of(network)[0][:, : network.n_hidden] = 0  # R: hidden units that do not feed themselves
        xs, targets, dts = stream(300, *shape[:2])
        weights = named(network)
        _, gradient = gradient_after(network, xs, dts, targets[-1])
        assert_agree(gradient, finite_differences(weights, xs, dts, targets[-1], "sigmoid"), 1e-6, ("B", "m", "P", "V"))

    @pytest.mark.parametrize("memory", [99.5, (2, 1000), (50, 2000)])
    def test_of_the_context_agrees_with_untruncated_backpropagation_at_truncation_five(self, memory):
        network = made((8, 8, 32, 16), memory=memory, truncation_length=5)
        xs, targets, _ = stream(300, 8, 8)
        dB, dm = backpropagation(named(network), xs, targets[-1], "sigmoid")
        _, gradient = gradient_after(network, xs, np.ones(300), targets[-1])
        for name, expected in (("B", dB), ("m", dm)):
            error = np.linalg.norm(gradient[name] - expected) / np.linalg.norm(expected)
            assert error < 1e-4, name  # what the hidden units would have carried further than five steps

    def test_does_not_reach_back_beyond_the_truncation(self):
        gradients = []
        for first in (0.0, 5.0):
            network = made((1, 1, 2, 0), truncation_length=2)
            R = weights_of(network)[0][:, :2]
            R[:] = 0
            R[1, 0] = 1.0  # the second unit hears the first, one step late
            gradients.append(gradient_after(network, [[first], [1.0], [1.0]], [1, 1, 1], np.array([3.0]))[1]["A"])
        np.testing.assert_array_equal(*gradients)

    def test_stops_early_where_the_error_has_faded_and_not_when_told_not_to(self):
        xs, targets, _ = stream(60, 2, 3)
        ends = {}
        for early_stop in (0.0, 1e-6, 0.5):
            network = made(SHAPES[0], truncation_length=40, early_stop=early_stop)
            network.replay(xs, targets)
            ends[early_stop] = np.concatenate([weights.ravel() for weights in named(network).values()])
        assert np.abs(ends[1e-6] - ends[0.0]).max() < 1e-6
        assert np.abs(ends[0.5] - ends[0.0]).max() > 1e-4


class TestLearning:
    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    @pytest.mark.parametrize("loss_kind", LOSSES)
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("truncation_length", [1, 5])
    def test_agrees_with_the_naive_network(self, shape, activation, truncation_length, loss_kind, optimizer):
        arguments = {"truncation_length": truncation_length, "lr": 0.003, "clip_gradient": 1.0}
        arguments |= {"loss": loss_kind, "optimizer": optimizer, "learn_decay": truncation_length > 1}
        network = made(shape, activation=activation, **arguments)
        naive = Network(named(network), activation, **arguments)
        for x, target, dt in zip(*stream(60, *shape[:2], loss=loss_kind), strict=True):
            nothing = np.isnan(target).all()
            log_scale = naive.w["l"]
            y = naive.learn(x, target, dt)
            expected = np.nan if nothing else loss(y, target, loss_kind, log_scale)
            np.testing.assert_allclose(network.learn(x, target, dt), expected, rtol=1e-9, atol=1e-9)
        for name, weights in named(network).items():
            np.testing.assert_allclose(weights, naive.w[name], rtol=1e-9, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(network.context, naive.s[-1], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(network.hidden, naive.h[-1], rtol=1e-9, atol=1e-9)
        assert network.n_learned == naive.n_learned

    def test_of_a_recording_is_learning_of_its_samples(self):
        one, other = (SCRNN(2, 3, n_hidden=5, n_context=3, truncation_length=4, seed=0) for _ in range(2))
        xs, targets, dts = stream(60, 2, 3)
        predictions, losses = one.replay(xs, targets, dts)
        for x, target, dt, y, loss_now in zip(xs, targets, dts, predictions, losses, strict=True):
            np.testing.assert_array_equal(other.predict(x, dt), y)
            np.testing.assert_array_equal(other.learn(x, target, dt), loss_now)
        assert same(one.to_state(), other.to_state())

    def test_of_an_empty_recording_changes_nothing(self):
        network = made(SHAPES[0])
        before = network.to_state()
        predictions, losses = network.replay(np.zeros((0, 2)), np.zeros((0, 3)))
        assert (predictions.shape, losses.shape) == ((0, 3), (0,))
        assert same(network.to_state(), before)

    def test_learns_the_scale_of_the_noise(self):
        rng = np.random.default_rng(0)
        network = SCRNN(1, 2, n_hidden=4, n_context=2, loss="gaussian", seed=0)
        network.replay(rng.normal(size=(3000, 1)), rng.normal(size=(3000, 2)) * [0.2, 2.0])
        np.testing.assert_allclose(network.scale, [0.2, 2.0], rtol=0.15)

    def test_learns_which_symbol_follows(self):
        symbols = np.eye(3)[np.arange(3001) % 3]
        network = SCRNN(3, 3, n_hidden=8, n_context=2, loss="softmax", seed=0)
        predictions, losses = network.replay(symbols[:-1], symbols[1:])
        np.testing.assert_allclose(predictions.sum(axis=1), 1, rtol=1e-5)
        assert losses[0] == pytest.approx(math.log(3))
        assert losses[-100:].max() < 0.05

    def test_in_single_precision_stays_near_the_naive_network(self):
        network = made(SHAPES[0], dtype="float32")
        naive = Network(named(network), "sigmoid", truncation_length=20, lr=0.003, clip_gradient=1.0)
        for x, target, dt in zip(*stream(50, 2, 3), strict=True):
            expected = naive.learn(x, target, dt)
            assert network.learn(x, target, dt) == pytest.approx(
                math.nan if np.isnan(target).all() else loss(expected, target), rel=1e-3, nan_ok=True
            )

    def test_only_moves_time_when_every_target_is_missing(self):
        learning, advancing = made(SHAPES[0]), made(SHAPES[0])
        assert math.isnan(learning.learn([1.0, 2.0], [np.nan] * 3))
        advancing.advance([1.0, 2.0])
        assert same(learning.to_state(), advancing.to_state())
        assert learning.n_learned == 0

    def test_leaves_the_decays_alone_when_asked_to(self):
        network = made(SHAPES[0], learn_decay=False)
        before = network.time_constants
        for x, target, dt in zip(*stream(20, 2, 3), strict=True):
            network.learn(x, target, dt)
        np.testing.assert_array_equal(network.time_constants, before)

    def test_shortens_a_long_gradient_and_reports_its_length(self):
        network = made(SHAPES[0], clip_gradient=1.0)
        network.learn([1.0, 1.0], [1e4] * 3)
        assert network.gradient_norm > 1e3
        assert (network.n_learned, network.n_clipped) == (1, 1)

    def test_is_repeatable_with_a_seed_and_differs_with_another(self):
        networks = [SCRNN(2, 1, n_hidden=3, n_context=2, seed=seed) for seed in (1, 1, 2)]
        for network in networks:
            for x, target, dt in zip(*stream(20, 2, 1), strict=True):
                network.learn(x, target, dt)
        one, again, other = (network.predict([1.0, 2.0])[0] for network in networks)
        assert one == again
        assert one != other

    def test_context_units_recall_what_a_simple_recurrent_network_forgets(self):
        errors = []
        for n_context in (0, 4):
            network = SCRNN(2, 1, n_hidden=4, n_context=n_context, memory=(2, 50), truncation_length=3, lr=0.02, seed=0)
            losses = np.array([network.learn(x, target) for x, target in zip(*cues(4000, 20, seed=0), strict=True)])
            errors.append(2 * np.nanmean(losses[3000:]))
        simple, structured = errors
        assert simple > 0.9  # no better than to answer 0
        assert structured < 0.4


class TestTrouble:
    def test_an_exploding_network_keeps_finite_weights_and_says_so(self):
        network = SCRNN(2, 2, n_hidden=4, n_context=2, activation="relu", lr=30.0, seed=0)
        with np.errstate(all="ignore"):  # uncompiled, NumPy warns of each overflow
            for x, target, _ in zip(*stream(300, 2, 2), strict=True):
                network.learn(x, target)
        assert network.n_diverged > 0
        assert np.isfinite(network._network).all()
        assert np.isfinite(network.context).all()
        assert np.isfinite(network.hidden).all()

    def test_a_state_that_overflows_starts_again_from_rest(self):
        network = SCRNN(1, 1, n_hidden=1, n_context=1, activation="relu", seed=0)
        weights_of(network)[0][:] = 1e9, 1.0, 1.0, 0.0  # R, P, A, b
        with np.errstate(all="ignore"):
            losses = [network.learn([1.0], [0.0]) for _ in range(6)]
        np.testing.assert_array_equal(losses, [*[0.0] * 5, np.nan])
        np.testing.assert_array_equal([network.hidden, network.context], 0)
        assert network.n_diverged == 1

    def test_an_overflowing_gradient_changes_no_weight(self):
        network = made((1, 1, 0, 2))
        weights_of(network)[4][:] = 1e200  # V
        before = network.to_state()["theta"]
        with np.errstate(all="ignore"):
            network.learn([1e150], [0.0])
        assert network.n_diverged == 1
        np.testing.assert_array_equal(network.to_state()["theta"], before)

    def test_a_long_silence_leaves_no_denormal_numbers(self):
        network = SCRNN(1, 1, n_hidden=1, n_context=1, memory=(2, 2), truncation_length=2, seed=0)
        network.advance([1.0])
        for _ in range(300):
            network.advance([np.nan])
        T, E = _layout.traces_of(network._network, network._shape)
        for values in (network.context, T, E):
            np.testing.assert_array_equal(values, 0)

    def test_a_long_window_that_is_not_cut_short_holds_no_denormal_numbers(self):
        network = SCRNN(2, 2, n_hidden=4, n_context=4, truncation_length=200, early_stop=0.0, seed=0)
        network.replay(*stream(250, 2, 2)[:2])
        numbers = np.abs(np.concatenate([network._network, network._work]))
        assert not ((numbers > 0) & (numbers < np.finfo("float32").tiny)).any()

    def test_a_dead_output_that_comes_back_is_learned_again(self):
        network = SCRNN(1, 2, n_hidden=2, n_context=2, loss="gaussian", lr=0.02, seed=0)
        rng = np.random.default_rng(0)
        targets = np.stack([rng.normal(size=3000), np.r_[np.zeros(1500), rng.normal(size=1500)]], axis=1)
        network.replay(rng.normal(size=(3000, 1)), targets)
        assert network.n_diverged == 0
        assert 0.5 < network.scale[1] < 2.0

    def test_an_argument_that_is_fixed_may_be_overwritten_without_harm(self):
        network, other = (SCRNN(2, 2, n_hidden=2, n_context=2, optimizer="sgd", seed=0) for _ in range(2))
        network.n_inputs, network.n_outputs, network.optimizer, network.loss = 1000, 1000, "adam", "gaussian"
        assert network.learn([1.0, 2.0], [1.0, 2.0]) == other.learn([1.0, 2.0], [1.0, 2.0])
        np.testing.assert_array_equal(network.predict([1.0, 2.0]), other.predict([1.0, 2.0]))

    def test_sizes_of_a_narrow_type_do_not_wrap_around(self):
        network = SCRNN(np.uint8(3), 1, n_hidden=np.uint8(20), n_context=np.uint8(4), seed=0)
        assert network.n_parameters == SCRNN(3, 1, n_hidden=20, n_context=4, seed=0).n_parameters
        with pytest.raises(TypeError):
            SCRNN(2, 1, n_hidden=2.5)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"n_inputs": 0}, "n_inputs must be at least 1, got 0"),
            ({"n_outputs": 0}, "n_outputs must be at least 1, got 0"),
            ({"n_hidden": -1}, "n_hidden must be at least 0, got -1"),
            ({"n_context": -1}, "n_context must be at least 0, got -1"),
            ({"n_hidden": 0, "n_context": 0}, r"n_hidden \+ n_context must be at least 1, got 0"),
            ({"truncation_length": 0}, "truncation_length must be at least 1, got 0"),
            ({"truncation_length": 10**6}, "truncation_length must be at most 100000, got 1000000"),
            ({"memory": (5, 2)}, r"memory must be .* got \(5, 2\)"),
            ({"memory": (0, 2)}, r"memory must be .* got \(0, 2\)"),
            ({"activation": "swish"}, "activation must be one of sigmoid, tanh, relu, got 'swish'"),
            ({"loss": "hinge"}, "loss must be one of squared, gaussian, softmax, got 'hinge'"),
            ({"optimizer": "adagrad"}, "optimizer must be one of sgd, rmsprop, adam, got 'adagrad'"),
            ({"memory": -1.0}, r"memory must be .* got -1.0"),
            ({"early_stop": 1.0}, "early_stop must be at least 0 and below 1, got 1.0"),
            ({"dtype": "int8"}, "dtype must be one of float32, float64, got 'int8'"),
            ({"lr": 0.0}, "lr must be positive and finite, got 0.0"),
            ({"lr": math.inf}, "lr must be positive and finite, got inf"),
            ({"clip_gradient": math.nan}, "clip_gradient must be positive and finite, got nan"),
            ({"seed": -1}, "seed must be at least 0, got -1"),
        ],
    )
    def test_a_bad_argument_is_named_with_its_rule_and_value(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            SCRNN(**{"n_inputs": 2, "n_outputs": 1, **arguments})

    @pytest.mark.parametrize(
        ("x", "target", "dt", "message"),
        [
            ([1.0], [0.0], 1.0, r"x must have shape \(2,\), got \(1,\)"),
            ([1.0, 2.0], [0.0, 1.0], 1.0, r"target must have shape \(1,\), got \(2,\)"),
            ([1.0, -math.inf], [0.0], 1.0, "x must be finite or NaN in float32, got -inf at position 1"),
            ([1e39, 0.0], [0.0], 1.0, "x must be finite or NaN in float32, got 1e.39 at position 0"),
            ([1.0, 2.0], [math.inf], 1.0, "target must be finite or NaN in float32, got inf at position 0"),
            ([1.0, 2.0], [0.0], -1.0, "dt must be finite and at least 0, got -1.0"),
            ([1.0, 2.0], [0.0], math.nan, "dt must be finite and at least 0, got nan"),
        ],
    )
    def test_a_bad_sample_is_refused_and_changes_nothing(self, x, target, dt, message):
        network = SCRNN(2, 1, n_hidden=2, n_context=2, seed=0)
        before = network.to_state()
        with pytest.raises(ValueError, match=message):
            network.learn(x, target, dt)
        assert same(network.to_state(), before)


class TestItsState:
    def test_predict_changes_nothing(self):
        network = made(SHAPES[0])
        network.learn([1.0, 2.0], [1.0, 2.0, 3.0])
        before = network.to_state()
        first = network.predict([np.nan, 1.0], dt=3.0)
        np.testing.assert_array_equal(network.predict([np.nan, 1.0], dt=3.0), first)
        assert same(network.to_state(), before)

    def test_context_and_hidden_are_copies(self):
        network = made(SHAPES[0])
        network.advance([1.0, 2.0])
        before = network.to_state()
        network.context[:] = 9
        network.hidden[:] = 9
        assert same(network.to_state(), before)

    @pytest.mark.parametrize(
        "clone",
        [
            lambda network: SCRNN.from_state(network.to_state()),
            lambda network: SCRNN.from_bytes(network.to_bytes()),
            lambda network: pickle.loads(pickle.dumps(network)),
            copy.deepcopy,
        ],
        ids=["to_state", "to_bytes", "pickle", "deepcopy"],
    )
    def test_a_copy_goes_on_identically_to_the_last_bit_and_alone(self, clone):
        network = SCRNN(2, 3, n_hidden=3, n_context=2, truncation_length=4, seed=None)
        xs, targets, dts = stream(60, 2, 3)
        for x, target, dt in zip(xs[:30], targets, dts, strict=False):
            network.learn(x, target, dt)
        other = clone(network)
        before = other.to_state()
        for x, target, dt in zip(xs[30:], targets[30:], dts[30:], strict=True):
            network.learn(x, target, dt)
        assert same(other.to_state(), before)
        for x, target, dt in zip(xs[30:], targets[30:], dts[30:], strict=True):
            other.learn(x, target, dt)
        network.grow(3, 4)
        other.grow(3, 4)
        assert same(network.to_state(), other.to_state())

    def test_is_plain_data(self):
        plain = (str, int, float, bool, type(None), tuple, np.ndarray)
        assert all(isinstance(value, plain) for value in made(SHAPES[0], memory=[2, 30]).to_state().values())

    @pytest.mark.parametrize(("n_learned", "optimizer"), [(0, "rmsprop"), (7, "adam"), (40, "sgd")])
    def test_the_next_thousand_outputs_after_bytes_are_the_same_to_the_last_bit(self, n_learned, optimizer):
        arguments = {"truncation_length": 10, "optimizer": optimizer, "loss": "gaussian"}
        network = SCRNN(2, 3, n_hidden=4, n_context=2, **arguments)
        xs, targets, dts = stream(1000 + n_learned, 2, 3)
        network.replay(xs[:n_learned], targets[:n_learned], dts[:n_learned])
        other = SCRNN.from_bytes(network.to_bytes())
        ends = [one.replay(xs[n_learned:], targets[n_learned:], dts[n_learned:]) for one in (network, other)]
        for one, another in zip(*ends, strict=True):
            np.testing.assert_array_equal(one, another)

    def test_bytes_are_compact(self):
        network = SCRNN(8, 8, truncation_length=20, seed=0)
        network.replay(*stream(100, 8, 8)[:2])
        numbers = (
            2 * network.n_parameters + 21 * (32 + 3 * 16 + 8 + 1) + 16 * 9
        )  # weights, mean squares, window, traces
        assert 0 <= len(network.to_bytes()) - 4 * numbers < 1000

    def test_foreign_bytes_are_refused(self):
        data = SCRNN(1, 1, seed=0).to_bytes()
        foreign = [
            b"",
            b"pickle",
            data[:-1],
            data[:-1] + bytes([data[-1] ^ 1]),
            data + b"\0",
            encode({}),
            encode({"SCRNN": 1}),
        ]
        for changed in (
            {"counts": np.full(5, 99)},
            {"dtype": "float64"},
            {"n_inputs": 10**12},
            {"memory": "long"},
            {"theta": 1},
        ):
            foreign.append(encode({"SCRNN": {**SCRNN(1, 1, seed=0).to_state(), **changed}}))
        nan = np.full_like(SCRNN(1, 1, seed=0).to_state()["theta"], np.nan)
        for changed in ({"learn_decay": "x"}, {"drawn_seed": "x"}, {"drawn_seed": -1}, {"theta": nan}):
            foreign.append(encode({"SCRNN": {**SCRNN(1, 1, seed=0).to_state(), **changed}}))
        for other in foreign:
            with pytest.raises(EncodingError):
                SCRNN.from_bytes(other)

    def test_of_another_shape_is_refused(self):
        state = {**made(SHAPES[0]).to_state(), "theta": np.zeros(3)}
        with pytest.raises(ValueError, match=r"theta must have shape .* got \(3,\)"):
            SCRNN.from_state(state)


class TestGrowing:
    @pytest.mark.parametrize("new", [0.0, np.nan])
    @pytest.mark.parametrize("shape", SHAPES)
    def test_keeps_the_old_outputs_while_the_new_inputs_are_silent(self, shape, new):
        n_inputs, n_outputs = shape[:2]
        network = made(shape)
        xs, targets, dts = stream(30, n_inputs, n_outputs)
        for x, target, dt in zip(xs, targets, dts, strict=True):
            network.learn(x, target, dt)
        grown = copy.deepcopy(network)
        grown.grow(n_inputs + 2, n_outputs + 1)
        for x, dt in zip(xs, dts, strict=True):
            y = grown.predict([*x, new, new], dt)
            np.testing.assert_allclose(y[:n_outputs], network.predict(x, dt), rtol=1e-12, atol=1e-14)
            assert y[n_outputs] == 0
            network.advance(x, dt)
            grown.advance([*x, new, new], dt)

    def test_goes_on_as_if_the_new_inputs_had_been_there_and_missing(self):
        grown = made(SHAPES[0], truncation_length=5)
        xs, _, dts = stream(30, 2, 3)
        for x, dt in zip(xs, dts, strict=True):
            grown.advance(x, dt)
        grown.grow(3, 4)
        always = made((3, 4, *SHAPES[0][2:]), truncation_length=5)
        theta = _layout.theta_of(grown._network, grown._shape)
        _layout.theta_of(always._network, always._shape)[:] = theta
        for x, dt in zip(xs, dts, strict=True):
            always.advance([*x, np.nan], dt)
        target = np.array([1.0, 2.0, 3.0, 4.0])
        one, other = (gradient_after(network, [[1.0, 2.0, 3.0]], [1.0], target)[1] for network in (grown, always))
        for name in NAMES:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-10, atol=1e-14, err_msg=name)

    def test_gives_the_weights_of_a_new_input_no_leap(self):
        rng = np.random.default_rng(0)
        network = SCRNN(1, 1, n_hidden=4, n_context=2, truncation_length=2, lr=0.01, seed=0)
        for x in rng.normal(size=(200, 1)):
            network.learn(x, x)
        network.grow(2, 1)
        before = named(network)
        network.learn([1.0, 1.0], [1.0])
        after = named(network)
        for name in ("A", "B"):  # a mean square that starts at 0 would make the step ten times lr
            assert np.abs(after[name] - before[name])[:, 1].max() < 2 * network.lr

    def test_leads_to_learning_from_the_new_input(self):
        rng = np.random.default_rng(0)
        network = SCRNN(1, 1, n_hidden=4, n_context=2, truncation_length=2, lr=0.01, seed=0)
        for x in rng.normal(size=(50, 1)):
            network.learn(x, [0.0])
        network.grow(2, 1)
        losses = [network.learn(x, [x[1]]) for x in rng.normal(size=(1500, 2))]
        assert np.mean(losses[-300:]) < 0.3 * np.mean(losses[:100])

    def test_cannot_shrink(self):
        with pytest.raises(ValueError, match="n_inputs must be at least 2, got 1"):
            made(SHAPES[0]).grow(1, 3)
