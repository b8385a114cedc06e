"""Whether a reading counts, by the flag that came with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Class = Literal["good", "uncertain", "bad"]
CLASSES: tuple[Class, ...] = ("good", "uncertain", "bad")
_WORDS: dict[str, Class] = {  # how flags begin: OPC UA's status codes, then those of IEC 61850 and of plain speech
    "good": "good",
    "uncertain": "uncertain",
    "bad": "bad",
    "questionable": "uncertain",
    "invalid": "bad",
    "valid": "good",
    "ok": "good",
    "error": "bad",
    "fail": "bad",
}
_SEVERITY_SHIFT = 30  # the two highest bits of a status code of 32, OPC UA part 4, 7.39


@dataclass(frozen=True)
class Flags:
    """Which flags make a reading count; one with another flag is missing, as a sensor that was not read is.

    Parameters
    ----------
    usable
        ``good``, ``uncertain`` and ``bad`` are classes: words that begin so (``GoodClamped``, ``BadNoCommunication``),
        the severity of OPC UA status codes, and true and false for good and bad. Anything else stands for itself:
        words of other systems, or numbers. With a number among them, numbers are compared and no status codes.
    """

    usable: tuple[Any, ...] = ("good", "uncertain")

    @classmethod
    def of(cls, usable: Any) -> Flags:
        """Those of the configuration; None: as usual. ValueError if they are no flags."""
        if usable is None:
            return cls()
        if not isinstance(usable, Sequence) or isinstance(usable, str) or not usable:
            raise ValueError(f"[fields] usable must be a list of flags such as ['good'], got {usable!r}")
        if not all(isinstance(flag, str | int) for flag in usable):
            raise ValueError(f"[fields] usable holds words, whole numbers, true and false; got {usable!r}")
        return cls(tuple(flag.lower() if isinstance(flag, str) else flag for flag in usable))

    def count(self, flag: object) -> bool:
        """Whether a reading with that flag does. ValueError if nobody knows the flag."""
        if flag is None:
            return True
        if isinstance(flag, bool):
            return any(flag is usable for usable in self.usable) or ("good" if flag else "bad") in self.usable
        if isinstance(flag, int | float):
            return self._number_counts(flag)
        if not isinstance(flag, str):
            raise ValueError("must be a word, a number or a boolean")
        word = flag.strip().lower()
        return word in self.usable or self._class_of(word) in self.usable

    def _number_counts(self, flag: float) -> bool:
        numbers = [usable for usable in self.usable if isinstance(usable, int) and not isinstance(usable, bool)]
        if numbers:
            return flag in numbers
        if flag != flag // 1 or not 0 <= flag < 1 << 32:
            raise ValueError("is no status code of 32 bits")
        return CLASSES[min(int(flag) >> _SEVERITY_SHIFT, 2)] in self.usable

    def _class_of(self, word: str) -> Class | None:
        for begin, of_word in _WORDS.items():
            if word.startswith(begin):
                return of_word
        if any(isinstance(usable, str) and usable not in CLASSES for usable in self.usable):
            return None  # the user has named the words that count
        raise ValueError("is not known; name the words that count in [fields] usable")
