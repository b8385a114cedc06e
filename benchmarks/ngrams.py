"""Unigram and bigram language models that count as they go: what a network without a memory should beat."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Unigram:
    """How often each word came so far, and once more: p(w) = (n(w) + 1) / (n + V)."""

    def __init__(self, n_words: int) -> None:
        self._counts = np.ones(n_words, np.int64)
        self._total = n_words

    def probability(self, before: int, word: int) -> float:  # noqa: ARG002
        return float(self._counts[word] / self._total)

    def learn(self, before: int, word: int) -> None:  # noqa: ARG002
        self._counts[word] += 1
        self._total += 1


class Bigram:
    """Witten-Bell[^1]: n times the word came after the one before, T different words did; the rest is the unigram.

        p(w | b) = (n(b, w) + T(b) p(w)) / (n(b) + T(b))

    References
    ----------
    [^1]: Witten and Bell, The zero-frequency problem, IEEE Transactions on Information Theory 37, 1991.
    """

    def __init__(self, n_words: int) -> None:
        self._unigram = Unigram(n_words)
        self._counts = np.zeros((n_words, n_words), np.int32)
        self._total = np.zeros(n_words, np.int64)
        self._different = np.zeros(n_words, np.int64)

    def probability(self, before: int, word: int) -> float:
        total, different = self._total[before], self._different[before]
        alone = self._unigram.probability(before, word)
        return float((self._counts[before, word] + different * alone) / (total + different)) if total else alone

    def learn(self, before: int, word: int) -> None:
        self._unigram.learn(before, word)
        self._different[before] += self._counts[before, word] == 0
        self._counts[before, word] += 1
        self._total[before] += 1


def losses(model: Unigram | Bigram, words: Array, *, learning: bool) -> Array:
    """-log p of each word after the first, told before it is counted."""
    told = np.empty(len(words) - 1)
    for i, (before, word) in enumerate(pairwise(words.tolist())):
        told[i] = -math.log(model.probability(before, word))
        if learning:
            model.learn(before, word)
    return told


class NGram:
    """Witten-Bell over any number of words before: what never followed so many is told by one word fewer.

        p_k(w | b) = (n(b, w) + T(b) p_(k-1)(w | b')) / (n(b) + T(b))      b: the last k words; b': the last k - 1

    Below the unigram all words are as likely.
    """

    def __init__(self, n_words: int, order: int) -> None:
        self._n_words, self._order = n_words, order
        self._counts: dict[tuple[int, ...], dict[int, int]] = {}

    def probabilities(self, before: list[int]) -> Array:
        """Of each word (V,), after the words before."""
        p = np.full(self._n_words, 1 / self._n_words)
        for context in self._contexts(before):
            counts = self._counts.get(context)
            if counts is None:
                break
            words, n = list(counts), list(counts.values())
            p *= len(words)
            p[words] += n
            p /= len(words) + sum(n)
        return p

    def learn(self, before: list[int], word: int) -> None:
        for context in self._contexts(before):
            counts = self._counts.setdefault(context, {})
            counts[word] = counts.get(word, 0) + 1

    def _contexts(self, before: list[int]) -> list[tuple[int, ...]]:
        return [tuple(before[len(before) - k :]) for k in range(min(self._order, len(before) + 1))]
