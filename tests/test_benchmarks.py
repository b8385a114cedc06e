"""The benchmarks of learning, at sizes so small that they only show that all parts work together."""

import json
import math

import numpy as np
import pytest

from benchmarks import corpus, language, memory, ngrams, recurrent_peers, sizes
from benchmarks.memory_tasks import LEVEL_ASKED_EVERY, TASKS, adding, level, recall
from benchmarks.stamp import stamp, write_json
from scrnn_stream.network import SCRNN

TEXT = (
    "*** START OF A BOOK ***\n"
    + "The cat saw the dog. Did the dog see the cat? " * 40
    + "\n*** END OF A BOOK ***\nlicence"
)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text(TEXT)
    return path


class TestTheMemoryTasks:
    def test_recall_asks_for_the_cue_when_the_lag_has_passed(self):
        xs, targets = recall(500, seed=0, lag=10)
        asked = np.flatnonzero(~np.isnan(targets))
        assert len(asked) > 30
        np.testing.assert_array_equal(targets[asked, 0], xs[asked - 10, 0])
        np.testing.assert_array_equal(xs[:, 1], ~np.isnan(targets[:, 0]))

    def test_adding_asks_for_the_sum_of_two_marked_values(self):
        xs, targets = adding(500, seed=0, lag=10)
        for end in np.flatnonzero(~np.isnan(targets)):
            of_this = xs[end - 9 : end + 1]
            assert of_this[:, 1].sum() == 2
            assert targets[end, 0] == pytest.approx(of_this[:, 0] @ of_this[:, 1])

    def test_level_has_the_error_of_the_mean_that_the_benchmark_tells(self):
        _, targets = level(200_000, seed=0)
        assert np.isnan(targets[1:LEVEL_ASKED_EVERY]).all()
        assert np.nanvar(targets) == pytest.approx(1.26, abs=0.15)  # 500 independent levels: 3 deviations

    @pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
    def test_are_repeatable_with_a_seed(self, task):
        for one, other in zip(task.draw(400, 1), task.draw(400, 1), strict=True):
            np.testing.assert_array_equal(one, other)


