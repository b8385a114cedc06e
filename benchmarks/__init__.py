"""How good and how fast: programs that print tables. The shipped pipeline with its defaults, strictly online."""
