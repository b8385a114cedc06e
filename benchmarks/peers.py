"""Every detector that ours is compared with, and which of them a user asks for."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from benchmarks.contender import Contender, Entry


def _made_by(module: str, function: str, *, seeded: bool = False) -> Callable[[int], Contender]:
    """Its library is imported when one is made, and not before: it may be slow to load, or absent."""

    def make(seed: int) -> Contender:
        made: Contender = getattr(import_module(f"benchmarks.{module}"), function)(*([seed] if seeded else []))
        return made

    return make


def _simple(name: str, function: str) -> Entry:
    return Entry(name, _made_by("simple_peers", function))


def _river(name: str, function: str, *, seeded: bool = False, can_freeze: bool = True) -> Entry:
    return Entry(name, _made_by("river_peers", function, seeded=seeded), seeded, can_freeze)


def _drawing(name: str, module: str, function: str, needs: str) -> Entry:
    return Entry(name, _made_by(module, function, seeded=True), draws_numbers=True, needs=needs)


PEERS = (
    Entry("constant", _made_by("simple_peers", "constant"), can_freeze=False),
    Entry("random", _made_by("simple_peers", "chance", seeded=True), draws_numbers=True, can_freeze=False),
    _simple("last value", "LastValue"),
    _simple("range rule", "RangeRule"),
    _simple("T2 of averages", "AveragesT2"),
    _river("River SAD", "standard_absolute_deviation"),
    _river("River Gaussian", "gaussian_scorer"),
    _river("River PAD", "predictive", can_freeze=False),  # its score_one learns
    _river("River HST", "half_space_trees", seeded=True),
    _river("River LODA", "loda", seeded=True),
    _drawing("PySAD LODA", "pysad_peers", "loda", needs="pysad"),
    _drawing("PySAD KitNet", "pysad_peers", "kitnet", needs="pysad"),
    _drawing("PySAD xStream", "pysad_peers", "xstream", needs="pysad"),
    _drawing("PySAD RRCF", "pysad_peers", "random_cut_forest", needs="pysad"),
    _drawing("deep-river AE", "deep_river_peers", "autoencoder", needs="deep_river"),
)


def chosen(text: str) -> list[Entry]:
    """The peers that an option names: "all", "none", or names with commas between them."""
    if text in ("all", "none"):
        return list(PEERS) if text == "all" else []
    by_name = {entry.name: entry for entry in PEERS}
    names = text.split(",")
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise SystemExit(f"no peer is named {unknown[0]!r}; there are: {', '.join(by_name)}")
    return [by_name[name] for name in names]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the benchmarks of quality ask alike: which peers, and where the scores and the figures go."""
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--peers", default="none", metavar="all|none|NAME,...")
    parser.add_argument("--peers-only", action="store_true", help="leave ours out")
    parser.add_argument("--json", type=Path, metavar="FILE")


def is_installed(entry: Entry) -> bool:
    return not entry.needs or find_spec(entry.needs) is not None