class TestTheMemoryBenchmark:
    def test_constant_and_last_value_only_look_back(self):
        targets = np.array([[1.0], [np.nan], [3.0], [8.0]])
        asked = [0, 2, 3]
        np.testing.assert_array_equal(memory.Mean().replay(targets, targets)[asked, 0], [0, 1, 2])
        np.testing.assert_array_equal(memory.Last().replay(targets, targets)[asked, 0], [0, 1, 3])

    @pytest.mark.parametrize("model", [model for model in memory.MODELS if not model.window], ids=lambda m: m.name)
    def test_measures_each_model(self, model):
        result = memory.run("level", model.name, 0, 1000)
        assert math.isfinite(result.error)
        assert (result.n_parameters > 0) == (model.name not in ("mean", "last"))

    def test_its_networks_are_as_large_as_each_other(self):
        weights = [model.make(4, 0).n_parameters for model in memory.MODELS if model.name in ("simple", "learned")]
        weights += [min_peer(kind, weights[1]) for kind in recurrent_peers.GATES]
        assert max(weights) < 1.1 * min(weights)  # a unit of an LSTM of this size is 6 % of its weights

    def test_says_where_a_peer_is_not_installed(self, monkeypatch):
        monkeypatch.setattr(recurrent_peers, "is_installed", lambda: False)
        model = next(model for model in memory.MODELS if model.window)
        assert memory.runs([model], range(1)) == []
        assert memory.cell(model, TASKS[0], []) == "not installed"

    def test_tells_median_and_extremes_of_the_seeds(self):
        results = [memory.Result("level", "mean", seed, error, 0, 1.0) for seed, error in enumerate([0.1, 0.5, 0.2])]
        told = memory.cell(memory.MODELS[0], next(task for task in TASKS if task.name == "level"), results)
        assert told.startswith("0.200")
        assert "0.100-0.500" in told

    def test_peers_predict_before_they_learn_in_any_pieces(self):
        pytest.importorskip("torch", reason="PyTorch is no dependency of this project")
        xs, targets = level(300, seed=0)
        whole, pieces = (recurrent_peers.RecurrentPeer("GRU", 2, 1, n_hidden=3, truncation_length=7) for _ in range(2))
        expected = whole.replay(xs, targets)
        told = np.concatenate([pieces.replay(xs[i : i + 50], targets[i : i + 50]) for i in range(0, 300, 50)])
        np.testing.assert_allclose(told, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(np.isnan(expected), np.isnan(targets))


def min_peer(kind, wanted):
    n_hidden = sizes.closest(wanted, lambda n: recurrent_peers.n_parameters(kind, 4, 1, n))
    return recurrent_peers.n_parameters(kind, 4, 1, n_hidden)


class TestTheLanguageBenchmark:
    def test_reads_words_and_sentences_without_the_licence(self, text):
        read = corpus.read(text, n_words=4)
        assert read.vocabulary == ["<unk>", "the", "cat", "dog"]
        assert len(read.words) == 40 * 13
        assert corpus.tokenised("A 2nd one's end?!") == ["a", "nd", "one's", "end", "<eos>"]

    @pytest.mark.parametrize("counts", [ngrams.Unigram, ngrams.Bigram])
    def test_counted_probabilities_sum_to_one(self, counts):
        model = counts(4)
        ngrams.losses(model, np.array([0, 1, 2, 1, 2, 2]), learning=True)
        for before in range(4):
            assert sum(model.probability(before, word) for word in range(4)) == pytest.approx(1)

    def test_a_bigram_learns_what_follows_what(self):
        losses = ngrams.losses(ngrams.Bigram(3), np.tile([0, 1, 2], 200), learning=True)
        assert losses[0] == pytest.approx(math.log(3))
        assert losses[-100:].max() < 0.1

    def test_its_networks_have_the_same_number_of_parameters_within_2_percent(self):
        models = [model for model in language.MODELS.values() if not model.counts and model.n_hidden is None]
        n = [sizes.scrnn(1000, 1000, language.hidden_units(1000, model), model.n_context) for model in models]
        assert max(n) < 1.02 * min(n)

    @pytest.mark.parametrize("n_context", [0, 3])
    def test_counts_parameters_as_the_network_does(self, n_context):
        network = SCRNN(5, 7, n_hidden=4, n_context=n_context, loss="softmax")
        assert network.n_parameters == sizes.scrnn(5, 7, 4, n_context)

    def test_predicts_the_validation_words_without_learning(self):
        words = np.random.default_rng(0).integers(0, 5, 60)
        arguments = {"n_hidden": 4, "n_context": 3, "loss": "softmax", "optimizer": "sgd", "lr": 0.1, "seed": 0}
        compiled, by_hand = (SCRNN(5, 5, **arguments) for _ in range(2))
        expected = []
        for before, after in zip(corpus.one_hot(words[:-1], 5), words[1:], strict=True):
            expected.append(-math.log(by_hand.predict(before)[after]))
            by_hand.advance(before)
        np.testing.assert_allclose(language.predicted(compiled, words), expected, rtol=1e-5)
        assert compiled.n_learned == 0

    def test_measures_networks_and_counts_and_tells_them(self, text, tmp_path):
        read = corpus.read(text, n_words=6)
        results = [language.run(language.MODELS[name], read, seed=0) for name in ("bigram", "few-simple", "learned-10")]
        assert all(1 <= result.validation < 6 for result in results)
        assert language.table(results, "book", read).row_count == 3
        write_json(tmp_path / "numbers.json", {**stamp(seed=0), "results": [result._asdict() for result in results]})
        numbers = json.loads((tmp_path / "numbers.json").read_text())
        assert numbers["settings"] == {"seed": 0}
        assert len(numbers["results"]) == 3
