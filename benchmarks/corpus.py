"""A text as numbers: its most frequent words, everything else one word, and the ends of sentences."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

UNKNOWN, END = "<unk>", "<eos>"
TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|[.?!]+")
LICENCE = re.compile(r"\*\*\* ?START OF.*?\*\*\*(.*)\*\*\* ?END OF", re.DOTALL)


class Corpus(NamedTuple):
    """Words as numbers below `n_words`: 0 is every word that is not in the vocabulary."""

    words: Array
    vocabulary: list[str]

    @property
    def n_words(self) -> int:
        return len(self.vocabulary)

    @property
    def unknown(self) -> float:
        """The share of words outside the vocabulary."""
        return float((self.words == 0).mean())


def read(path: Path, n_words: int, most: int | None = None) -> Corpus:
    """The first `most` words of a file without Project Gutenberg's licence; the most frequent n_words - 1 are known."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    body = LICENCE.search(text)
    tokens = tokenised(body[1] if body else text)[:most]
    vocabulary = [UNKNOWN, *(word for word, _ in Counter(tokens).most_common(n_words - 1))]
    number = {word: i for i, word in enumerate(vocabulary)}
    return Corpus(np.array([number.get(token, 0) for token in tokens]), vocabulary)


def tokenised(text: str) -> list[str]:
    """Words in lower case, and `<eos>` for what ends a sentence. Numbers and other signs are left out."""
    return [END if token[0] in ".?!" else token.lower() for token in TOKEN.findall(text)]


def one_hot(words: Array, n_words: int) -> Array:
    """Rows (T, n_words) with a single 1."""
    rows = np.zeros((len(words), n_words), np.float32)
    rows[np.arange(len(words)), words] = 1.0
    return rows
