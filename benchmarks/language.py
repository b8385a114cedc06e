"""The paper's experiment online: the perplexity of the next word, with and without context units.

    python -m benchmarks.language --text FILE [--vocabulary 1000] [--max-words N] [--only NAME,...] [--json FILE]

Mikolov et al. (arXiv:1412.7753) compare a simple recurrent network with SCRNN on the Penn Treebank: as large as each
other, and with more and more context units beside few hidden ones. This does so on any plain text in UTF-8, such as

    curl -o war-and-peace.txt https://www.gutenberg.org/cache/epub/2600/pg2600.txt

Known are the V - 1 most frequent words; all others are one word, and the end of a sentence is another. The paper reads
its text many times, in batches, with a rate that falls as the validation asks for; here the first nine tenths are read
once, word by word, with a rate that falls evenly to 0. A lower perplexity is better; V is a guess.

online       perplexity of those nine tenths, each word predicted before it is learned
validation   perplexity of the last tenth of the text, with learning off
memory       shortest and longest time constant of the context units at the end, in words

A unigram and a bigram that count as they go have the same columns. All networks share CONFIGURATION below. Decays are
the paper's 0.95, or begin spread over memories of 2 to 100 words, and stay fixed or are learned.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import ngrams, sizes
from benchmarks.corpus import Corpus, one_hot, read
from benchmarks.stamp import stamp, write_json
from scrnn_stream.network import SCRNN

Array = NDArray[Any]

# Chosen on the first 150,000 words of War and Peace, of rates 0.1 to 0.3 and clipping at 2 and 10; 0.3 was too much for
# learned decays. Adaptive optimisers are no choice: most steps push a rare word down by lr, and few steps lift it.
CONFIGURATION: dict[str, Any] = {"truncation_length": 10, "optimizer": "sgd", "lr": 0.2, "clip_gradient": 2.0}
SPREAD = (2.0, 100.0)
PAPER_MEMORY = -1.0 / math.log(0.95)  # the decay of the paper, 0.95
AS_LARGE_AS = 100  # hidden units of the simple recurrent network that the others are to be as large as
FEW = 40  # hidden units beside more and more context units
CHUNK = 2000  # words that become rows of V numbers at a time


class Model(NamedTuple):
    """A row of the table: a model that counts, or a network of so many units."""

    name: str
    title: str
    n_context: int = 0
    n_hidden: int | None = None  # None: as many as make it as large as the simple recurrent network
    memory: float | tuple[float, float] = PAPER_MEMORY
    learn_decay: bool = False
    counts: type[ngrams.Unigram] | type[ngrams.Bigram] | None = None


class Result(NamedTuple):
    model: str
    n_hidden: int
    n_context: int
    n_parameters: int
    online: float
    validation: float
    time_constants: list[float]
    seconds: float


def _rows() -> Iterator[Model]:
    yield Model("unigram", "unigram", counts=ngrams.Unigram)
    yield Model("bigram", "bigram", counts=ngrams.Bigram)
    for prefix, n_hidden, sizes_of_context in (("", None, (10, 40)), ("few-", FEW, (10, 20, 40))):
        yield Model(f"{prefix}simple", "simple recurrent", 0, n_hidden)
        for n in sizes_of_context:
            yield Model(f"{prefix}fixed-95-{n}", "SCRNN 0.95", n, n_hidden)
            yield Model(f"{prefix}fixed-{n}", "SCRNN fixed", n, n_hidden, SPREAD)
            yield Model(f"{prefix}learned-{n}", "SCRNN learned", n, n_hidden, SPREAD, True)


MODELS = {model.name: model for model in _rows()}

# -- measuring --------------------------------------------------------------------------------------------------------


def run(model: Model, corpus: Corpus, seed: int) -> Result:
    """One model over the whole text: learning from nine tenths of it, then only predicting."""
    began = time.perf_counter()
    n_training = len(corpus.words) * 9 // 10
    training, validation = corpus.words[:n_training], corpus.words[n_training - 1 :]
    measure = _count if model.counts else _learn
    result = measure(model, corpus.n_words, training, validation, seed)
    return result._replace(seconds=time.perf_counter() - began)


def _count(model: Model, n_words: int, training: Array, validation: Array, _seed: int) -> Result:
    assert model.counts
    counts = model.counts(n_words)
    online = ngrams.losses(counts, training, learning=True)
    told = ngrams.losses(counts, validation, learning=False)
    return Result(model.name, 0, 0, 0, perplexity(online), perplexity(told), [], 0.0)


def _learn(model: Model, n_words: int, training: Array, validation: Array, seed: int) -> Result:
    network = SCRNN(
        n_words,
        n_words,
        n_hidden=hidden_units(n_words, model),
        n_context=model.n_context,
        memory=model.memory,
        learn_decay=model.learn_decay,
        loss="softmax",
        seed=seed,
        **CONFIGURATION,
    )
    online, told = learned(network, training), predicted(network, validation)
    units = model.name, network.n_hidden, network.n_context, network.n_parameters
    return Result(*units, perplexity(online), perplexity(told), sorted(network.time_constants.tolist()), 0.0)


def hidden_units(n_words: int, model: Model) -> int:
    """As said, or as many as make the network as large as the simple recurrent one."""
    wanted = sizes.scrnn(n_words, n_words, AS_LARGE_AS, 0)
    return model.n_hidden or sizes.closest(wanted, lambda n: sizes.scrnn(n_words, n_words, n, model.n_context))


def learned(network: SCRNN, words: Array) -> Array:
    """-log p of each word after the first, told before it is learned. The rate falls from chunk to chunk, to 0."""
    losses, rate = [], network.lr
    for start, before, after in _chunks(words, network.n_inputs):
        network.lr = rate * (1 - start / len(words))
        losses.append(network.replay(before, after)[1])
    return np.concatenate(losses)


def predicted(network: SCRNN, words: Array) -> Array:
    """-log p of each word after the first. A target of NaN is nothing to learn from: only time moves."""
    losses = []
    for _, before, after in _chunks(words, network.n_inputs):
        probabilities, _ = network.replay(before, np.full_like(after, np.nan))
        losses.append(-np.log(probabilities[after > 0]))
    return np.concatenate(losses)


def _chunks(words: Array, n_words: int) -> Iterator[tuple[int, Array, Array]]:
    for start in range(0, len(words) - 1, CHUNK):
        rows = one_hot(words[start : start + CHUNK + 1], n_words)
        yield start, rows[:-1], rows[1:]


def perplexity(losses: Array) -> float:
    return float(np.exp(losses.mean()))


# -- telling ----------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, metavar="FILE")
    parser.add_argument("--vocabulary", type=int, default=1000, metavar="V")
    parser.add_argument("--max-words", type=int, metavar="N")
    parser.add_argument("--only", metavar="NAME,...", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    models = [MODELS[name] for name in (options.only.split(",") if options.only else MODELS)]
    corpus = read(options.text, options.vocabulary, options.max_words)
    with ProcessPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(run, model, corpus, options.seed) for model in models]
        bar = track(as_completed(futures), "models", total=len(futures), console=Console(stderr=True))
        results = {result.model: result for result in (future.result() for future in bar)}
    Console().print(table([results[model.name] for model in models], options.text.name, corpus))
    if options.json:
        settings = {"text": options.text.name, "seed": options.seed, **CONFIGURATION, "spread": SPREAD}
        text = {"words": len(corpus.words), "vocabulary": corpus.n_words, "unknown": corpus.unknown}
        numbers = [result._asdict() for result in results.values()]
        write_json(options.json, {**stamp(**settings), "text": text, "results": numbers})


def table(results: Iterable[Result], name: str, corpus: Corpus) -> Table:
    title = f"{name}: {len(corpus.words):,} words, {corpus.unknown:.0%} of them outside the vocabulary"
    made = Table(title=title, box=SIMPLE)
    for column in ("model", "hidden", "context", "weights", "online", "validation", "memory"):
        made.add_column(column, justify="left" if column == "model" else "right")
    for result in results:
        units = [str(n) if result.n_hidden else "" for n in (result.n_hidden, result.n_context, result.n_parameters)]
        ends = result.time_constants[:: max(1, len(result.time_constants) - 1)]
        memory = "-".join(f"{tau:.2g}" if tau < 10 else f"{tau:.0f}" for tau in ends[:2])
        row = MODELS[result.model].title, *units, f"{result.online:.1f}", f"{result.validation:.1f}", memory
        made.add_row(*row)
    return made


if __name__ == "__main__":
    main()
